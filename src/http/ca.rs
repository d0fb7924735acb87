//! Paths of `vmcad`. Each handler turns words into checked values, calls the room where it may
//! block, and turns the answer into words.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::routing::{get, post};
use axum::{Json, Router};

use super::{Asking, Reject, Shared, on_blocking_thread};
use crate::access::{Issue, ManageCa};
use crate::api::ca as words;
use crate::api::{self, Kind, Problem};
use crate::base::{Secret, Service, sentences};
use crate::ca::{self, Authority, Error, Rule};
use crate::x509::{self, AlternativeNames, Certificate, Chain, Name};

/// Version of the interface that VMCA's clients expect.
const INTERFACE_VERSION: &str = "2.0.0";

type Body<T> = Result<Json<T>, JsonRejection>;
type Answer<T> = Result<Json<T>, Reject>;

/// The router of `vmcad`; it wants the caller as an extension (see [`super::Asking`]).
///
/// `node` is what the machine is called, for clients that may not read the configuration.
pub fn router(authority: Arc<Authority>, node: words::Node) -> Router {
    // Everybody may ask, and the token works for the answer.
    let standing = Shared::new();
    Router::new()
        .route(words::VERSION, get(version))
        .route(words::NODE, get(async move || Json(node.clone())))
        .route(words::CERTIFICATES, post(issue))
        .route(words::CHAIN, get(chain).post(install_chain))
        .route(words::SELF_SIGNED, post(self_sign))
        .route(words::REQUEST, post(request_ca))
        .route(words::AUTHORITIES, get(authorities))
        .route(words::KEYS, get(keys))
        .route(words::RETIRE, post(retire))
        .route(words::CRL, get(crl).post(renew_crls))
        .with_state(Arc::clone(&authority))
        .route(api::HEALTH, get(move || health(authority, standing)))
}

async fn health(
    authority: Arc<Authority>,
    shared: Arc<Shared<api::Health>>,
) -> Answer<api::Health> {
    Ok(Json(shared.ask(move || Ok(health_of(authority.standing()))).await?))
}

async fn version() -> Json<words::Version> {
    Json(words::Version {
        product: "Sealwright Certificate Authority".to_owned(),
        version: INTERFACE_VERSION.to_owned(),
    })
}

async fn issue(
    State(authority): State<Arc<Authority>>,
    Asking(caller): Asking,
    body: Body<words::Issue>,
) -> Answer<words::Issued> {
    let permit = caller.permit::<Issue>()?;
    let Json(asked) = body?;
    let issued = on_blocking_thread(move || {
        let request = ca::Request::parse(&asked.csr, asked.not_before, asked.not_after)?;
        authority.issue(permit, &request)
    })
    .await?;
    Ok(Json(words::Issued {
        chain: issued.chain.iter().map(Certificate::to_pem).collect(),
        serial: issued.serial,
    }))
}

async fn chain(State(authority): State<Arc<Authority>>) -> Answer<words::Chain> {
    Ok(Json(chain_words(&authority.chain().map_err(Problem::from)?)))
}

async fn install_chain(
    State(authority): State<Arc<Authority>>,
    Asking(caller): Asking,
    body: Body<words::InstallChain>,
) -> Answer<words::Chain> {
    let permit = caller.permit::<ManageCa>()?;
    let Json(asked) = body?;
    let installation = ca::Installation {
        chain: asked.chain,
        private_key: asked
            .private_key
            .map(|key| Secret::new(key.expose_secret().as_bytes().to_vec())),
    };
    let chain = on_blocking_thread(move || authority.install_root(&permit, &installation)).await?;
    Ok(Json(chain_words(&chain)))
}

async fn self_sign(
    State(authority): State<Arc<Authority>>,
    Asking(caller): Asking,
    body: Body<words::SelfSign>,
) -> Answer<words::Chain> {
    let permit = caller.permit::<ManageCa>()?;
    let Json(asked) = body?;
    let new = ca::NewRoot {
        subject: name(&asked.subject)?,
        alternative_names: alternative_names(&asked.alternative_names)?,
        predate_minutes: asked.predate_minutes,
        key: key_choice(asked.key),
    };
    let chain = on_blocking_thread(move || authority.self_signed(&permit, &new)).await?;
    Ok(Json(chain_words(&chain)))
}

async fn request_ca(
    State(authority): State<Arc<Authority>>,
    Asking(caller): Asking,
    body: Body<words::RequestCa>,
) -> Answer<words::CaRequest> {
    let permit = caller.permit::<ManageCa>()?;
    let Json(asked) = body?;
    let wanted = ca::CaRequest {
        subject: name(&asked.subject)?,
        alternative_names: alternative_names(&asked.alternative_names)?,
        key: key_choice(asked.key),
    };
    let csr = on_blocking_thread(move || authority.request_root(&permit, &wanted)).await?;
    Ok(Json(words::CaRequest { csr }))
}

async fn authorities(State(authority): State<Arc<Authority>>) -> Answer<Vec<words::Authority>> {
    let found = on_blocking_thread(move || authority.authorities()).await?;
    Ok(Json(found.into_iter().map(authority_words).collect()))
}

