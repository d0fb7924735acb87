//! The way to `vmcad`: requests for certificates, passed on over connections that are kept.

use std::future::{Future as _, poll_fn};
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::{CONNECTION, CONTENT_TYPE, HOST, RETRY_AFTER};
use axum::http::{HeaderValue, Request, Response};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::api::ca::CERTIFICATES;
use crate::api::{CLIENT, Kind, Problem, Vouched};

/// How long a kept connection may lie idle: less than `vmcad` keeps one (`http/connection.rs`).
const IDLE: Duration = Duration::from_secs(5);
/// How long a certificate may take: as long as a full queue before a slow token does, and less than a client's
/// connection lasts.
const DEADLINE: Duration = Duration::from_secs(60);
/// The largest answer, in octets: a long chain, with room to spare.
const LARGEST_ANSWER: usize = 1024 * 1024;

/// `vmcad` behind its socket. Of connections there are no more than requests at once, and so no more than the
/// gateway has clients' connections.
pub(super) struct Vmcad {
    socket: PathBuf,
    /// The one that was used last is the last one.
    idle: Mutex<Vec<(Connection, Instant)>>,
}

/// A connection that carries one request after the other. Its work is done by whoever waits for an answer on it, and
/// by no task of its own: that saves a hand-over in each direction.
struct Connection {
    sender: SendRequest<Body>,
    /// Absent once it has ended.
    work: Option<http1::Connection<TokioIo<UnixStream>, Body>>,
}

/// Why there is no answer.
enum Failure {
    /// Nothing was asked.
    NotAsked(String),
    /// It was asked, and perhaps done.
    Unknown(String),
}

/// Why there is no answer on a connection.
enum Broken {
    /// It was closed before the request was sent on it; here it is.
    Before(Box<Request<Body>>),
    Since(Failure),
}

impl Vmcad {
    pub(super) const fn new(socket: PathBuf) -> Self {
        Self { socket, idle: Mutex::new(Vec::new()) }
    }

    /// Asks for a certificate for a client. The answer is that of `vmcad`, a refusal as well.
    pub(super) async fn issue(
        &self,
        client: &Vouched,
        body: Bytes,
    ) -> Result<Response<Body>, Problem> {
        let asked = timeout(DEADLINE, self.ask(request(client, body)?)).await;
        let found = asked
            .unwrap_or_else(|_| Err(Failure::Unknown("it did not answer in time".to_owned())))?;
        let (head, octets) = found.into_parts();
        let mut answer = Response::new(Body::from(octets));
        *answer.status_mut() = head.status;
        // Nothing else of what services tell each other is for clients.
        for name in [CONTENT_TYPE, RETRY_AFTER] {
            if let Some(value) = head.headers.get(&name) {
                answer.headers_mut().insert(name, value.clone());
            }
        }
        Ok(answer)
    }

    async fn ask(&self, mut request: Request<Body>) -> Result<Response<Bytes>, Failure> {
        while let Some(mut kept) = self.kept() {
            match kept.exchange(request).await {
                Ok(answer) => return Ok(self.keep(kept, answer)),
                Err(Broken::Before(back)) => request = *back,
                Err(Broken::Since(failure)) => return Err(failure),
            }
        }
        let mut fresh = Connection::open(&self.socket).await?;
        match fresh.exchange(request).await {
            Ok(answer) => Ok(self.keep(fresh, answer)),
            Err(Broken::Before(_)) => Err(Failure::NotAsked("it hung up".to_owned())),
            Err(Broken::Since(failure)) => Err(failure),
        }
    }

    /// A connection that was used a moment ago. Those that were not are closed.
    fn kept(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let (connection, since) = idle.pop()?;
        if since.elapsed() < IDLE {
            return Some(connection);
        }
        // The others have been idle for longer.
        idle.clear();
        None
    }

    fn keep<T>(&self, connection: Connection, answer: T) -> T {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push((connection, Instant::now()));
        answer
    }
}

impl Connection {
    async fn open(socket: &Path) -> Result<Self, Failure> {
        let not_asked = |cause: &dyn std::error::Error| Failure::NotAsked(cause.to_string());
        let stream = UnixStream::connect(socket).await.map_err(|cause| not_asked(&cause))?;
        let (sender, work) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|cause| not_asked(&cause))?;
        Ok(Self { sender, work: Some(work) })
    }

    /// Asks, and reads the whole answer.
    async fn exchange(&mut self, request: Request<Body>) -> Result<Response<Bytes>, Broken> {
        let Self { sender, work } = self;
        let exchange = async {
            if sender.ready().await.is_err() {
                return Err(Broken::Before(Box::new(request)));
            }
            let answer = match sender.try_send_request(request).await {
                Ok(answer) => answer,
                Err(mut failed) => {
                    return Err(match failed.take_message() {
                        Some(back) => Broken::Before(Box::new(back)),
                        None => Broken::Since(Failure::Unknown(failed.error().to_string())),
                    });
                }
            };
            let (head, body) = answer.into_parts();
            match to_bytes(Body::new(body), LARGEST_ANSWER).await {
                Ok(octets) => Ok(Response::from_parts(head, octets)),
                Err(cause) => Err(Broken::Since(Failure::Unknown(cause.to_string()))),
            }
        };
        let mut exchange = pin!(exchange);
        poll_fn(|context| {
            if let Poll::Ready(outcome) = exchange.as_mut().poll(context) {
                return Poll::Ready(outcome);
            }
            if work.as_mut().is_some_and(|work| Pin::new(work).poll(context).is_ready()) {
                // What waits on it learns of its end by this.
                *work = None;
            }
            exchange.as_mut().poll(context)
        })
        .await
    }
}

/// A request of the gateway's own: nothing of what the client sent is in its head.
fn request(client: &Vouched, body: Bytes) -> Result<Request<Body>, Failure> {
    let named = HeaderValue::try_from(client.to_string())
        .map_err(|cause| Failure::NotAsked(cause.to_string()))?;
    Request::post(CERTIFICATES)
        .header(HOST, HeaderValue::from_static("localhost"))
        .header(CONNECTION, HeaderValue::from_static("keep-alive"))
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header(CLIENT, named)
        .body(Body::from(body))
        .map_err(|cause| Failure::NotAsked(cause.to_string()))
}

impl From<Failure> for Problem {
    /// Clients learn what it means for them; the log says why.
    fn from(failure: Failure) -> Self {
        let (why, detail) = match failure {
            Failure::NotAsked(why) => (
                why,
                "the certificate authority does not answer; nothing was issued, try again later",
            ),
            Failure::Unknown(why) => (
                why,
                "the certificate authority gave no answer; whether it issued the certificate is in \
                 its records only. Ask again: another one does no harm",
            ),
        };
        tracing::warn!("vmcad gave no answer for a client: {why}");
        Self { kind: Kind::Unavailable, code: NO_ANSWER, detail: detail.to_owned() }
    }
}

/// `ERROR_CONNECTION_UNAVAIL`.
const NO_ANSWER: u32 = 1201;

#[cfg(test)]
mod tests;
