//! Floor 5: administrative mode. Keys and tokens are made in a child process, one at a time.
#![allow(missing_docs, clippy::todo, unused_variables)] // STUB

use crate::base::{KeyAlgorithm, Layout, Secret};
use crate::config::{TokenRole, TokenSection};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Failed(String),
    #[error(transparent)]
    Token(#[from] hsm::Error),
}

/// The child process `sealwright token-workshop ROLE`, waiting for work on its standard input.
/// Started BEFORE the parent restricts itself and before any module is loaded.
pub struct WorkshopProcess;
impl WorkshopProcess {
    /// Spawns the `sealwright` program that lies beside the running one.
    pub fn start(layout: &Layout, role: TokenRole, token: &TokenSection) -> Result<Self, Error> {
        todo!()
    }
    /// PIN files are read by the child; nothing secret is on its command line.
    pub fn create_token(
        &self,
        label: &str,
        so_pin: &hsm::PinSource,
        user_pin: &hsm::PinSource,
    ) -> Result<hsm::TokenIdentity, Error> {
        todo!()
    }
    /// Label and serial of the configured token.
    pub fn identity(&self) -> Result<hsm::TokenIdentity, Error> {
        todo!()
    }
    pub fn generate_wrapping_key(&self, label: &str) -> Result<hsm::KeyId, Error> {
        todo!()
    }
    pub fn generate_signing_key(
        &self,
        label: &str,
        algorithm: KeyAlgorithm,
    ) -> Result<hsm::KeyReference, Error> {
        todo!()
    }
    pub fn import_signing_key(
        &self,
        label: &str,
        pkcs8: &Secret,
    ) -> Result<hsm::KeyReference, Error> {
        todo!()
    }
}
/// What the child runs: `sealwright token-workshop ROLE` (hidden command).
pub fn run_child(layout: &Layout, role: TokenRole) -> std::process::ExitCode {
    todo!()
}
