//! Custody of keys in PKCS#11 tokens.
#![allow(missing_docs, clippy::todo, unused_variables)] // STUB: removed when the crate is written.

use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// 32 random octets, `CKA_ID` of a key of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(pub [u8; 32]);
impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for b in self.0 {
            write!(f, "{b:02x}")?;
        }
        Ok(())
    }
}
impl std::str::FromStr for KeyId {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self, Error> {
        todo!()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Rsa(u16),
    P256,
    P384,
}

/// RFC 7512: selects by label and/or serial, never by slot.
#[derive(Clone, Debug)]
pub struct TokenUri {
    pub label: Option<String>,
    pub serial: Option<String>,
}
impl std::str::FromStr for TokenUri {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self, Error> {
        todo!()
    }
}
impl std::fmt::Display for TokenUri {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}

/// `file:PATH`, `fd:N`, `credential:NAME` (under $CREDENTIALS_DIRECTORY), `prompt`.
#[derive(Clone, Debug)]
pub enum PinSource {
    File(PathBuf),
    Descriptor(i32),
    Credential(String),
    Prompt,
}
impl std::str::FromStr for PinSource {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self, Error> {
        todo!()
    }
}
impl std::fmt::Display for PinSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}
impl PinSource {
    pub fn read(&self) -> Result<Pin, Error> {
        todo!()
    }
}

pub struct Pin(Zeroizing<String>);
impl Pin {
    /// At least 128 random bits, printable.
    pub fn random() -> Result<Self, Error> {
        todo!()
    }
    pub fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }
    pub fn expose_secret(&self) -> &str {
        &self.0
    }
}

/// Six words, each a different decision for the caller.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Locked(String),
    #[error("{0}")]
    NoSuchKey(String),
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Unreadable(String),
    #[error("{0}")]
    Unsupported(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenIdentity {
    pub label: String,
    pub serial: String,
    pub manufacturer: String,
    pub model: String,
}

/// Which private key: by id AND public key (SubjectPublicKeyInfo, DER).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyReference {
    pub id: KeyId,
    pub public_key: Vec<u8>,
}

/// Which module, which token, where the PIN comes from.
#[derive(Clone, Debug)]
pub struct TokenConfig {
    pub module: PathBuf,
    pub uri: TokenUri,
    pub pin: PinSource,
}

/// A token in service: logged in once, read-only sessions. Connects on first use and again after an outage.
pub struct Token;
impl Token {
    /// No I/O: a token that is absent today may be there tomorrow, and the service stays up meanwhile.
    pub fn new(config: TokenConfig) -> std::sync::Arc<Self> {
        todo!()
    }
    /// Identity as last seen.
    pub fn identity(&self) -> Option<TokenIdentity> {
        todo!()
    }
    pub fn signing_key(self: &std::sync::Arc<Self>, key: KeyReference) -> SigningKey {
        todo!()
    }
    pub fn wrapping_key(self: &std::sync::Arc<Self>, id: KeyId) -> WrappingKey {
        todo!()
    }
    pub fn random(&self, octets: &mut [u8]) -> Result<(), Error> {
        todo!()
    }
    /// Drains, finalises and initialises the module again, logs in: keys made by another process become visible.
    pub fn reload(&self) -> Result<(), Error> {
        todo!()
    }
    /// A live check: connected, logged in, a session answers. Connects if need be.
    pub fn check(&self) -> Result<TokenIdentity, Error> {
        todo!()
    }
}

#[derive(Clone)]
pub struct SigningKey;
impl SigningKey {
    /// Finds the key (by id, class and public key), and proves it by signing and verifying a fresh challenge.
    pub fn check(&self) -> Result<(), Error> {
        todo!()
    }
    pub fn algorithm(&self) -> Algorithm {
        todo!()
    }
    pub fn reference(&self) -> &KeyReference {
        todo!()
    }
    /// Signs exactly these octets with the hash that belongs to the key (SHA-256; SHA-384 for P-384) and
    /// verifies with the public key before returning. ECDSA: DER Ecdsa-Sig-Value. RSA: PKCS#1 v1.5.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        todo!()
    }
}

#[derive(Clone)]
pub struct WrappingKey;
impl WrappingKey {
    /// Finds the key by id and class and judges its attributes.
    pub fn check(&self) -> Result<(), Error> {
        todo!()
    }
    pub fn id(&self) -> KeyId {
        todo!()
    }
    pub fn seal(&self, context: &[u8], secret: &[u8]) -> Result<Vec<u8>, Error> {
        todo!()
    }
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        todo!()
    }
}

/// Administrative mode: creates tokens and keys. Never used by a serving process.
pub mod provision {
    use super::*;
    pub fn create_token(
        module: &Path,
        label: &str,
        so_pin: &Pin,
        user_pin: &Pin,
    ) -> Result<TokenIdentity, Error> {
        todo!()
    }
    pub struct Workshop;
    impl Workshop {
        pub fn open(config: &TokenConfig) -> Result<Self, Error> {
            todo!()
        }
        pub fn identity(&self) -> TokenIdentity {
            todo!()
        }
        pub fn generate_signing_key(
            &self,
            label: &str,
            algorithm: Algorithm,
        ) -> Result<KeyReference, Error> {
            todo!()
        }
        pub fn generate_wrapping_key(&self, label: &str) -> Result<KeyId, Error> {
            todo!()
        }
        /// `pkcs8`: DER PrivateKeyInfo. The key stays marked as imported (CKA_LOCAL false).
        pub fn import_signing_key(&self, label: &str, pkcs8: &[u8]) -> Result<KeyReference, Error> {
            todo!()
        }
    }
}
