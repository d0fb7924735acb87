//! The way to VMCA: this machine's socket, whatever `--server` may say.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::ca::{NODE, Node};
use crate::base::{Layout, Service, sentences};
use crate::cli::codes;
use crate::cli::failure::Failure;
use crate::cli::place;
use crate::client::{Client, Error};

/// A token may need a minute for a new RSA key.
const DEADLINE: Duration = Duration::from_secs(180);

/// VMCA, as far as `--server` names the one that can be reached.
#[derive(Debug)]
pub(in crate::cli) enum Vmca {
    /// The service of this machine.
    Here(Client),
    /// A host by a name that may be this machine's: only the service knows what the machine is called.
    /// Only a command that needs the server minds.
    Named(Client, String),
}

impl Vmca {
    pub(in crate::cli) fn new(server: Option<&str>, layout: &Layout) -> Self {
        let socket = layout.socket(Service::Vmcad);
        match server {
            Some(host) if !is_here(host, &socket) => {
                Self::Named(Client::new(&socket, DEADLINE), host.to_owned())
            }
            _ => Self::Here(Client::new(&socket, DEADLINE)),
        }
    }

    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.client()?.get(path).map_err(|error| failed(&error))
    }

    pub(in crate::cli) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.client()?.post(path, body).map_err(|error| failed(&error))
    }

    fn client(&self) -> Result<&Client, Failure> {
        match self {
            Self::Here(client) => Ok(client),
            Self::Named(client, host) => match client.get::<Node>(NODE) {
                Ok(node) if node.name.eq_ignore_ascii_case(host) => Ok(client),
                _ => Err(Failure::new(
                    codes::RPC_CONNECT_REJECTED,
                    format!(
                        "--server={host} is another host; VMCA answers only on its own machine, so run certool there"
                    ),
                )),
            },
        }
    }
}

fn is_here(host: &str, socket: &Path) -> bool {
    ["localhost", "127.0.0.1", "::1"].contains(&host)
        || Path::new(host) == socket
        || host.eq_ignore_ascii_case(&place::host_name())
}

fn failed(error: &Error) -> Failure {
    match error {
        Error::Refused(problem) => Failure::new(problem.code, problem.detail.clone()),
        Error::Unreachable { socket, cause } => Failure::new(
            codes::RPC_CONNECT_REJECTED,
            format!(
                "VMCA does not answer on {} ({cause}); look with 'service-control --status' and start it with 'service-control --start vmcad'",
                socket.display()
            ),
        ),
        Error::Protocol(_) => Failure::new(codes::UNAVAILABLE, sentences(error)),
    }
}
