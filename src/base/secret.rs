//! The one type for bytes that must not outlive their use.

use zeroize::Zeroizing;

/// Secret octets: a private key, a password. Wiped when dropped.
///
/// It has no `Clone`, `Display`, `PartialEq` or `Serialize` on purpose: each copy of a secret is a
/// place where it can leak, so a copy must be written out where a reviewer sees it.
/// `expose_secret` may be called only in the files that `tests/layers.rs` lists.
pub struct Secret(Box<Zeroizing<Vec<u8>>>);

impl Secret {
    /// Takes ownership of the octets without copying them.
    pub fn new(octets: Vec<u8>) -> Self {
        Self(Box::new(Zeroizing::new(octets)))
    }

    /// Takes over a buffer that already wipes itself.
    pub fn from_zeroizing(octets: Zeroizing<Vec<u8>>) -> Self {
        Self(Box::new(octets))
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
    use super::Secret;

    #[test]
    fn debug_output_hides_the_octets() {
        let shown = format!("{:?}", Secret::new(b"hunter2".to_vec()));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
