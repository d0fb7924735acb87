//! What can go wrong in the CA, by what the caller does next.

use crate::x509::{self, ChainError};

/// A refusal or a failure of the CA. [`Error::code`] gives the number that VMCA's clients know.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rule says no: correct the request.
    #[error("{sentence}")]
    Refused {
        /// Which rule.
        rule: Rule,
        /// What is wrong and what to do.
        sentence: String,
    },
    /// The certificate request cannot be used: correct it.
    #[error("the certificate request is refused")]
    Request(#[source] x509::Error),
    /// A subject or an alternative name of a CA cannot be used: correct it.
    #[error("the names for the CA are refused")]
    Names(#[source] x509::Error),
    /// The certificates to install cannot be read: bring the right file.
    #[error("the certificate chain cannot be read")]
    Certificates(#[source] x509::Error),
    /// The chain to install is not one: correct it.
    #[error("the certificate chain is not installed")]
    Chain(#[source] ChainError),
    /// A certificate for these names would not be valid below the chain: ask for other names.
    #[error("the names are not allowed below this CA")]
    Constrained(#[source] ChainError),
    /// The private key that came with a chain cannot be read: bring the right file.
    #[error("the private key cannot be read")]
    PrivateKey(#[source] x509::Error),
    /// There is no CA: make one.
    #[error(
        "there is no CA yet: make one with `certool --selfca`, or become an intermediate CA with \
         `certool --gencacsr` and then `certool --rootca`"
    )]
    NoAuthority,
    /// No CA has this number: look at the list.
    #[error("there is no CA number {0}: look the numbers up in the list of authorities")]
    NoSuchAuthority(i64),
    /// Too many requests wait already: try again in a moment.
    #[error(
        "more requests wait for the CA than it can take; nothing was begun: try again in a moment"
    )]
    Busy,
    /// The token does not do its work now: see to the token, then try again.
    #[error("the CA token cannot be used; nothing was issued and nothing was changed")]
    Token(#[source] hsm::Error),
    /// A key could not be made or brought in: see to the token, then try again.
    #[error("no CA key could be put into the token; nothing was changed")]
    Workshop(#[source] hsm::Error),
    /// The records cannot be read or written: see to the disk, then try again.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// What was to be signed could not be built exactly: a fault of ours; nothing was released.
    #[error("what was to be signed could not be built; nothing was issued; report this")]
    Building(#[source] x509::Error),
    /// A chain in our own records is none any more: the records were damaged; nothing was signed.
    #[error("a CA chain in the records cannot be used; restore the database of vmcad")]
    Records(#[source] ChainError),
    /// Our own records contradict each other: a fault of ours; nothing was released.
    #[error("{0}; nothing was issued; report this")]
    Fault(&'static str),
}

/// Rules that a well-formed request can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Start, end and length of validity.
    Validity,
    /// Nothing starts before the CA itself.
    StartOfAuthority,
    /// What may stand in a certificate.
    Field,
    /// No wildcard in a common name.
    CommonName,
    /// No wildcard in a DNS name.
    DnsName,
    /// A parameter lies outside its range.
    Argument,
    /// No CA key that lies in a file.
    KeyInTheClear,
    /// A CA certificate belongs to a key in our token.
    KeyOfOurs,
    /// Only a superseded CA can be retired.
    State,
}

impl Error {
    pub(super) fn refused(rule: Rule, sentence: impl Into<String>) -> Self {
        Self::Refused { rule, sentence: sentence.into() }
    }

    /// Sorts what the builder of a certificate says: a value of the caller's, or a fault of ours.
    pub(super) fn drafting(cause: x509::Error, of_caller: fn(x509::Error) -> Self) -> Self {
        match cause {
            x509::Error::Field(_) | x509::Error::Country(_) | x509::Error::KeyNotAccepted(_) => {
                of_caller(cause)
            }
            _ => Self::Building(cause),
        }
    }

    /// The number in VMCA's error table (or the Win32 code that VMCA's clients print).
    pub const fn code(&self) -> u32 {
        match self {
            Self::Refused { rule, .. } => rule.code(),
            Self::Request(cause) | Self::Names(cause) => match cause {
                x509::Error::NoPem(_) | x509::Error::Malformed(_) | x509::Error::Encrypted(_) => {
                    70006
                }
                x509::Error::Signature(_) | x509::Error::Field(_) => 70012,
                x509::Error::KeyNotAccepted(_) => 70015,
                x509::Error::Country(_) => 87,
                x509::Error::Building(_) => 70070,
            },
            Self::Certificates(cause) => match cause {
                x509::Error::NoPem(_) => 11,
                x509::Error::KeyNotAccepted(_) => 70015,
                x509::Error::Malformed(_)
                | x509::Error::Encrypted(_)
                | x509::Error::Signature(_)
                | x509::Error::Field(_)
                | x509::Error::Country(_)
                | x509::Error::Building(_) => 70008,
            },
            Self::Chain(cause) => match cause {
                ChainError::Incomplete(_) => 70062,
                ChainError::Order(_) | ChainError::Signature(_) | ChainError::Constraint(_) => {
                    70063
                }
                ChainError::NotCa(_) => 70011,
                ChainError::Dates(_) => 70002,
                ChainError::Key(_) => 70015,
            },
            Self::Constrained(_) => 70012,
            Self::PrivateKey(_) => 70065,
            Self::NoAuthority => 70000,
            Self::NoSuchAuthority(_) => 70097,
            // ERROR_BUSY of Win32.
            Self::Busy => 170,
            Self::Token(_) => 70032,
            Self::Workshop(cause) => match cause {
                hsm::Error::Unavailable { .. } | hsm::Error::Locked { .. } => 70032,
                hsm::Error::NoSuchKey { .. }
                | hsm::Error::Refused { .. }
                | hsm::Error::Unreadable { .. }
                | hsm::Error::Unsupported { .. } => 70007,
            },
            Self::Store(_) => 70022,
            Self::Building(_) => 70070,
            Self::Records(_) | Self::Fault(_) => 70101,
        }
    }
}

impl Rule {
    const fn code(self) -> u32 {
        match self {
            Self::Validity => 70002,
            Self::Argument => 70003,
            Self::KeyInTheClear => 70009,
            Self::Field => 70012,
            Self::StartOfAuthority => 70034,
            Self::KeyOfOurs => 70037,
            Self::CommonName => 70060,
            Self::DnsName => 70061,
            Self::State => 70098,
        }
    }
}
