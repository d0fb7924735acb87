//! Requests.

use hsm::Purpose::Possession;

use super::octets::{INTEGER, SEQUENCE, element};
use super::{Fixture, dns, name};
use crate::base::KeyAlgorithm;
use crate::x509::{AlternativeNames, CsrTemplate, PrivateKey, draft_csr};

#[test]
fn a_request_is_signed_by_the_key_that_it_is_for_and_by_no_other() {
    for algorithm in [KeyAlgorithm::Rsa(2048), KeyAlgorithm::P256, KeyAlgorithm::P384] {
        let fixture = Fixture::of(algorithm);
        let other = PrivateKey::generate(algorithm).unwrap();
        for (names, ca) in [(dns(&["vc.example.test"]), true), (AlternativeNames::default(), false)]
        {
            let template = |key: &PrivateKey| CsrTemplate {
                subject: name("CA"),
                public_key: key.public_key().clone(),
                alternative_names: names.clone(),
                key_usage: None,
                ca,
            };
            let own = draft_csr(&template(&fixture.private)).unwrap();
            fixture.judge(Possession, own.tbs()).unwrap();
            fixture.administer(Possession, own.tbs()).unwrap();
            let foreign = draft_csr(&template(&other)).unwrap();
            fixture.refuses(Possession, foreign.tbs(), "another key");
        }
    }
}

#[test]
fn a_request_has_one_form() {
    let fixture = Fixture::new();
    let subject = name("CA");
    let key = &fixture.key.public_key;
    let written = |version: &[u8], attributes: &[u8]| {
        element(SEQUENCE, &[version, subject.as_der(), key, attributes])
    };
    let version = [INTEGER, 1, 0];
    fixture.judge(Possession, &written(&version, &[0xa0, 0])).unwrap();
    let info = written(&version, &[0xa0, 0]);
    let signature = element(3, &[&[0], &fixture.private.sign(&info).unwrap()]);
    let algorithm = fixture.private.public_key().signature_algorithm();
    let whole = element(SEQUENCE, &[&info, &algorithm, &signature]);
    crate::x509::Csr::from_der(&whole).unwrap();
    for (word, refused) in [
        ("one form", written(&version, &[])),
        ("version 1", written(&[INTEGER, 1, 1], &[0xa0, 0])),
        ("cannot be read", written(&version, &[0xa0, 2, 5, 0])),
        ("cannot be read", written(&version, &[0xa0, 0, 0xa0, 0])),
        ("cannot be read", [written(&version, &[0xa0, 0]), vec![0]].concat()),
        // Not the part to be signed, but the whole.
        ("cannot be read", whole),
    ] {
        fixture.refuses(Possession, &refused, word);
    }
}
