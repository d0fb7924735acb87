//! Paths of `vmcad`. Each handler turns words into checked values, calls the room where it may
//! block, and turns the answer into words.

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::sync::oneshot;

use super::blocking::panicked;
use super::{Asking, AskingOrClient, Reject, Shared, on_blocking_thread, token};
use crate::access::{Issue, ListCertificates, ManageCa};
use crate::api::ca as words;
use crate::api::{self, Kind, Problem};
use crate::base::{Secret, Service, sentences};
use crate::ca::{self, Asked, Asker, Authority, Error, Lanes, Rule};
use crate::x509::{self, AlternativeNames, Certificate, Chain, Name};

/// Version of the interface that VMCA's clients expect.
const INTERFACE_VERSION: &str = "2.0.0";

type Body<T> = Result<Json<T>, JsonRejection>;
type Answer<T> = Result<Json<T>, Reject>;

/// The router of `vmcad`; it wants the caller as an extension (see [`super::Asking`]).
///
/// `node` is what the machine is called, for clients that may not read the configuration.
pub fn router(authority: Arc<Authority>, lanes: Arc<Lanes>, node: words::Node) -> Router {
    // Everybody may ask, and the token works for the answer.
    let standing = Shared::new();
    Router::new()
        .route(words::VERSION, get(version))
        .route(words::NODE, get(async move || Json(node.clone())))
        .route(words::CERTIFICATES, post(issue).with_state(lanes).get(certificates))
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
    State(lanes): State<Arc<Lanes>>,
    AskingOrClient(requester): AskingOrClient,
    body: Body<words::Issue>,
) -> Answer<words::Issued> {
    let permit = requester.permit::<Issue>()?;
    let Json(words::Issue { csr, not_before, not_after }) = body?;
    let asked = Asked { permit, csr, not_before, not_after };
    let (tell, told) = oneshot::channel();
    lanes.submit(requester.id(), asked, Box::new(Waiter(tell)));
    let issued = told.await.map_err(|_| panicked())?.map_err(Problem::from)?;
    Ok(Json(words::Issued { chain: issued.to_pem(), serial: issued.serial }))
}

/// A handler that waits for its certificate.
struct Waiter(oneshot::Sender<Result<ca::Issued, Error>>);

impl Asker for Waiter {
    fn is_gone(&self) -> bool {
        self.0.is_closed()
    }

    fn tell(self: Box<Self>, outcome: Result<ca::Issued, Error>) {
        // A client that went away while its certificate was signed finds it in the records.
        let _ = self.0.send(outcome);
    }
}

async fn certificates(
    State(authority): State<Arc<Authority>>,
    Asking(caller): Asking,
    query: Result<Query<words::List>, QueryRejection>,
) -> Answer<words::Page> {
    let permit = caller.permit::<ListCertificates>()?;
    let Query(words::List { filter, after, limit }) = query?;
    let filter = match filter {
        words::Filter::All => ca::Filter::All,
        words::Filter::Active => ca::Filter::Active,
        words::Filter::Revoked => ca::Filter::Revoked,
    };
    let after = after.map(ca::Cursor).unwrap_or_default();
    let limit = limit.unwrap_or(words::LARGEST_PAGE);
    if !(1..=words::LARGEST_PAGE).contains(&limit) {
        return Err(Reject(Problem {
            kind: Kind::Invalid,
            code: 87,
            detail: format!(
                "limit={limit} is out of range; ask for 1 to {} certificates, and then for the next page",
                words::LARGEST_PAGE
            ),
        }));
    }
    let found = on_blocking_thread(move || authority.page(&permit, filter, after, limit)).await?;
    Ok(Json(words::Page {
        certificates: found.certificates.iter().map(Certificate::to_pem).collect(),
        next: found.next.map(|ca::Cursor(next)| next),
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
        private_key: asked.private_key.map(|key| Secret::copy_of(key.expose_secret().as_bytes())),
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
        alternative_names: alternative_names(&asked.alternative_names).map_err(named)?,
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
        alternative_names: alternative_names(&asked.alternative_names).map_err(named)?,
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
    Name::from_der(&der).map_err(named)
}

fn named(cause: x509::Error) -> Problem {
    Error::Names(cause).into()
}

/// Alternative names as they travel.
pub(super) fn alternative_names(
    asked: &words::AlternativeNames,
) -> Result<AlternativeNames, x509::Error> {
    let mut names = AlternativeNames::default();
    asked.email.iter().try_for_each(|text| names.add_email(text))?;
    asked.ip.iter().try_for_each(|text| names.add_ip(text))?;
    asked.dns.iter().try_for_each(|text| names.add_dns(text))?;
    Ok(names)
}

fn health_of(standing: ca::Standing) -> api::Health {
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
    let well = standing.token_fault.is_none() && standing.active_ca && standing.ca_fault.is_none();
    let state = if well { api::State::Ok } else { api::State::Degraded };
    api::Health {
        detail: (!sentences.is_empty()).then(|| sentences.join("; ")),
        token: token::health(
            standing.token.map(|token| (token.label, token.serial)),
            standing.token_fault,
            standing.alarm.map(|alarm| (alarm.kind, alarm.what)),
        ),
        unfinished_intents: standing.unfinished_intents,
        ..api::Health::new(Service::Vmcad, state)
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
            Error::Busy => Kind::Busy,
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
