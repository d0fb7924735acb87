//! A private key as it travels over a Unix socket.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Unencrypted PKCS#8 PEM text of a private key. The only secret that has words on the wire.
///
/// It is wiped when dropped; the buffers of the HTTP layers around it are wiped by the allocator
/// that every binary installs.
pub struct KeyText(Zeroizing<String>);

impl KeyText {
    /// Takes over text that wipes itself.
    pub fn new(pem: Zeroizing<String>) -> Self {
        Self(pem)
    }

    /// The PEM text, for the call that needs it.
    pub fn expose_secret(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for KeyText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|pem| Self(Zeroizing::new(pem)))
    }
}

impl Serialize for KeyText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl std::fmt::Debug for KeyText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyText(…)")
    }
}
