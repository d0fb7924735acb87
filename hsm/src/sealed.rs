//! The format of sealed data, version 1.
//!
//! | Octets | What |
//! |---|---|
//! | 0..2 | `SW` |
//! | 2 | version: 1 |
//! | 3 | mechanism: 1 = AES-256-GCM (`CKM_AES_GCM`), tag of 128 bits |
//! | 4..8 | generation of the wrapping key, big-endian: grows by one whenever another key takes its place |
//! | 8..40 | `CKA_ID` of the wrapping key |
//! | 40..52 | initialisation vector: 12 fresh random octets from the token |
//! | 52.. | ciphertext, as long as the secret, then the tag of 16 octets |
//!
//! The additional authenticated data are octets 0..40 followed by the context that the data is bound to. The context
//! is not stored. docs/FORMATS.md says the same for others; `tests/vectors/sealed` holds it.

use crate::KeyId;

const MAGIC: [u8; 4] = [b'S', b'W', 1, 1];
const HEADER: usize = MAGIC.len() + 4 + 32;
/// Octets of the initialisation vector.
pub(crate) const IV: usize = 12;
/// Octets of the authentication tag.
pub(crate) const TAG: usize = 16;
/// Generation of a wrapping key that has not taken another one's place.
pub(crate) const FIRST_GENERATION: u32 = 1;

/// Sealed data, taken apart.
#[derive(Debug, PartialEq)]
pub(crate) struct Sealed<'a> {
    pub(crate) generation: u32,
    pub(crate) key: KeyId,
    pub(crate) iv: [u8; IV],
    /// Ciphertext and tag.
    pub(crate) ciphertext: &'a [u8],
}

impl<'a> Sealed<'a> {
    /// `None` if this is not sealed data of this version.
    pub(crate) fn parse(octets: &'a [u8]) -> Option<Self> {
        let rest = octets.strip_prefix(&MAGIC)?;
        let (generation, rest) = rest.split_first_chunk()?;
        let (key, rest) = rest.split_first_chunk()?;
        let (iv, ciphertext) = rest.split_first_chunk()?;
        let generation = u32::from_be_bytes(*generation);
        (ciphertext.len() >= TAG).then_some(Self {
            generation,
            key: KeyId(*key),
            iv: *iv,
            ciphertext,
        })
    }

    pub(crate) fn to_octets(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(HEADER + IV + self.ciphertext.len());
        octets.extend(header(self.generation, self.key));
        octets.extend(self.iv);
        octets.extend(self.ciphertext);
        octets
    }
}

/// What the tag covers besides the ciphertext. The header is part of it, so that nobody can pass data of one
/// generation off as data of another.
pub(crate) fn additional_data(generation: u32, key: KeyId, context: &[u8]) -> Vec<u8> {
    [&header(generation, key), context].concat()
}

fn header(generation: u32, key: KeyId) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(&MAGIC);
    header[4..8].copy_from_slice(&generation.to_be_bytes());
    header[8..].copy_from_slice(&key.0);
    header
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    use std::path::Path;

    use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
    use serde::Deserialize;

    /// A file of `tests/vectors/sealed`, made by another implementation. All octets in hex.
    #[derive(Deserialize)]
    struct Vector {
        key: String,
        key_id: String,
        generation: u32,
        iv: String,
        context: String,
        plaintext: String,
        sealed: String,
    }

    fn vectors() -> Vec<Vector> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/sealed");
        let files: Vec<_> = folder.read_dir().unwrap().map(|file| file.unwrap().path()).collect();
        assert!(files.len() >= 4, "{files:?}");
        files
            .iter()
            .map(|file| toml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap())
            .collect()
    }

    fn octets(hex: &str) -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect()
    }

    /// Opens as the token does, with a key whose octets are known.
    fn open(key: &[u8], context: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let sealed = Sealed::parse(sealed)?;
        let bound = additional_data(sealed.generation, sealed.key, context);
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap());
        let mut octets = sealed.ciphertext.to_vec();
        let nonce = Nonce::assume_unique_for_key(sealed.iv);
        key.open_in_place(nonce, Aad::from(bound), &mut octets).ok().map(|opened| opened.to_vec())
    }

    /// These octets are in the database of every appliance: who changes the format needs a new version of it.
    #[test]
    fn the_format_is_that_of_the_vectors() {
        for vector in vectors() {
            let [key, iv, context, plaintext, expected] =
                [&vector.key, &vector.iv, &vector.context, &vector.plaintext, &vector.sealed]
                    .map(|hex| octets(hex));
            let id: KeyId = vector.key_id.parse().unwrap();
            let iv: [u8; IV] = iv.try_into().unwrap();

            let bound = additional_data(vector.generation, id, &context);
            let mut ciphertext = plaintext.clone();
            LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).unwrap())
                .seal_in_place_append_tag(
                    Nonce::assume_unique_for_key(iv),
                    Aad::from(bound),
                    &mut ciphertext,
                )
                .unwrap();
            let sealed =
                Sealed { generation: vector.generation, key: id, iv, ciphertext: &ciphertext };
            assert_eq!(sealed.to_octets(), expected);
            assert_eq!(Sealed::parse(&expected).unwrap(), sealed);
            assert_eq!(open(&key, &context, &expected).unwrap(), plaintext);
        }
    }

    #[test]
    fn no_octet_of_sealed_data_can_be_changed() {
        for vector in vectors() {
            let [key, context, sealed] =
                [&vector.key, &vector.context, &vector.sealed].map(|hex| octets(hex));
            for at in 0..sealed.len() {
                let mut changed = sealed.clone();
                changed[at] ^= 1;
                assert_eq!(open(&key, &context, &changed), None, "octet {at}");
            }
        }
    }

    #[test]
    fn sealed_data_survives_its_octets() {
        let sealed = Sealed {
            generation: 0x0102_0304,
            key: KeyId([7; 32]),
            iv: [9; IV],
            ciphertext: &[3; TAG + 5],
        };
        let octets = sealed.to_octets();
        assert_eq!(octets.len(), 52 + 5 + TAG);
        assert_eq!(&octets[..4], b"SW\x01\x01");
        assert_eq!(octets[4..8], [1, 2, 3, 4]);
        assert_eq!(Sealed::parse(&octets).unwrap(), sealed);
    }

    #[test]
    fn anything_else_is_not_sealed_data() {
        let octets =
            Sealed { generation: 1, key: KeyId([7; 32]), iv: [9; IV], ciphertext: &[3; TAG] }
                .to_octets();
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
