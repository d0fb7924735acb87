//! Looks at a token's custody and tries to break it: what is in the token, attribute by attribute, and live attempts at
//! what it must refuse.
//!
//! A token can lie about an attribute, so each key of ours is also asked for its value, for a readable copy, for a
//! wrapped copy, and for work that its role forbids. Nothing is left behind and nothing is destroyed: what an attempt
//! makes is a session object, and an attribute that could be changed is set back and reported.
//!
//! The sessions are read-write, because in a read-only one most attempts would fail for the wrong reason. The caller
//! makes a software token's folder unwritable for this process first, so that not even a successful attack lasts.

mod attempts;
mod identity;
mod keys;
mod strangers;
mod wrapping;

use std::sync::Arc;

use cryptoki::object::ObjectClass;
use serde::{Deserialize, Serialize};

use crate::recovery::Operation;
use crate::sessions::Access;
use crate::token::{Remedies, Token};
use crate::{Error, KeyId, TokenConfig};

pub use identity::{Library, TokenFacts, TokenFlag};
pub use strangers::{Stranger, StrangerKind};

/// What the caller's records say is in the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The keys on record.
    pub keys: Vec<ExpectedKey>,
    /// Whether these are all. If not, every key pair in the token is examined, and no key is called a stranger.
    pub complete: bool,
}

/// A key on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ExpectedKey {
    /// A key pair that signs.
    Signing {
        /// `CKA_ID`.
        id: KeyId,
        /// SHA-256 of the SubjectPublicKeyInfo (DER), lower-case hex. `None`: nobody could say.
        public_key_sha256: Option<String>,
        /// Whether the records say that it was brought in from outside. `None`: nobody could say.
        imported: Option<bool>,
    },
    /// An AES key that seals.
    Sealing {
        /// `CKA_ID`.
        id: KeyId,
    },
    /// An AES key that wraps keys born in the token.
    Wrapping {
        /// `CKA_ID`.
        id: KeyId,
    },
}

impl ExpectedKey {
    /// `CKA_ID`.
    pub fn id(&self) -> KeyId {
        match self {
            Self::Signing { id, .. } | Self::Sealing { id } | Self::Wrapping { id } => *id,
        }
    }

    /// The classes of the objects that the key consists of.
    fn classes(&self) -> &'static [ObjectClass] {
        match self {
            Self::Signing { .. } => &[ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY],
            Self::Sealing { .. } | Self::Wrapping { .. } => &[ObjectClass::SECRET_KEY],
        }
    }
}

/// Everything that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Examination {
    /// The PKCS#11 module.
    pub library: Library,
    /// The token.
    pub token: TokenFacts,
    /// Mechanisms that a key of ours needs and the token does not list.
    pub missing_mechanisms: Vec<String>,
    /// The keys on record, and what became of each check.
    pub keys: Vec<ExaminedKey>,
    /// Key objects that are on no record; at most [`MOST_STRANGERS`] of them.
    pub strangers: Vec<Stranger>,
    /// How many more there are.
    pub more_strangers: usize,
}

/// How many key objects that nobody knows are described one by one.
pub const MOST_STRANGERS: usize = 50;

/// A key, and what became of each check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExaminedKey {
    /// `CKA_ID`.
    pub id: KeyId,
    /// `CKA_LABEL`; empty where there is none, or no such key.
    pub label: String,
    /// What the key is: `RSA-3072`, `P-256`, `AES-256`; empty where that could not be told.
    pub kind: String,
    /// In the order in which they were made.
    pub observations: Vec<Observation>,
}

/// What became of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observation {
    /// What was checked.
    pub check: Check,
    /// How it came out.
    pub outcome: Outcome,
    /// What was seen or answered.
    pub detail: String,
}

/// A check of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Exactly one object of each class has the key's id.
    Present,
    /// The public key in the token is the one on record.
    PublicKey,
    /// No other key in the token has the same label.
    Label,
    /// Each attribute reads as the role demands.
    Attributes,
    /// Made in the token or brought in, as on record.
    Origin,
    /// Attempt: read the value.
    ValueNotTold,
    /// Attempt: make the key extractable, or not sensitive.
    AttributesHold,
    /// Attempt: copy it to a readable object.
    NotCopied,
    /// Attempt: wrap it under another key.
    NotWrapped,
    /// Attempt: use it for what its role forbids.
    OneUsage,
    /// Attempt: unwrap as readable what a wrapping key wrapped.
    NotTakenOut,
    /// It does what it is for: a fresh challenge verifies, or opens; a fresh key comes back.
    Proof,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// As it must be.
    Held,
    /// The token answered in a way that says neither.
    Doubtful,
    /// Custody is broken.
    Broken,
}

/// Connects, logs in once, examines, and closes its own sessions. Another process that is logged in is not touched.
///
/// Unavailable or Locked as for a token in service; a PIN is tried at most once, and not at all where the token says
/// that the next wrong one could be the last.
pub fn examine(config: &TokenConfig, expected: &Expected) -> Result<Examination, Error> {
    let token = Arc::new(Token::new(config.clone(), Access::ReadWrite, Remedies::InPlace));
    // Before the login, which clears the warning that PINs were tried.
    let (library, facts) = identity::tell(config)?;
    token.operate(Operation::Connect, |serving| {
        // One guard around logins and key generation: SoftHSM has races in both.
        let _guard = serving.running.admission();
        let keys = keys::with_unrecorded(serving, expected)?;
        let (strangers, more_strangers) =
            if expected.complete { strangers::find(serving, &keys)? } else { (Vec::new(), 0) };
        Ok(Examination {
            library: library.clone(),
            token: facts.clone(),
            missing_mechanisms: identity::missing_mechanisms(serving, &keys)?,
            keys: keys.iter().map(|key| keys::examine(serving, key)).collect::<Result<_, _>>()?,
            strangers,
            more_strangers,
        })
    })
}
