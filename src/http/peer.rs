//! Who is at the other end of a Unix socket (`SO_PEERCRED`).

use std::sync::Arc;

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::serve::IncomingStream;
use tokio::net::UnixListener;

use super::Reject;
use crate::access::{Caller, Roles};
use crate::api::{Kind, Problem};

/// User id of the peer; `None` where the kernel did not say.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub Option<u32>);

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self(stream.io().peer_cred().ok().map(|credentials| credentials.uid()))
    }
}

/// The caller of a request, in the roles that the router carries as an extension.
#[derive(Debug)]
pub struct Asking(pub Caller);

impl<S: Sync> FromRequestParts<S> for Asking {
    type Rejection = Reject;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Reject> {
        let peer = parts.extensions.get::<ConnectInfo<Peer>>().and_then(|info| info.0.0);
        let roles = parts.extensions.get::<Arc<Roles>>();
        match (peer, roles) {
            (Some(uid), Some(roles)) => {
                let name = uzers::get_user_by_uid(uid)
                    .and_then(|user| user.name().to_str().map(str::to_owned));
                Ok(Self(roles.caller(uid, name)))
            }
            _ => Err(Reject(Problem {
                kind: Kind::Denied,
                code: 5,
                detail: "the caller's identity is unknown; use the Unix socket of the service"
                    .to_owned(),
            })),
        }
    }
}
