//! Fuzz target: octets that a key of a CA, or one that is stored sealed, is asked to sign.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::sync::OnceLock;

use der::{Decode, Encode};
use hsm::Purpose;
use x509_cert::TbsCertificate;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, KeyUsages};

use super::{Issuers, Mode, judge, judge_stored, record};
use crate::x509::Certificate;
use crate::x509::fuzzing::values::{self, NOW};

mutation::targets! {
    policy: seeds, 3000;
}

const PURPOSES: [Purpose; 8] = [
    Purpose::Certificate,
    Purpose::CaCertificate,
    Purpose::Crl,
    Purpose::Ocsp,
    Purpose::Journal,
    Purpose::Tls,
    Purpose::Possession,
    Purpose::Content,
];

/// Octets pass for one purpose at most, and a service gets no more than the key workshop. What passes as a certificate is
/// read by a second reader as a certificate of this CA, within its life, that is not one of a CA itself. What passes as a
/// handshake passes as nothing else, and is no element of DER.
fn policy(octets: &[u8]) {
    let ca = ca();
    let judged = |mode, purpose| judge(mode, purpose, &ca.key, octets, &ca.issuers, NOW).is_ok();
    let passed: Vec<Purpose> =
        PURPOSES.into_iter().filter(|purpose| judged(Mode::Administration, *purpose)).collect();
    assert!(passed.len() <= 1, "{passed:?}");
    for purpose in PURPOSES {
        let expected = passed.contains(&purpose) && purpose != Purpose::CaCertificate;
        assert_eq!(judged(Mode::Service, purpose), expected, "{purpose:?} for a service");
    }
    let public_key = &ca.key.public_key;
    let handshake = judge_stored(Purpose::Tls, public_key, octets).is_ok();
    if handshake {
        assert_eq!(passed, []);
        assert!(der::Any::from_der(octets).is_err(), "a handshake and an element of DER");
    }
    let possession = judge_stored(Purpose::Possession, public_key, octets).is_ok();
    assert_eq!(possession, passed == [Purpose::Possession]);
    match passed.first() {
        Some(Purpose::Certificate) => is_of_an_end_entity(octets, &ca.certificate),
        Some(Purpose::CaCertificate) => {
            let tbs = TbsCertificate::from_der(octets).expect("the second reader takes it");
            let key = tbs.subject_public_key_info().to_der().unwrap();
            assert_eq!(key, ca.key.public_key);
            assert_eq!(tbs.issuer(), tbs.subject());
        }
        Some(Purpose::Crl) => {
            type List = x509_cert::crl::TbsCertList<x509_cert::certificate::Rfc5280>;
            let list = List::from_der(octets).expect("the second reader takes it");
            assert_eq!(list.to_der().unwrap(), octets);
        }
        _ => {}
    }
}

fn is_of_an_end_entity(octets: &[u8], ca: &Certificate) {
    let tbs = TbsCertificate::from_der(octets).expect("the second reader takes it");
    assert_eq!(tbs.to_der().unwrap(), octets, "one form, octet for octet");
    assert_eq!(tbs.issuer().to_der().unwrap(), ca.subject().as_der());
    let (start, end) = (tbs.validity().not_before, tbs.validity().not_after);
    assert!(ca.not_before().cast_unsigned() <= start.to_unix_duration().as_secs());
    assert!(end.to_unix_duration().as_secs() <= ca.not_after().cast_unsigned());
    if let Some((_, constraints)) = tbs.get_extension::<BasicConstraints>().unwrap() {
        assert!(!constraints.ca, "cA");
    }
    if let Some((_, KeyUsage(usage))) = tbs.get_extension::<KeyUsage>().unwrap() {
        assert!(!usage.contains(KeyUsages::KeyCertSign) && !usage.contains(KeyUsages::CRLSign));
    }
}

struct Ca {
    certificate: Certificate,
    key: hsm::KeyReference,
    issuers: Issuers,
    /// Where the issuers are read from.
    _folder: tempfile::TempDir,
}

fn ca() -> &'static Ca {
    static CA: OnceLock<Ca> = OnceLock::new();
    CA.get_or_init(|| {
        let private = values::private_key();
        let certificate = values::ca(&private);
        let public_key = private.public_key().as_der().to_vec();
        let key = hsm::KeyReference { id: hsm::KeyId([0xa1; 32]), public_key };
        let folder = tempfile::tempdir().expect("a folder");
        record(folder.path(), &key, certificate.as_der()).expect("a CA certificate");
        Ca { certificate, key, issuers: Issuers::open(folder.path()), _folder: folder }
    })
}

fn seeds() -> Vec<Vec<u8>> {
    let key = values::private_key();
    let Ca { certificate: ca, key: reference, issuers, .. } = ca();
    let verify = [&[b' '; 64][..], b"TLS 1.3, server CertificateVerify\0", &[7; 32]].concat();
    let exchange = [&[9; 64][..], &[3, 0, 29, 32], &[1; 32]].concat();
    let mut seeds = Vec::new();
    for (purpose, draft) in [
        (Purpose::Certificate, values::leaf_draft(ca, &key)),
        (Purpose::CaCertificate, values::ca_draft(&key)),
        (Purpose::Crl, values::crl_draft(ca)),
        (Purpose::Possession, values::request_draft(&key)),
    ] {
        judge(Mode::Administration, purpose, reference, draft.tbs(), issuers, NOW)
            .expect("a seed is taken");
        seeds.push(draft.tbs().to_vec());
    }
    for handshake in [verify, exchange] {
        judge_stored(Purpose::Tls, &[], &handshake).expect("a seed is taken");
        seeds.push(handshake);
    }
    seeds
}
