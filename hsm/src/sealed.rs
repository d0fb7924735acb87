//! The format of sealed data, version 1.
//!
//! | Octets | What |
//! |---|---|
//! | 0..2 | `SW` |
//! | 2 | version: 1 |
//! | 3 | form: content (upper four bits) and mechanism (lower four bits) |
//! | 4..8 | generation of the keys, big-endian: grows by one whenever others take their place |
//! | 8..40 | `CKA_ID` of the sealing key |
//! | 40.. | body, as the mechanism says |
//!
//! The additional authenticated data are octets 0..40 followed by the context that the data is bound to. The context
//! is not stored. docs/FORMATS.md says the same for others, with the body of each mechanism and the plaintext of each
//! content; `tests/vectors/sealed` holds it.

use serde::{Deserialize, Serialize};

use crate::KeyId;

const MAGIC: [u8; 3] = [b'S', b'W', 1];
const HEADER: usize = MAGIC.len() + 1 + 4 + 32;
/// Octets of the initialisation vector.
pub(crate) const IV: usize = 12;
/// Octets of the authentication tag.
pub(crate) const TAG: usize = 16;
/// Octets of a data key that was wrapped: its 32, and one block of RFC 5649.
pub(crate) const WRAPPED_DATA_KEY: usize = 32 + 8;

/// What sealed data says of itself, without a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Generation of the keys that it is sealed under.
    pub generation: u32,
    /// `CKA_ID` of the sealing key.
    pub sealing: KeyId,
    /// How it is sealed.
    pub mechanism: SealingMechanism,
    /// What is inside.
    pub content: Content,
}

/// How a sealing key seals. A key is made for one mechanism, and can do nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SealingMechanism {
    /// AES-256-GCM inside the token (`CKM_AES_GCM`, SP 800-38D).
    Gcm,
    /// AES-256-GCM on the host, with a data key that serves once and is wrapped inside the token
    /// (`CKM_AES_KEY_WRAP_PAD`, RFC 5649).
    KeyWrap,
}

impl std::fmt::Display for SealingMechanism {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Gcm => "AES-GCM",
            Self::KeyWrap => "AES key wrap with padding",
        })
    }
}

/// What sealed data holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// The octets that were given to be sealed.
    Secret,
    /// A private key born in the token, wrapped. It opens to its PKCS#8 (DER).
    WrappedKey,
}

impl Header {
    /// `None` if this is not sealed data of a version that is known here.
    pub fn read(sealed: &[u8]) -> Option<Self> {
        Some(Sealed::parse(sealed)?.header)
    }

    /// What the tag covers besides the ciphertext. The header is part of it, so that nobody can pass data of one
    /// generation, or of one kind, off as data of another.
    pub(crate) fn additional_data(&self, context: &[u8]) -> Vec<u8> {
        [&self.octets(), context].concat()
    }

    /// Sealed data of this header.
    pub(crate) fn followed_by(&self, body: &[u8]) -> Vec<u8> {
        [&self.octets(), body].concat()
    }

    fn octets(&self) -> [u8; HEADER] {
        let mut octets = [0; HEADER];
        octets[..3].copy_from_slice(&MAGIC);
        octets[3] = form(self.mechanism, self.content);
        octets[4..8].copy_from_slice(&self.generation.to_be_bytes());
        octets[8..].copy_from_slice(&self.sealing.0);
        octets
    }
}

const fn form(mechanism: SealingMechanism, content: Content) -> u8 {
    let content = match content {
        Content::Secret => 0x00,
        Content::WrappedKey => 0x10,
    };
    content
        | match mechanism {
            SealingMechanism::Gcm => 1,
            SealingMechanism::KeyWrap => 2,
        }
}

/// Sealed data, taken apart.
#[derive(Debug, PartialEq)]
pub(crate) struct Sealed<'a> {
    pub(crate) header: Header,
    pub(crate) body: &'a [u8],
}

impl<'a> Sealed<'a> {
    /// `None` if this is not sealed data of this version.
    pub(crate) fn parse(octets: &'a [u8]) -> Option<Self> {
        let rest = octets.strip_prefix(&MAGIC)?;
        let ([found], rest) = rest.split_first_chunk()?;
        let (generation, rest) = rest.split_first_chunk()?;
        let (sealing, body) = rest.split_first_chunk()?;
        let (mechanism, content) = [SealingMechanism::Gcm, SealingMechanism::KeyWrap]
            .into_iter()
            .flat_map(|mechanism| {
                [Content::Secret, Content::WrappedKey].map(|content| (mechanism, content))
            })
            .find(|(mechanism, content)| form(*mechanism, *content) == *found)?;
        let shortest = match mechanism {
            SealingMechanism::Gcm => IV + TAG,
            SealingMechanism::KeyWrap => WRAPPED_DATA_KEY + IV + TAG,
        };
        let generation = u32::from_be_bytes(*generation);
        let header = Header { generation, sealing: KeyId(*sealing), mechanism, content };
        (body.len() >= shortest).then_some(Self { header, body })
    }
}

#[cfg(test)]
mod tests;
