//! Who is at the other end of a Unix socket (`SO_PEERCRED`), and for whom it asks.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};

use super::Reject;
use crate::access::{Caller, Client, Requester, Roles};
use crate::api::client::{NotVouched, Vouched};
use crate::api::{CLIENT, Kind, Problem};

/// The caller of a request, whom the connection brings as an extension. Of a request for a client there is
/// none: such a request gets no further than here.
#[derive(Debug)]
pub struct Asking(pub Caller);

impl<S: Sync> FromRequestParts<S> for Asking {
    type Rejection = Reject;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Reject> {
        parts.extensions.get::<Caller>().cloned().map(Self).ok_or_else(unknown)
    }
}

/// Who asks where clients may ask as well.
#[derive(Debug)]
pub struct AskingOrClient(pub Requester);

impl<S: Sync> FromRequestParts<S> for AskingOrClient {
    type Rejection = Reject;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Reject> {
        match parts.extensions.get::<Client>() {
            Some(client) => Ok(Self(Requester::Client(client.clone()))),
            None => Asking::from_request_parts(parts, state)
                .await
                .map(|Asking(caller)| Self(Requester::User(caller))),
        }
    }
}

/// Says to the handlers who asks: the caller, or the client that the headers name, where this caller may
/// name one.
pub(super) fn introduce(
    headers: &HeaderMap,
    caller: &Caller,
    roles: &Roles,
    extensions: &mut Extensions,
) -> Result<(), Problem> {
    let mut named = headers.get_all(CLIENT).iter();
    let Some(value) = named.next() else {
        extensions.insert(caller.clone());
        return Ok(());
    };
    // Who asks comes before what it says: strangers learn nothing of how it is to be written.
    let clients = roles.clients_of(caller.uid()).map_err(|refusal| denied(refusal.to_string()))?;
    let text = value.to_str().ok().filter(|_| named.next().is_none()).unwrap_or_default();
    let Vouched { name, fingerprint } =
        text.parse().map_err(|refusal: NotVouched| denied(refusal.to_string()))?;
    let client =
        clients.find(&name, &fingerprint).map_err(|refusal| denied(refusal.to_string()))?;
    extensions.insert(client);
    Ok(())
}

fn unknown() -> Reject {
    Reject(denied(
        "the caller's identity is unknown here; use the Unix socket of the service, and not for a client"
            .to_owned(),
    ))
}

const fn denied(detail: String) -> Problem {
    Problem { kind: Kind::Denied, code: 5, detail }
}
