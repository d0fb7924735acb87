//! Why VECS does not do something, by what the caller does next.

use crate::{store, x509};

/// A refusal or a failure of VECS.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request cannot be accepted as it is: correct it.
    #[error("{0}")]
    Invalid(String),
    /// A certificate or a private key cannot be taken; the sentence is the reader's own.
    #[error(transparent)]
    Material(x509::Error),
    /// The private key belongs to another certificate.
    #[error(
        "the private key does not belong to the first certificate; \
         give the key that the certificate was issued for, and put that certificate first"
    )]
    KeyMismatch,
    /// The caller may not do this with this store.
    #[error("{0}")]
    Denied(String),
    /// There is no such store or entry.
    #[error("{0}")]
    NotFound(String),
    /// The name or alias is taken.
    #[error("{0}")]
    Exists(String),
    /// There is as much as there may be.
    #[error("{0}")]
    Limit(String),
    /// The directory publishes nothing at all, which no directory of an appliance with a CA does.
    #[error(
        "vmdird publishes no trusted root at all, as if its database were new; those that are \
         trusted stay. vmcad publishes its own again within minutes, publish the others again; to \
         trust none, delete the entries of TRUSTED_ROOTS"
    )]
    NothingPublished,
    /// The sealing token does not do its part now. Nothing was changed.
    #[error(
        "the sealing token cannot be used, so no private key can be stored or read; \
         certificates and lists are still served"
    )]
    Token(#[source] hsm::Error),
    /// The token does not do this, or the policy beside its keys; trying again does not help.
    #[error("the token does not do this with such a key, or not for this purpose")]
    NotDone(#[source] hsm::Error),
    /// The entry has another key than the one that was meant.
    #[error("the entry has another key by now; fetch its certificate again")]
    KeyChanged,
    /// A token answers, but not with the key under which the stored keys are sealed.
    #[error(
        "the token that answers does not hold the wrapping key under which the stored private keys \
         are sealed: it was replaced, or the key is gone; put the right token back. Until then no \
         private key is stored or read; certificates and lists are still served"
    )]
    TokenReplaced(#[source] hsm::Error),
    /// There are no sealing keys yet.
    #[error(
        "there are no sealing keys yet, so no private key can be stored; they are made by themselves \
         as soon as the token works: if this lasts longer than a minute, see the log of vmafdd"
    )]
    NoKeys,
    /// The keys of a former version's appliance seal, but wrap nothing.
    #[error(
        "the sealing keys in use were made by a former version and cannot take a key out of the \
         token; run `sealwright rewrap` for new ones, then try again"
    )]
    NoWrappingKey,
    /// Sealed data names keys that the registry does not have; the sentence says which.
    #[error(
        "a stored key cannot be opened: {0}. The database was changed or is not complete: restore \
         it from a backup, or delete the entry and create it again"
    )]
    UnknownKeys(String),
    /// A sealed key does not open although the token is the right one: the row was damaged or
    /// exchanged.
    #[error(
        "the stored key of {entry} does not open: its row in the database was damaged or \
         exchanged; delete the entry and create it again, and find out who changed the database"
    )]
    Unreadable {
        /// Store and alias.
        entry: String,
        /// The token's answer.
        #[source]
        cause: hsm::Error,
    },
    /// The database does not do its part.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// The number that `vecs-cli` prints: a Win32 code or one of VECS (90001 to 90101).
    pub const fn code(&self) -> u32 {
        match self {
            Self::Denied(_) => 5,
            // ERROR_NOT_SUPPORTED.
            Self::NotDone(_) => 50,
            Self::Material(
                x509::Error::NoPem(_) | x509::Error::Malformed(_) | x509::Error::Signature(_),
            ) => 11,
            Self::Material(x509::Error::Encrypted(_)) => 1323,
            Self::Invalid(_) | Self::Material(_) => 87,
            Self::Store(store::Error::Full(_)) => 112,
            Self::Exists(_) => 183,
            // ERROR_NOT_ENOUGH_QUOTA.
            Self::Limit(_) => 1816,
            Self::NotFound(_) | Self::KeyChanged => 4312,
            Self::Store(_) => 90001,
            Self::KeyMismatch => 90018,
            Self::NothingPublished => 90007,
            Self::Token(_)
            | Self::TokenReplaced(_)
            | Self::NoKeys
            | Self::NoWrappingKey
            | Self::UnknownKeys(_)
            | Self::Unreadable { .. } => 90101,
        }
    }

    /// This layer's sentence and those beneath it, for an operator.
    pub fn sentence(&self) -> String {
        crate::base::sentences(self)
    }
}
