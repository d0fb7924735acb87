//! Who is at the other end of a Unix socket (`SO_PEERCRED`).

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::Reject;
use crate::access::Caller;
use crate::api::{Kind, Problem};

/// The caller of a request, whom the connection brings as an extension.
#[derive(Debug)]
pub struct Asking(pub Caller);

impl<S: Sync> FromRequestParts<S> for Asking {
    type Rejection = Reject;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Reject> {
        parts.extensions.get::<Caller>().cloned().map(Self).ok_or_else(|| {
            Reject(Problem {
                kind: Kind::Denied,
                code: 5,
                detail: "the caller's identity is unknown; use the Unix socket of the service"
                    .to_owned(),
            })
        })
    }
}
