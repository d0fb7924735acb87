//! Why something is not taken: a sentence for the operator, and the cause beneath it.

use std::error::Error as StdError;
use std::fmt;
use std::ops::Deref;

/// A sentence that says what is wrong and what to do next, with the cause that a decoder or a
/// cryptographic library reported, where there is one.
///
/// It reads like a `str`, so that callers can put it in front of an operator as it is.
#[derive(Debug)]
pub struct Refusal {
    sentence: String,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Refusal {
    /// A sentence with the typed cause beneath it.
    pub fn because(
        sentence: impl Into<String>,
        cause: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { sentence: sentence.into(), cause: Some(cause.into()) }
    }

    /// The same finding in the words of the layer above; the cause stays, and is not said twice.
    pub(super) fn reworded(self, reword: impl FnOnce(&str) -> String) -> Self {
        Self { sentence: reword(&self.sentence), cause: self.cause }
    }
}

impl<T: Into<String>> From<T> for Refusal {
    fn from(sentence: T) -> Self {
        Self { sentence: sentence.into(), cause: None }
    }
}

impl Deref for Refusal {
    type Target = str;

    fn deref(&self) -> &str {
        &self.sentence
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl StdError for Refusal {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn StdError + 'static))
    }
}

/// Why something from outside is not taken; sorted by what is wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text holds no PEM block of the kind that was asked for.
    #[error(transparent)]
    NoPem(Refusal),
    /// It is cut off, too large, not DER, or not what its PEM label says.
    #[error(transparent)]
    Malformed(Refusal),
    /// A signature does not verify, or was made with an algorithm that is not accepted.
    #[error(transparent)]
    Signature(Refusal),
    /// The key is too weak, or of a kind that is not accepted.
    #[error(transparent)]
    KeyNotAccepted(Refusal),
    /// The private key is protected by a password.
    #[error(transparent)]
    Encrypted(Refusal),
    /// A field of a subject or an alternative name has a value that cannot be certified.
    #[error(transparent)]
    Field(Refusal),
    /// The country is not a code of two letters.
    #[error(transparent)]
    Country(Refusal),
    /// A certificate, request or revocation list could not be built exactly as it was asked for.
    #[error(transparent)]
    Building(Refusal),
}

impl Error {
    /// The finding alone, for a layer above that sorts it anew.
    pub(super) fn into_refusal(self) -> Refusal {
        match self {
            Self::NoPem(refusal)
            | Self::Malformed(refusal)
            | Self::Signature(refusal)
            | Self::KeyNotAccepted(refusal)
            | Self::Encrypted(refusal)
            | Self::Field(refusal)
            | Self::Country(refusal)
            | Self::Building(refusal) => refusal,
        }
    }
}

/// Why a CA chain, or a name below it, is refused; sorted by the VMCA code that it becomes.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The chain does not end in a self-signed certificate (70062).
    #[error(transparent)]
    Incomplete(Refusal),
    /// It is empty, too long, or some certificate was not issued by the one after it (70063).
    #[error(transparent)]
    Order(Refusal),
    /// A certificate in it may not sign certificates (70011).
    #[error(transparent)]
    NotCa(Refusal),
    /// A signature in it does not verify (70063).
    #[error(transparent)]
    Signature(Refusal),
    /// A certificate in it is expired or not yet valid (70002).
    #[error(transparent)]
    Dates(Refusal),
    /// Path length, name constraints, or a critical extension that is not understood (70011).
    #[error(transparent)]
    Constraint(Refusal),
    /// A key in it is too weak or of a kind that is not accepted (70015).
    #[error(transparent)]
    Key(Refusal),
}
