//! Floor 5: how the command-line tools and the background jobs speak to a service. Synchronous.

mod error;
mod unix;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::Agent;
use ureq::http::{Method, Request, Response};
use ureq::unversioned::resolver::DefaultResolver;
use zeroize::Zeroizing;

pub use error::Error;
use unix::UnixConnector;

use crate::api::Problem;

/// How long a kept connection may lie idle: less than a service keeps one (`http/connection.rs`), so
/// that it is mostly this side that closes.
const IDLE: Duration = Duration::from_secs(5);

/// The largest answer that is read; a list of every trusted root is far below it.
const LARGEST_ANSWER: u64 = 256 * 1024 * 1024;

/// A service behind its Unix socket.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    socket: PathBuf,
    deadline: Duration,
    keeps: bool,
}

impl Client {
    /// Speaks to the service on this socket; every request must be answered within `deadline`.
    pub fn new(socket: &Path, deadline: Duration) -> Self {
        // A service closes a connection whose request it refused before it had read all of it.
        // A connection kept from before may therefore break under the next request, and a
        // request that was perhaps sent must not be sent again. A new one costs nothing here.
        Self::with(socket, deadline, 0)
    }

    /// The same, keeping up to `connections` open between requests, for whoever asks hundreds of
    /// times a second. A request that fails on a kept connection is an error, as on a new one;
    /// [`Self::post_again`] is for requests that may be sent twice.
    pub fn keeping(socket: &Path, deadline: Duration, connections: usize) -> Self {
        Self::with(socket, deadline, connections)
    }

    fn with(socket: &Path, deadline: Duration, connections: usize) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(deadline))
            .max_redirects(0)
            .proxy(None)
            .max_idle_connections(connections)
            .max_idle_connections_per_host(connections)
            .max_idle_age(IDLE)
            .build();
        let connector = UnixConnector::new(socket.to_owned());
        Self {
            agent: Agent::with_parts(config, connector, DefaultResolver::default()),
            socket: socket.to_owned(),
            deadline,
            keeps: connections > 0,
        }
    }

    /// `GET`.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.send(Method::GET, path, Zeroizing::new(Vec::new()))
    }

    /// `DELETE`.
    pub fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.send(Method::DELETE, path, Zeroizing::new(Vec::new()))
    }

    /// `POST` with a JSON body.
    pub fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Error> {
        let octets =
            serde_json::to_vec(body).map_err(|cause| Error::Protocol(cause.to_string()))?;
        self.send(Method::POST, path, Zeroizing::new(octets))
    }

    /// `POST` of a request that does no harm when it is done twice: where no answer came on a connection
    /// that may have been closed meanwhile, it is sent once more.
    pub fn post_again<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        match self.post(path, body) {
            // The others that are kept may be as dead as this one.
            Err(Error::Unreachable { cause, .. }) if is_hang_up(&cause) => {
                Self::new(&self.socket, self.deadline).post(path, body)
            }
            answered => answered,
        }
    }

    fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Zeroizing<Vec<u8>>,
    ) -> Result<T, Error> {
        // The host part only fills the Host header; the connector ignores it.
        let request = Request::builder()
            .method(method)
            .uri(format!("http://localhost{path}"))
            .header("content-type", "application/json")
            .header("connection", if self.keeps { "keep-alive" } else { "close" })
            .body(body.as_slice())
            .map_err(|cause| Error::Protocol(cause.to_string()))?;
        let agent = self.agent.configure_request(request).allow_non_standard_methods(true).build();
        let answer = self.agent.run(agent).map_err(|cause| self.unreachable(cause))?;
        self.read(answer)
    }

    fn read<T: DeserializeOwned>(&self, answer: Response<ureq::Body>) -> Result<T, Error> {
        let status = answer.status();
        let octets = Zeroizing::new(
            answer
                .into_body()
                .into_with_config()
                .limit(LARGEST_ANSWER)
                .read_to_vec()
                .map_err(|cause| self.unreachable(cause))?,
        );
        if status.is_success() {
            return serde_json::from_slice(&octets).map_err(|cause| {
                Error::Protocol(format!("the answer is not what was expected: {cause}"))
            });
        }
        match serde_json::from_slice::<Problem>(&octets) {
            Ok(problem) => Err(Error::Refused(problem)),
            Err(_) => Err(Error::Protocol(format!("the service answered {status}"))),
        }
    }

    fn unreachable(&self, cause: ureq::Error) -> Error {
        Error::Unreachable { socket: self.socket.clone(), cause: Box::new(cause) }
    }
}

/// Whether the other side went away, rather than being slow or not there.
fn is_hang_up(cause: &ureq::Error) -> bool {
    match cause {
        ureq::Error::Io(cause) => !matches!(
            cause.kind(),
            ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::PermissionDenied
        ),
        ureq::Error::Timeout(_) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests;
