//! The way to VECS: this machine's socket.

use std::time::Duration;

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::api::vecs;
use crate::base::{Layout, Service, sentences};
use crate::cli::codes;
use crate::cli::failure::Failure;
use crate::client::{Client, Error};

/// A refresh of many roots, or a token that seals slowly, is done well before.
const DEADLINE: Duration = Duration::from_secs(120);

/// VECS on this machine.
#[derive(Debug)]
pub(super) struct Vecs(Client);

impl Vecs {
    pub(super) fn new(layout: &Layout) -> Self {
        Self(Client::new(&layout.socket(Service::Vmafdd), DEADLINE))
    }

    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.0.get(path).map_err(|error| failed(&error))
    }

    pub(super) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.0.post(path, body).map_err(|error| failed(&error))
    }

    pub(super) fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.0.delete(path).map_err(|error| failed(&error))
    }

    /// Has trusted roots and revocation lists fetched now, and waits for it.
    pub(super) fn refresh(&self) -> Result<(), Failure> {
        let IgnoredAny = self.post(vecs::REFRESH, &())?;
        Ok(())
    }
}

fn failed(error: &Error) -> Failure {
    match error {
        Error::Refused(problem) => Failure::new(problem.code, problem.detail.clone()),
        Error::Unreachable { socket, cause } => Failure::new(
            codes::SERVICE_NOT_ACTIVE,
            format!(
                "VECS does not answer on {} ({cause}); look with 'service-control --status' and start it with 'service-control --start vmafdd'",
                socket.display()
            ),
        ),
        Error::Protocol(_) => Failure::new(codes::VECS_UNKNOWN_ERROR, sentences(error)),
    }
}
