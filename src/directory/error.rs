//! Why the directory does not do something, by what the caller does next.

use crate::{access, store, x509};

/// A refusal or a failure of the directory.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller may not do this.
    #[error(transparent)]
    Denied(#[from] access::Denied),
    /// A certificate or a revocation list cannot be taken; the sentence is the reader's own.
    #[error(transparent)]
    Material(x509::Error),
    /// There is more than one certificate.
    #[error(
        "there are {0} certificates; publish exactly one at a time, so that each has its own entry"
    )]
    NotOne(usize),
    /// The revocation list is not one of this certificate.
    #[error(
        "the revocation list was not issued under this certificate; \
         give the list that the CA with this certificate has signed"
    )]
    ForeignCrl(#[source] Option<x509::Error>),
    /// The revocation list is older than the one that is published.
    #[error(
        "the revocation list is older than the one that is published, which stays; \
         give the CA's latest list"
    )]
    OldCrl,
    /// The database does not do its part.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// The number that `dir-cli` prints: a Win32 code, or one of LDAP for 1 and 13.
    pub const fn code(&self) -> u32 {
        match self {
            Self::Store(store::Error::Full(_)) => 112,
            Self::Store(_) => 1,
            Self::Denied(_) => 5,
            Self::Material(x509::Error::NoPem(_) | x509::Error::Malformed(_)) => 11,
            Self::NotOne(_) => 13,
            Self::Material(_) | Self::ForeignCrl(_) | Self::OldCrl => 87,
        }
    }

    /// This layer's sentence and those beneath it, for an operator.
    pub fn sentence(&self) -> String {
        crate::base::sentences(self)
    }
}
