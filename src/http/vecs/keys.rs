//! Paths of `vmafdd` for keys that are made in the token, and for signing with a stored key.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::{Answer, Body, InPath, in_path, quiet_problem};
use crate::api::Octets;
use crate::api::vecs::{
    Complete, Created, Deleted, Generate, LARGEST_MESSAGE, Pending, Sign, Signature,
    SignaturePurpose,
};
use crate::http::{Asking, on_blocking_thread};
use crate::vecs::{
    self, Alias, NewKey, PENDING_SECONDS, SignatureRequest, StoreName, Ticket, Vecs,
};
use crate::x509::Name;

pub(super) async fn generate(
    State(vecs): State<Arc<Vecs>>,
    Asking(caller): Asking,
    path: InPath<String>,
    body: Body<Generate>,
) -> Answer<Pending> {
    let name = in_path(path)?;
    let Json(wanted) = body?;
    let (ticket, csr) = on_blocking_thread(move || {
        let alternative_names = super::super::ca::alternative_names(&wanted.alternative_names)
            .map_err(vecs::Error::Material)?;
        let new = NewKey {
            alias: Alias::new(&wanted.alias)?,
            algorithm: wanted.algorithm,
            subject: Name::from_der(&wanted.subject.0).map_err(vecs::Error::Material)?,
            alternative_names,
        };
        vecs.writable(&caller, &StoreName::new(&name)?)?.generate(&new)
    })
    .await?;
    Ok(Json(Pending { ticket: ticket.to_text(), csr: csr.to_pem(), seconds: PENDING_SECONDS }))
}

pub(super) async fn complete(
    State(vecs): State<Arc<Vecs>>,
    Asking(caller): Asking,
    path: InPath<(String, String)>,
    body: Body<Complete>,
) -> Answer<Created> {
    let (name, ticket) = in_path(path)?;
    let Json(wanted) = body?;
    let alias = on_blocking_thread(move || {
        let store = vecs.writable(&caller, &StoreName::new(&name)?)?;
        store.complete(Ticket::new(&ticket)?, &wanted.certificates)
    })
    .await?;
    Ok(Json(Created { alias: alias.to_string() }))
}

pub(super) async fn abandon(
    State(vecs): State<Arc<Vecs>>,
    Asking(caller): Asking,
    path: InPath<(String, String)>,
) -> Answer<Deleted> {
    let (name, ticket) = in_path(path)?;
    let existed = on_blocking_thread(move || {
        vecs.writable(&caller, &StoreName::new(&name)?)?.abandon(Ticket::new(&ticket)?)
    })
    .await?;
    Ok(Json(Deleted { existed }))
}

pub(super) async fn sign(
    State(vecs): State<Arc<Vecs>>,
    Asking(caller): Asking,
    path: InPath<(String, String)>,
    body: Body<Sign>,
) -> Answer<Signature> {
    let (name, alias) = in_path(path)?;
    let Json(wanted) = body?;
    let purpose = wanted.purpose;
    let request = SignatureRequest {
        purpose: match purpose {
            SignaturePurpose::Content => vecs::SignaturePurpose::Content,
            SignaturePurpose::Tls => vecs::SignaturePurpose::Tls,
        },
        scheme: wanted.scheme,
        message: wanted.message.0,
        public_key_sha256: wanted.public_key_sha256.map(|Octets(sha256)| sha256),
    };
    let (scheme, signature) = on_blocking_thread(move || {
        let signed = || {
            if request.message.len() > LARGEST_MESSAGE {
                return Err(too_large(request.message.len()));
            }
            vecs.key_at_work(&caller, &StoreName::new(&name)?, &Alias::new(&alias)?)?.sign(&request)
        };
        signed().map_err(|failure| match purpose {
            SignaturePurpose::Content => failure.into(),
            // Strangers make these at will: they are counted, and the gateway says when they begin.
            SignaturePurpose::Tls => quiet_problem(&failure),
        })
    })
    .await?;
    Ok(Json(Signature { scheme, signature: Octets(signature) }))
}

fn too_large(octets: usize) -> vecs::Error {
    vecs::Error::Invalid(format!(
        "there are {octets} octets to be signed, and at most {LARGEST_MESSAGE} are; sign a file that holds the \
         SHA-256 of the large one"
    ))
}
