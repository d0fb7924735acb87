//! Floor 3: the room of `vmafdd`.
#![allow(missing_docs, clippy::todo, unused_variables)] // STUB: removed when the room is written.

use crate::base::Clock;
use crate::store::Store;
use crate::x509::{Certificate, Crl};
use std::sync::Arc;

pub const MIGRATIONS: &[&str] = &[crate::journal::MIGRATION];

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] crate::store::Error),
}

#[derive(Clone, Debug)]
pub struct Standing {
    pub token: Option<hsm::TokenIdentity>,
    pub token_fault: Option<String>,
}

/// What the directory publishes: one CA certificate and its CRL.
#[derive(Clone, Debug)]
pub struct PublishedRoot {
    pub certificate: Certificate,
    pub crl: Option<Crl>,
}

pub struct Vecs;
impl Vecs {
    /// Creates the default stores (owner: the service's user) on first start and proves the wrapping key with a
    /// check value sealed on first start: a token replaced by another is recognised and refused.
    pub fn open(
        store: Store,
        token: Arc<hsm::Token>,
        wrapping_key: hsm::KeyId,
        service_uid: u32,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, Error> {
        todo!()
    }
    pub fn standing(&self) -> Standing {
        todo!()
    }
    /// The refresh rule of the reference (section 6) on TRUSTED_ROOTS and TRUSTED_ROOT_CRLS.
    pub fn refresh(&self, published: &[PublishedRoot]) -> Result<(), Error> {
        todo!()
    }
}
