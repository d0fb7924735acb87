//! `POST /v1/certificates`: for clients, the same as on the socket of `vmcad`.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use tokio::time::timeout;

use super::clients::Peer;
use super::routes::Door;
use crate::api::{Kind, Problem};
use crate::http::Reject;

/// The largest body, in octets: a request for a long key with many names is a tenth of it.
const LARGEST_BODY: usize = 64 * 1024;
/// How long a client may take to send it.
const BODY: Duration = Duration::from_secs(10);

pub(super) async fn issue(
    State(Door { gateway, .. }): State<Door>,
    Extension(peer): Extension<Arc<Peer>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Reject> {
    let client = peer.client(gateway.clock.now()).map_err(|why| {
        tracing::debug!("a request for a certificate is refused: {why}");
        // 5 is ERROR_ACCESS_DENIED.
        Problem { kind: Kind::Denied, code: 5, detail: why }
    })?;
    // A page of somebody else's in a browser that has a client's certificate can send any other kind of content
    // without asking (Fetch, "CORS-safelisted request-header").
    if !is_json(&headers) {
        return Err(invalid("the content-type of a request for a certificate is application/json"));
    }
    let octets = match timeout(BODY, to_bytes(body, LARGEST_BODY)).await {
        Ok(Ok(octets)) => octets,
        Ok(Err(_)) => {
            return Err(invalid("the request was cut off, or is larger than 64 KiB; send less"));
        }
        Err(_) => return Err(invalid("the request did not arrive in time; try again")),
    };
    Ok(gateway.vmcad.issue(client, octets).await?)
}

fn is_json(headers: &HeaderMap) -> bool {
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (media, _parameters) = media.split_once(';').unwrap_or((media, ""));
    media.trim().eq_ignore_ascii_case("application/json")
}

fn invalid(detail: &str) -> Reject {
    // 87 is ERROR_INVALID_PARAMETER.
    Reject(Problem { kind: Kind::Invalid, code: 87, detail: detail.to_owned() })
}
