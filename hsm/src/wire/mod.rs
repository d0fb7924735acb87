//! What a client and its token agent say to each other.
//!
//! Over a stream socket travel frames (`frames.rs`). A frame holds a number and one message; an answer has the number
//! of its request, so that many requests are under way at once and answers come in any order. Messages are values of
//! the two enums below, encoded by postcard. Number 0 is the opening, which comes first and once.
//!
//! Secrets travel as [`Wiped`]; frames are wiped at both ends as soon as they are read or sent.

mod failure;
mod frames;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

pub(crate) use failure::{Failed, presentable, presentable_if_any};
pub(crate) use frames::{Frame, Frames, Outgoing, send};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use frames::{HEADER, LONGEST};

use crate::{Algorithm, KeyGeneration, KeyReference, Origin, Purpose, Scheme, TokenIdentity};

/// The version that both ends must have. A frame of another version ends the connection.
pub(crate) const VERSION: u8 = 1;

/// From the client to the agent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// The first message: which token. Answered by [`Answer::Done`] before the token is asked anything.
    Open(Opening),
    /// `Token::check`.
    Check,
    /// `Token::reload`: what other processes made in the token is to be seen.
    Reload,
    /// `Token::random`, this many octets.
    Random(u16),
    /// `SigningKey::check`.
    ProveSigningKey(KeyReference),
    /// `SigningKey::origin`.
    Origin(KeyReference),
    /// `SigningKey::sign`.
    Sign { key: KeyReference, purpose: Purpose, message: Vec<u8> },
    /// `SealingKeys::check`.
    ProveGeneration(KeyGeneration),
    /// `SealingKeys::seal`.
    Seal { keys: KeyGeneration, context: Vec<u8>, secret: Wiped },
    /// `SealingKeys::open`.
    Unseal { keys: KeyGeneration, context: Vec<u8>, sealed: Vec<u8> },
    /// `SealingKeys::reseal`.
    Reseal {
        keys: KeyGeneration,
        old: KeyGeneration,
        old_context: Vec<u8>,
        context: Vec<u8>,
        sealed: Vec<u8>,
    },
    /// `SealingKeys::generate`.
    Generate { keys: KeyGeneration, algorithm: Algorithm, context: Vec<u8> },
    /// `SealingKeys::sign`.
    SignSealed {
        keys: KeyGeneration,
        context: Vec<u8>,
        sealed: Vec<u8>,
        purpose: Purpose,
        scheme: Scheme,
        message: Vec<u8>,
    },
}

/// What an agent must know before it can do anything.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Opening {
    /// The token. `None`: the one that the agent was started for. An agent that listens for others takes no orders
    /// about which library to load.
    pub(crate) token: Option<Selection>,
    /// The token as it was seen by an agent before this one. Another one in its place must not be sent the PIN.
    pub(crate) seen: Option<TokenIdentity>,
    /// An agent before this one ended while it logged in: nobody knows what became of that try of the PIN.
    pub(crate) login_in_doubt: bool,
}

/// A [`crate::TokenConfig`] on its way.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Selection {
    pub(crate) module: String,
    pub(crate) uri: String,
    /// The agent reads the source, so that the PIN itself does not travel.
    pub(crate) pin_source: String,
    /// The PIN, where its source answers only once and the client has asked it.
    pub(crate) pin: Option<Wiped>,
}

/// From the agent to the client.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// It went well, and there is nothing more to say.
    Done,
    Identity(TokenIdentity),
    Origin(Origin),
    Signature(Vec<u8>),
    Sealed(Vec<u8>),
    /// Octets that only the asker may see.
    Secret(Wiped),
    Generated {
        public_key: Vec<u8>,
        sealed: Vec<u8>,
    },
    Failed(Failed),
}

impl Answer {
    /// What kind of answer it is, without what it holds.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Identity(_) => "an identity",
            Self::Origin(_) => "an origin",
            Self::Signature(_) => "a signature",
            Self::Sealed(_) => "sealed data",
            Self::Secret(_) => "secret data",
            Self::Generated { .. } => "a key",
            Self::Failed(_) => "a failure",
        }
    }
}

/// Secret octets on the wire, wiped when dropped.
pub(crate) struct Wiped(pub(crate) Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Wiped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wiped(..)")
    }
}

impl Serialize for Wiped {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Wiped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Octets;
        impl Visitor<'_> for Octets {
            type Value = Wiped;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("octets")
            }

            // Copied once, out of a frame that is wiped, into a buffer that never grows.
            fn visit_bytes<E: serde::de::Error>(self, octets: &[u8]) -> Result<Wiped, E> {
                Ok(Wiped(Zeroizing::new(octets.to_vec())))
            }
        }
        deserializer.deserialize_bytes(Octets)
    }
}

impl Wiped {
    /// The text of a secret that is text.
    pub(crate) fn text(&self) -> Option<Zeroizing<String>> {
        std::str::from_utf8(&self.0).ok().map(|text| Zeroizing::new(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::KeyId;

    #[test]
    fn messages_survive_their_octets() {
        let keys = KeyGeneration { number: 7, sealing: KeyId([1; 32]), wrapping: KeyId([2; 32]) };
        let secret = Wiped(Zeroizing::new(b"secret".to_vec()));
        let octets =
            postcard::to_stdvec(&Request::Seal { keys, context: vec![1, 2], secret }).unwrap();
        let Request::Seal { keys: read, context, secret } = postcard::from_bytes(&octets).unwrap()
        else {
            panic!("another message")
        };
        assert_eq!((read, context, secret.0.as_slice()), (keys, vec![1, 2], &b"secret"[..]));
    }

    #[test]
    fn a_secret_is_not_shown() {
        let shown = format!("{:?}", Answer::Secret(Wiped(Zeroizing::new(b"hunter2".to_vec()))));
        assert!(!shown.contains("hunter2") && !shown.contains("104"), "{shown}");
    }

    /// Octets as they may come from a process that was taken over.
    #[test]
    fn no_octets_make_the_reader_panic() {
        let octets = postcard::to_stdvec(&Request::Sign {
            key: KeyReference { id: KeyId([3; 32]), public_key: vec![4; 91] },
            purpose: Purpose::Certificate,
            message: vec![5; 300],
        })
        .unwrap();
        for length in 0..octets.len() {
            assert!(postcard::from_bytes::<Request>(&octets[..length]).is_err());
        }
        for at in 0..octets.len() {
            for octet in 0..=255 {
                let mut changed = octets.clone();
                changed[at] = octet;
                let _ = postcard::from_bytes::<Request>(&changed);
                let _ = postcard::from_bytes::<Answer>(&changed);
            }
        }
    }
}
