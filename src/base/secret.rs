//! The one type for octets that must not outlive their use.

use secret_memory::SecretOctets;
use zeroize::Zeroizing;

/// Secret octets: a private key, a password. Kept in hidden or locked memory (crate `secret-memory`), wiped when dropped.
///
/// It has no `Clone`, `Display`, `PartialEq` or `Serialize` on purpose: each copy of a secret is a
/// place where it can leak, so a copy must be written out where a reviewer sees it.
/// `expose_secret` may be called only in the files that `tests/layers.rs` lists.
pub struct Secret(SecretOctets);

impl Secret {
    /// Takes the octets over; the vector's memory is wiped.
    pub fn new(octets: Vec<u8>) -> Self {
        Self(octets.into())
    }

    /// Takes over a buffer that wipes itself.
    pub fn from_zeroizing(octets: Zeroizing<Vec<u8>>) -> Self {
        Self::copy_of(&octets)
    }

    /// A copy of octets that stay where they are. Whoever holds them wipes them.
    pub fn copy_of(octets: &[u8]) -> Self {
        Self(SecretOctets::copy_of(octets))
    }

    /// Octets that were written in place.
    pub const fn from_memory(octets: SecretOctets) -> Self {
        Self(octets)
    }

    /// The octets, for the call that needs them.
    pub fn expose_secret(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::{Secret, SecretOctets, Zeroizing};

    #[test]
    fn debug_output_hides_the_octets() {
        let shown = format!("{:?}", Secret::new(b"hunter2".to_vec()));
        assert_eq!(shown, "Secret(…)");
    }

    #[test]
    fn every_way_in_keeps_the_octets() {
        for secret in [
            Secret::new(b"hunter2".to_vec()),
            Secret::from_zeroizing(Zeroizing::new(b"hunter2".to_vec())),
            Secret::copy_of(b"hunter2"),
            Secret::from_memory(SecretOctets::copy_of(b"hunter2")),
        ] {
            assert_eq!(secret.expose_secret(), b"hunter2");
        }
    }
}
