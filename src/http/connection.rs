//! One client's connection to a Unix socket: who it is, its request, the answer.
//!
//! A connection carries one request, unless the client asks in words to keep it (`connection:
//! keep-alive`), as the gateway does for its handshakes and for its clients. The caller of everything on it is whom the
//! kernel named when it was made. Head and body must arrive in time, the next head as well: a
//! connection that is kept is idle for no longer than a slow client may take. Whoever does not
//! administer the appliance must also be done with all of it in time.

use std::convert::Infallible;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::header::{CONNECTION, HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tower_service::Service as _;

use super::peer::introduce;
use super::{Full, Place, Places, Reject, Shutdown, on_blocking_thread};
use crate::access::{Caller, Roles};
use crate::api::{Kind, Problem};

/// The largest body, in octets: a bundle of certificates and a key, with room to spare.
const LARGEST_BODY: usize = 4 * 1024 * 1024;
/// The largest head, in octets: two names of the longest kind, percent-encoded, with room to spare.
const LARGEST_HEAD: usize = 64 * 1024;
/// How long a client may take to send the head of its request, or of its next one.
const HEAD: Duration = Duration::from_secs(10);
/// How long it may take to send the body.
const BODY: Duration = Duration::from_secs(30);
/// How long the connection of a guest may last in all.
const GUEST: Duration = Duration::from_secs(120);

/// The most connections of one user who does not administer the appliance.
const GUEST_EACH: usize = 32;
/// The most connections of all such users together. A service has more threads than this, so that
/// an administrator is always served.
const GUESTS: usize = 128;

/// Places for callers who do not administer the appliance; administrators need none.
pub(super) fn guests() -> Arc<Places<u32>> {
    Places::new(GUEST_EACH, GUESTS)
}

/// The same paths, with an answer in our words for every other path.
pub(super) fn bounded(router: Router) -> Router {
    router
        .fallback(|| async {
            Reject(refusal(
                Kind::NotFound,
                "this service has no such path; are the tools and services of one version?",
            ))
        })
        // The body is measured below, before a handler sees it.
        .layer(DefaultBodyLimit::disable())
}

/// A client who may be served: the kernel names it, and there is a place for it.
pub(super) struct Admitted {
    client: UnixStream,
    uid: u32,
    /// Administrators need none.
    place: Option<Place<u32>>,
}

/// Admits a client, or says why not. Does not wait for anything.
pub(super) fn admit(
    client: UnixStream,
    roles: &Roles,
    guests: &Arc<Places<u32>>,
) -> Option<Admitted> {
    let uid = client.peer_cred().ok()?.uid();
    if roles.caller(uid, None).is_administrator() {
        return Some(Admitted { client, uid, place: None });
    }
    match guests.enter(uid) {
        Ok(place) => Some(Admitted { client, uid, place: Some(place) }),
        Err(full) => {
            turn_away(client, &no_place(uid, full));
            None
        }
    }
}

impl Admitted {
    /// Serves the connection. Whatever the client does wrong ends here and nowhere else.
    pub(super) async fn serve(self, router: Router, roles: Arc<Roles>, shutdown: Shutdown) {
        let Self { client, uid, place } = self;
        let exchange = exchange(client, uid, router, &roles, shutdown);
        match place {
            None => exchange.await,
            Some(_place) => {
                let _ = timeout(GUEST, exchange).await;
            }
        }
    }
}

async fn exchange(client: UnixStream, uid: u32, router: Router, roles: &Roles, shutdown: Shutdown) {
    // The system's user database may ask a network.
    let looked_up = on_blocking_thread(move || Ok::<_, Problem>(name_of_user(uid))).await;
    let caller = roles.caller(uid, looked_up.ok().flatten());
    let asked = AtomicBool::new(false);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(
            TokioIo::new(client),
            service_fn(|request| answer(request, &caller, roles, router.clone(), &asked)),
        );
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.requested() => {
            if !asked.load(Ordering::Relaxed) {
                // Nothing was asked yet, so that nothing is lost.
                return;
            }
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(cause) = ended {
        tracing::debug!("a connection ended: {cause}");
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    caller: &Caller,
    roles: &Roles,
    mut router: Router,
    asked: &AtomicBool,
) -> Result<Response, Infallible> {
    let (mut head, body) = request.into_parts();
    let kept = asks_to_keep(&head.headers);
    if let Err(problem) = introduce(&head.headers, caller, roles, &mut head.extensions) {
        return Ok(last(problem));
    }
    let octets = match timeout(BODY, to_bytes(Body::new(body), LARGEST_BODY)).await {
        Ok(Ok(octets)) => octets,
        Ok(Err(_)) => {
            let text = format!(
                "the request was cut off, or is larger than {} MiB; send less at once",
                LARGEST_BODY / 1024 / 1024
            );
            return Ok(refused(&text));
        }
        Err(_) => return Ok(refused("the request did not arrive in time; try again")),
    };
    asked.store(true, Ordering::Relaxed);
    let mut response = router.call(Request::from_parts(head, Body::from(octets))).await?;
    if !kept {
        close_after(&mut response);
    }
    Ok(response)
}

/// HTTP/1.1 keeps a connection where nothing is said. Here a client must say it: one that does not
/// know would hold its place for nothing.
fn asks_to_keep(headers: &HeaderMap) -> bool {
    headers
        .get(CONNECTION)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"keep-alive"))
}

/// What is left of such a request is not read.
fn refused(why: &str) -> Response {
    last(refusal(Kind::Invalid, why))
}

fn last(problem: Problem) -> Response {
    let mut response = Reject(problem).into_response();
    close_after(&mut response);
    response
}

fn close_after(response: &mut Response) {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
}

fn name_of_user(uid: u32) -> Option<String> {
    uzers::get_user_by_uid(uid).and_then(|user| user.name().to_str().map(str::to_owned))
}

fn refusal(kind: Kind, detail: &str) -> Problem {
    // 87 is ERROR_INVALID_PARAMETER: the words do not form a request.
    Problem { kind, code: 87, detail: detail.to_owned() }
}

fn no_place(uid: u32, full: Full) -> Problem {
    let what = match full {
        Full::Own => format!("user {uid} has {GUEST_EACH} connections to this service already"),
        Full::All => format!("{GUESTS} connections of users to this service are open already"),
    };
    // 170 is ERROR_BUSY.
    Problem {
        kind: Kind::Unavailable,
        code: 170,
        detail: format!("{what}; wait until some of them have ended, and try again"),
    }
}

/// Says no without reading anything: that would be the work that is refused.
fn turn_away(client: UnixStream, problem: &Problem) {
    let body = serde_json::to_string(problem).unwrap_or_default();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    // It does not block, and so little always fits.
    let _ = client.into_std().and_then(|mut client| client.write_all(answer.as_bytes()));
}