async fn keys(State(authority): State<Arc<Authority>>) -> Answer<Vec<words::Key>> {
    let found = on_blocking_thread(move || authority.keys()).await?;
    let words = found.into_iter().map(|key| words::Key {
        key_id: key.id.to_string(),
        public_key_sha256: key.public_key_sha256,
        algorithm: key.algorithm,
        imported: key.imported,
    });
    Ok(Json(words.collect()))
}

async fn retire(
    State(authority): State<Arc<Authority>>,
    Asking(caller): Asking,
    body: Body<words::Retire>,
) -> Answer<()> {
    let permit = caller.permit::<ManageCa>()?;
    let Json(words::Retire { id }) = body?;
    on_blocking_thread(move || authority.retire(&permit, id)).await?;
    Ok(Json(()))
}

async fn crl(State(authority): State<Arc<Authority>>) -> Answer<words::Crl> {
    let crl = on_blocking_thread(move || authority.crl()).await?;
    Ok(Json(words::Crl { crl: crl.to_pem() }))
}

async fn renew_crls(
    State(authority): State<Arc<Authority>>,
    Asking(caller): Asking,
) -> Answer<words::Crl> {
    let permit = caller.permit::<ManageCa>()?;
    let crl = on_blocking_thread(move || authority.renew_crls(&permit)).await?;
    Ok(Json(words::Crl { crl: crl.to_pem() }))
}

fn chain_words(chain: &Chain) -> words::Chain {
    words::Chain { chain: chain.certificates().iter().map(Certificate::to_pem).collect() }
}

fn authority_words(found: ca::AuthoritySummary) -> words::Authority {
    words::Authority {
        id: found.id,
        subject: found.certificate.subject().to_text(),
        state: found.state.to_string(),
        key_id: found.key_id.to_string(),
        algorithm: found.algorithm,
        imported: found.imported,
        not_after: found.not_after,
        sha256: found.sha256,
    }
}

fn key_choice(choice: words::KeyChoice) -> ca::KeyChoice {
    match choice {
        words::KeyChoice::Present => ca::KeyChoice::Present,
        words::KeyChoice::New => ca::KeyChoice::New,
        words::KeyChoice::NewOf(algorithm) => ca::KeyChoice::NewOf(algorithm),
    }
}

/// A name as it travels: DER in hex.
fn name(text: &str) -> Result<Name, Problem> {
    let digits =
        |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let der: Option<Vec<u8>> = (0..text.len()).step_by(2).map(digits).collect();
    let der = der.ok_or_else(|| Problem {
        kind: Kind::Invalid,
        code: 87,
        detail: "the subject is not the DER of a name in hex: use certool of this release"
            .to_owned(),
    })?;
    Ok(Name::from_der(&der).map_err(Error::Names)?)
}

fn alternative_names(asked: &words::AlternativeNames) -> Result<AlternativeNames, Problem> {
    let mut names = AlternativeNames::default();
    let added: Result<(), x509::Error> = (|| {
        asked.email.iter().try_for_each(|text| names.add_email(text))?;
        asked.ip.iter().try_for_each(|text| names.add_ip(text))?;
        asked.dns.iter().try_for_each(|text| names.add_dns(text))
    })();
    added.map_err(Error::Names)?;
    Ok(names)
}

fn health_of(standing: ca::Standing) -> api::Health {
    let state_of = |well: bool| {
        if well { api::State::Ok } else { api::State::Degraded }
    };
    let token_works = standing.token_fault.is_none();
    let mut sentences: Vec<String> = standing.token_fault.iter().cloned().collect();
    if !standing.active_ca {
        sentences.push(Error::NoAuthority.to_string());
    }
    sentences.extend(standing.ca_fault.iter().cloned());
    if standing.unfinished_intents > 0 {
        // Nothing is wrong with the service now, so this alone does not lower its state.
        sentences.push(format!(
            "signatures that were intended and have no recorded outcome: {}; nothing was answered \
             for them, see the journal of vmcad",
            standing.unfinished_intents
        ));
    }
    api::Health {
        service: Service::Vmcad.name().to_owned(),
        state: state_of(token_works && standing.active_ca && standing.ca_fault.is_none()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        detail: (!sentences.is_empty()).then(|| sentences.join("; ")),
        token: standing.token.map(|token| api::TokenHealth {
            label: token.label,
            serial: token.serial,
            state: state_of(token_works),
            detail: standing.token_fault,
        }),
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Refused { rule, .. } => match rule {
                Rule::State => Kind::Conflict,
                Rule::Validity
                | Rule::StartOfAuthority
                | Rule::Field
                | Rule::CommonName
                | Rule::DnsName
                | Rule::Argument
                | Rule::KeyInTheClear
                | Rule::KeyOfOurs => Kind::Invalid,
            },
            Error::Request(_)
            | Error::Names(_)
            | Error::Certificates(_)
            | Error::Chain(_)
            | Error::Constrained(_)
            | Error::PrivateKey(_) => Kind::Invalid,
            Error::NoSuchAuthority(_) => Kind::NotFound,
            Error::NoAuthority | Error::Token(_) | Error::Workshop(_) | Error::Store(_) => {
                Kind::Unavailable
            }
            Error::Building(_) | Error::Records(_) | Error::Fault(_) => Kind::Internal,
        };
        Self { kind, code: error.code(), detail: sentences(&error) }
    }
}

#[cfg(test)]
mod tests;
