//! Floor 5: how the command-line tools and the background jobs speak to a service. Synchronous.

mod error;
mod unix;

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

/// The largest answer that is read; a list of every trusted root is far below it.
const LARGEST_ANSWER: u64 = 256 * 1024 * 1024;

/// A service behind its Unix socket.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    socket: PathBuf,
}

impl Client {
    /// Speaks to the service on this socket; every request must be answered within `deadline`.
    pub fn new(socket: &Path, deadline: Duration) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(deadline))
            .max_redirects(0)
            .proxy(None)
            // A service closes a connection whose request it refused before it had read all of it.
            // A connection kept from before may therefore break under the next request, and a
            // request that was perhaps sent must not be sent again. A new one costs nothing here.
            .max_idle_connections(0)
            .build();
        let connector = UnixConnector::new(socket.to_owned());
        Self {
            agent: Agent::with_parts(config, connector, DefaultResolver::default()),
            socket: socket.to_owned(),
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

#[cfg(test)]
mod tests;
