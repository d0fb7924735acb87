#![allow(clippy::unwrap_used)]
use super::*;

use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};

use crate::sealing::born::Born;

/// A file of `tests/vectors/sealed`, made by another implementation. All octets in hex.
#[derive(Deserialize)]
struct Vector {
    key: String,
    key_id: String,
    generation: u32,
    data_key: Option<String>,
    iv: String,
    context: String,
    plaintext: String,
    sealed: String,
    born: Option<BornKey>,
}

/// The key that the plaintext holds.
#[derive(Deserialize)]
struct BornKey {
    wrapping_key: String,
    public_key: String,
    pkcs8: String,
}

fn vectors() -> Vec<Vector> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/sealed");
    let files: Vec<_> = folder.read_dir().unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 9, "{files:?}");
    files
        .iter()
        .map(|file| toml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap())
        .collect()
}

fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn gcm(key: &[u8]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap())
}

fn unwrap(key: &[u8], wrapped: &[u8]) -> Option<Vec<u8>> {
    let mut opened = vec![0; wrapped.len()];
    let kek = AesKek::new(&AES_256, key).unwrap();
    Some(kek.unwrap_with_padding(wrapped, &mut opened).ok()?.to_vec())
}

/// Opens as the token does, with a key whose octets are known.
fn open(key: &[u8], context: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let Sealed { header, body } = Sealed::parse(sealed)?;
    let (key, body) = match header.mechanism {
        SealingMechanism::Gcm => (key.to_vec(), body),
        SealingMechanism::KeyWrap => {
            let (wrapped, body) = body.split_at(WRAPPED_DATA_KEY);
            (unwrap(key, wrapped)?, body)
        }
    };
    let (iv, ciphertext) = body.split_first_chunk::<IV>()?;
    let mut octets = ciphertext.to_vec();
    let nonce = Nonce::assume_unique_for_key(*iv);
    let bound = Aad::from(header.additional_data(context));
    gcm(&key).open_in_place(nonce, bound, &mut octets).ok().map(|opened| opened.to_vec())
}

/// These octets are in the database of every appliance: who changes the format needs a new version of it.
#[test]
fn mechanisms_have_the_names_that_reports_use() {
    let names = [SealingMechanism::Gcm, SealingMechanism::KeyWrap].map(|one| one.to_string());
    assert_eq!(names, ["AES-GCM", "AES key wrap with padding"]);
}

#[test]
fn the_format_is_that_of_the_vectors() {
    let mut forms = std::collections::BTreeSet::new();
    for vector in vectors() {
        let [key, iv, context, plaintext, expected] =
            [&vector.key, &vector.iv, &vector.context, &vector.plaintext, &vector.sealed]
                .map(|hex| octets(hex));
        let data_key = vector.data_key.as_deref().map(octets);
        let header = Header {
            generation: vector.generation,
            sealing: vector.key_id.parse().unwrap(),
            mechanism: match data_key {
                None => SealingMechanism::Gcm,
                Some(_) => SealingMechanism::KeyWrap,
            },
            content: match vector.born {
                None => Content::Secret,
                Some(_) => Content::WrappedKey,
            },
        };
        forms.insert(expected[3]);
        let mut body = Vec::new();
        if let Some(data_key) = &data_key {
            let mut wrapped = [0; WRAPPED_DATA_KEY];
            let kek = AesKek::new(&AES_256, &key).unwrap();
            body.extend_from_slice(kek.wrap_with_padding(data_key, &mut wrapped).unwrap());
        }
        body.extend(&iv);
        let mut ciphertext = plaintext.clone();
        gcm(data_key.as_ref().unwrap_or(&key))
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(iv.try_into().unwrap()),
                Aad::from(header.additional_data(&context)),
                &mut ciphertext,
            )
            .unwrap();
        body.extend(ciphertext);
        assert_eq!(header.followed_by(&body), expected);
        assert_eq!(Sealed::parse(&expected).unwrap(), Sealed { header, body: &body });
        assert_eq!(Header::read(&expected), Some(header));
        assert_eq!(open(&key, &context, &expected).unwrap(), plaintext);
    }
    assert_eq!(forms.into_iter().collect::<Vec<_>>(), [0x01, 0x02, 0x11, 0x12]);
}

#[test]
fn a_key_born_in_the_token_is_what_the_vectors_say() {
    let born: Vec<_> = vectors()
        .into_iter()
        .filter_map(|vector| Some((octets(&vector.plaintext), vector.born?)))
        .collect();
    assert!(born.len() >= 3);
    let mut padded = 0;
    for (plaintext, key) in born {
        let born = Born::parse(&plaintext).unwrap();
        assert_eq!(born.public_key, octets(&key.public_key));
        let opened = unwrap(&octets(&key.wrapping_key), born.wrapped).unwrap();
        let pkcs8 = octets(&key.pkcs8);
        padded += usize::from(opened != pkcs8);
        assert_eq!(crate::sealing::born::without_padding(&opened), Some(&pkcs8[..]));
    }
    assert!(padded > 0);
}

#[test]
fn no_octet_of_sealed_data_can_be_changed() {
    for vector in vectors() {
        let [key, context, sealed] =
            [&vector.key, &vector.context, &vector.sealed].map(|hex| octets(hex));
        for at in 0..sealed.len() {
            for bit in [1, 2, 0x10] {
                let mut changed = sealed.clone();
                changed[at] ^= bit;
                assert_eq!(open(&key, &context, &changed), None, "octet {at}");
            }
        }
    }
}

#[test]
fn anything_else_is_not_sealed_data() {
    for (mechanism, body) in [
        (SealingMechanism::Gcm, &[3; IV + TAG][..]),
        (SealingMechanism::KeyWrap, &[3; WRAPPED_DATA_KEY + IV + TAG]),
    ] {
        let header =
            Header { generation: 1, sealing: KeyId([7; 32]), mechanism, content: Content::Secret };
        let octets = header.followed_by(body);
        assert!(Sealed::parse(&octets).is_some());
        for length in 0..octets.len() {
            assert_eq!(Sealed::parse(&octets[..length]), None);
        }
        for at in 0..3 {
            let mut other = octets.clone();
            other[at] ^= 2;
            assert_eq!(Sealed::parse(&other), None);
        }
    }
    for form in (0..=0xff).filter(|form| ![0x01, 0x02, 0x11, 0x12].contains(form)) {
        let mut octets = vec![b'S', b'W', 1, form];
        octets.extend([0; 200]);
        assert_eq!(Header::read(&octets), None, "{form:#x}");
    }
}
