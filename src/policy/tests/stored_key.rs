//! Keys from VECS.

use hsm::Purpose;

use super::super::{SealingPolicy, judge_stored};
use super::octets::{SEQUENCE, element};
use super::{Fixture, leaf_template, name};
use crate::base::KeyAlgorithm;
use crate::x509::{AlternativeNames, CsrTemplate, PrivateKey, draft_csr};

const CONTEXT: &[u8] = b"TLS 1.3, server CertificateVerify\0";

fn certificate_verify(padding: usize, context: &[u8], hash: usize) -> Vec<u8> {
    [&vec![0x20; padding][..], context, &vec![7; hash]].concat()
}

fn key_exchange(curve: u16, length: u8, point: &[u8]) -> Vec<u8> {
    let [high, low] = curve.to_be_bytes();
    [&[9; 64][..], &[3, high, low, length], point].concat()
}

fn point(length: usize) -> Vec<u8> {
    let mut point = vec![4];
    point.resize(length, 1);
    point
}

#[test]
fn a_handshake_is_signed_and_nothing_that_only_looks_like_one() {
    let asked = |message: &[u8]| judge_stored(Purpose::Tls, &[], message).is_ok();
    for passes in [
        certificate_verify(64, CONTEXT, 32),
        certificate_verify(64, CONTEXT, 48),
        key_exchange(23, 65, &point(65)),
        key_exchange(24, 97, &point(97)),
        key_exchange(25, 133, &point(133)),
        key_exchange(29, 32, &[1; 32]),
        key_exchange(30, 56, &[1; 56]),
    ] {
        assert!(asked(&passes), "{passes:x?}");
    }
    let mut damaged = certificate_verify(64, CONTEXT, 32);
    damaged[63] = 0x21;
    for refused in [
        Vec::new(),
        damaged,
        certificate_verify(63, CONTEXT, 32),
        certificate_verify(65, CONTEXT, 32),
        certificate_verify(64, CONTEXT, 20),
        certificate_verify(64, CONTEXT, 64),
        certificate_verify(64, CONTEXT, 0),
        certificate_verify(64, b"TLS 1.3, client CertificateVerify\0", 32),
        certificate_verify(64, b"TLS 1.3, server CertificateVerify\x01", 32),
        key_exchange(23, 65, &point(64)),
        key_exchange(23, 65, &point(66)),
        key_exchange(23, 97, &point(97)),
        key_exchange(23, 65, &[1; 65]),
        key_exchange(22, 65, &point(65)),
        key_exchange(29, 32, &[1; 33]),
        key_exchange(23, 65, &point(65))[1..].to_vec(),
        // Explicit parameters of a curve of one's own.
        [&[9; 64][..], &[1, 0, 23, 65], &point(65)].concat(),
        Fixture::new().leaf(&leaf_template()),
    ] {
        assert!(!asked(&refused), "{refused:x?}");
    }
}

#[test]
fn what_a_stored_key_is_for() {
    let key = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
    let spki = key.public_key().as_der();
    let template = CsrTemplate {
        subject: name("machine"),
        public_key: key.public_key().clone(),
        alternative_names: AlternativeNames::default(),
        key_usage: None,
        ca: false,
    };
    let request = draft_csr(&template).unwrap();
    SealingPolicy.judge(Purpose::Possession, spki, request.tbs()).unwrap();
    let other = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
    let stranger = other.public_key().as_der();
    assert!(SealingPolicy.judge(Purpose::Possession, stranger, request.tbs()).is_err());
    assert!(SealingPolicy.judge(Purpose::Possession, spki, b"content").is_err());
    SealingPolicy.judge(Purpose::Content, spki, b"content").unwrap();
    let fixture = Fixture::new();
    for purpose in [
        Purpose::Certificate,
        Purpose::CaCertificate,
        Purpose::Crl,
        Purpose::Ocsp,
        Purpose::Journal,
    ] {
        let message = fixture.leaf(&leaf_template());
        let why = SealingPolicy.judge(purpose, spki, &message).unwrap_err();
        assert!(why.contains("stored key"), "{why}");
    }
}

/// The octets that make a ServerKeyExchange of P-384 stand in the subject of a request for a key on P-256.
#[test]
fn a_request_that_has_the_octets_of_a_handshake_is_none() {
    let key = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
    let spki = key.public_key().as_der();
    for after in [b"\x03\x00\x18\x61\x04", b"\x03\x00\x18\x61\x05"] {
        let mut value = vec![b'x'; 53];
        value[45..50].copy_from_slice(after);
        let attribute = [element(0x06, &[&[0x55, 4, 3]]), element(0x04, &[&value])].concat();
        let subject = element(SEQUENCE, &[&element(0x31, &[&element(SEQUENCE, &[&attribute])])]);
        let request = element(SEQUENCE, &[&[2, 1, 0], &subject, spki, &[0xa0, 0]]);
        assert_eq!((request.len(), &request[64..69]), (165, &after[..]));
        judge_stored(Purpose::Possession, spki, &request).unwrap();
        assert!(judge_stored(Purpose::Tls, spki, &request).is_err());
        // The same in forms that only lenient readers take.
        for header in [&[0x30, 0x80, 2][..], &[0x30, 0x81, 0xa2, 2]] {
            let mut other = [header, &[1; 200]].concat();
            other.truncate(165);
            other[64..69].copy_from_slice(after);
            assert!(judge_stored(Purpose::Tls, spki, &other).is_err());
        }
    }
    let mut exchange = key_exchange(24, 97, &point(97));
    exchange[..3].copy_from_slice(&[0x30, 0x81, 2]);
    judge_stored(Purpose::Tls, spki, &exchange).unwrap();
}
