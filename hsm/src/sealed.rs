//! The format of sealed data, version 1.
//!
//! | Octets | What |
//! |---|---|
//! | 0..2 | `SW` |
//! | 2 | version: 1 |
//! | 3 | mechanism: 1 = AES-256-GCM (`CKM_AES_GCM`), tag of 128 bits |
//! | 4..36 | `CKA_ID` of the wrapping key |
//! | 36..48 | initialisation vector: 12 fresh random octets from the token |
//! | 48.. | ciphertext, as long as the secret, then the tag of 16 octets |
//!
//! The context that the data is bound to is the additional authenticated data; it is not stored.

use crate::KeyId;

const MAGIC: [u8; 4] = [b'S', b'W', 1, 1];
const HEADER: usize = MAGIC.len() + 32 + IV;
/// Octets of the initialisation vector.
pub(crate) const IV: usize = 12;
/// Octets of the authentication tag.
pub(crate) const TAG: usize = 16;

/// Sealed data, taken apart.
#[derive(Debug, PartialEq)]
pub(crate) struct Sealed<'a> {
    pub(crate) key: KeyId,
    pub(crate) iv: [u8; IV],
    /// Ciphertext and tag.
    pub(crate) ciphertext: &'a [u8],
}

impl<'a> Sealed<'a> {
    /// `None` if this is not sealed data of this version.
    pub(crate) fn parse(octets: &'a [u8]) -> Option<Self> {
        let rest = octets.strip_prefix(&MAGIC)?;
        let (key, rest) = rest.split_first_chunk()?;
        let (iv, ciphertext) = rest.split_first_chunk()?;
        (ciphertext.len() >= TAG).then_some(Self { key: KeyId(*key), iv: *iv, ciphertext })
    }

    pub(crate) fn to_octets(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(HEADER + self.ciphertext.len());
        octets.extend(MAGIC);
        octets.extend(self.key.0);
        octets.extend(self.iv);
        octets.extend(self.ciphertext);
        octets
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sealed_data_survives_its_octets() {
        let sealed = Sealed { key: KeyId([7; 32]), iv: [9; IV], ciphertext: &[3; TAG + 5] };
        let octets = sealed.to_octets();
        assert_eq!(octets.len(), 48 + 5 + TAG);
        assert_eq!(&octets[..4], b"SW\x01\x01");
        assert_eq!(Sealed::parse(&octets).unwrap(), sealed);
    }

    #[test]
    fn anything_else_is_not_sealed_data() {
        let octets = Sealed { key: KeyId([7; 32]), iv: [9; IV], ciphertext: &[3; TAG] }.to_octets();
        for length in 0..octets.len() {
            assert_eq!(Sealed::parse(&octets[..length]), None);
        }
        for at in 0..4 {
            let mut other = octets.clone();
            other[at] ^= 2;
            assert_eq!(Sealed::parse(&other), None);
        }
    }
}
