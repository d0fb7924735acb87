//! Floor 3: the room of `vmcad`.
#![allow(missing_docs, clippy::todo, unused_variables)] // STUB: removed when the room is written.

use crate::base::{Clock, KeyAlgorithm, Secret};
use crate::store::Store;
use std::path::PathBuf;
use std::sync::{Arc, mpsc::Sender};

pub const MIGRATIONS: &[&str] = &[crate::journal::MIGRATION];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    VmcaCompat,
    Strict,
}

#[derive(Clone, Debug)]
pub struct Settings {
    pub profile: Profile,
    pub validity_days: u32,
    pub key_algorithm: KeyAlgorithm,
    pub allow_imported_keys: bool,
    pub chain_includes_root: bool,
    pub crl_days: u32,
    /** AIA caIssuers. */
    pub ca_issuers_url: Option<String>,
    /** file kept for scripts */
    pub root_cer: PathBuf,
}

/// Where keys are made: a process apart, in administrative mode.
pub trait Workshop: Send + Sync {
    fn generate(
        &self,
        label: &str,
        algorithm: KeyAlgorithm,
    ) -> Result<hsm::KeyReference, hsm::Error>;
    fn import(&self, label: &str, pkcs8: &Secret) -> Result<hsm::KeyReference, hsm::Error>;
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] crate::store::Error),
}

/// A CA certificate and its latest revocation list, for the directory.
#[derive(Clone, Debug)]
pub struct Publication {
    pub certificate: crate::x509::Certificate,
    pub crl: Option<crate::x509::Crl>,
}

/// How the CA and its token stand; a live check.
#[derive(Clone, Debug)]
pub struct Standing {
    pub token: Option<hsm::TokenIdentity>,
    /** None = fine */
    pub token_fault: Option<String>,
    pub active_ca: bool,
    pub unfinished_intents: usize,
}

pub struct Authority;
impl Authority {
    /// `changed` is told whenever there is something new to publish.
    pub fn open(
        store: Store,
        token: Arc<hsm::Token>,
        workshop: Box<dyn Workshop>,
        settings: Settings,
        clock: Arc<dyn Clock>,
        changed: Sender<()>,
    ) -> Result<Arc<Self>, Error> {
        todo!()
    }
    pub fn standing(&self) -> Standing {
        todo!()
    }
    /// Every certificate of every chain not retired, with the CRL of those whose key is ours.
    pub fn publications(&self) -> Result<Vec<Publication>, Error> {
        todo!()
    }
    /// Signs a new CRL for every CA not retired whose last one is past half its life.
    pub fn refresh_crls(&self) -> Result<(), Error> {
        todo!()
    }
}
