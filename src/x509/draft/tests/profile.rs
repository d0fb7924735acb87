//! Leaves and roots: what they hold, and that nothing else gets past the comparison.

use super::super::{
    CaTemplate, Draft, LeafIssuer, LeafTemplate, draft_leaf, draft_self_signed_ca,
    serial_from_random,
};
use super::{DAY, issue, openssl_ca, openssl_csr, start, template};
use crate::base::KeyAlgorithm;
use crate::x509::tests::judge::Folder;
use crate::x509::{AlternativeNames, Certificate, Csr, Error, KeyUsage, PrivateKey, SubjectFields};

#[test]
fn leaf_extensions_stand_in_the_order_of_vmca() {
    let folder = Folder::new();
    let (key, ca) = openssl_ca(&folder, KeyAlgorithm::Rsa(2048), "/CN=CA");
    let csr = openssl_csr(
        &folder,
        &["-newkey", "rsa:2048"],
        "/CN=leaf",
        "subjectAltName=DNS:a.example,URI:https://a.example/,IP:192.0.2.1,email:a@example.com",
    );
    let csr = Csr::from_pem(&csr).unwrap();
    let purposes = vec!["1.3.6.1.5.5.7.3.1".to_owned()];
    let leaf =
        issue(&folder, &LeafTemplate { extended_key_usage: purposes, ..template(&csr) }, &key, &ca);
    let dump = folder.openssl(&["x509", "-in", "leaf.crt", "-noout", "-text"]);
    let titles: Vec<&str> = dump
        .lines()
        .filter(|line| {
            line.starts_with("            X509v3") || line.starts_with("            Authority")
        })
        .map(str::trim)
        .collect();
    assert_eq!(
        titles,
        [
            "X509v3 Subject Alternative Name:",
            "X509v3 Key Usage:",
            "X509v3 Extended Key Usage:",
            "X509v3 Subject Key Identifier:",
            "X509v3 Authority Key Identifier:",
            "Authority Information Access:",
        ]
    );
    assert!(dump.contains(
        "email:a@example.com, IP Address:192.0.2.1, URI:https://a.example/, DNS:a.example"
    ));
    assert!(dump.contains("CA Issuers - URI:https://vc.example.com/afd/vecs/ca"));
    assert_eq!(leaf.authority_key_identifier(), ca.subject_key_identifier());
    assert_eq!(leaf.to_text(), dump);
}

#[test]
fn an_empty_subject_makes_the_alternative_names_critical() {
    let folder = Folder::new();
    let (key, ca) = openssl_ca(&folder, KeyAlgorithm::P256, "/CN=CA");
    let csr = openssl_csr(&folder, &["-newkey", "rsa:2048"], "/", "subjectAltName=DNS:a.example");
    let csr = Csr::from_pem(&csr).unwrap();
    assert!(csr.subject().is_empty());
    issue(&folder, &template(&csr), &key, &ca);
    let dump = folder.openssl(&["x509", "-in", "leaf.crt", "-noout", "-text"]);
    assert!(dump.contains("X509v3 Subject Alternative Name: critical"));
    let nameless =
        LeafTemplate { alternative_names: AlternativeNames::default(), ..template(&csr) };
    assert!(matches!(draft_leaf(&nameless, &ca), Err(Error::Field(_))));
}

#[test]
fn self_signed_cas_and_what_they_sign() {
    for algorithm in [KeyAlgorithm::Rsa(3072), KeyAlgorithm::P256, KeyAlgorithm::P384] {
        let folder = Folder::new();
        let key = PrivateKey::generate(algorithm).unwrap();
        let fields = SubjectFields {
            common_name: Some("CA".into()),
            domain_component: Some("vsphere.local".into()),
            country: Some("US".into()),
            organization: Some("vc.example.com".into()),
            ..SubjectFields::default()
        };
        let mut alternative_names = AlternativeNames::default();
        alternative_names.add_email("email@acme.com").unwrap();
        alternative_names.add_ip("127.0.0.1").unwrap();
        let template_of_ca = CaTemplate {
            serial: serial_from_random([7; 16]),
            subject: fields.to_name().unwrap(),
            public_key: key.public_key().clone(),
            not_before: start() - 3 * DAY,
            not_after: start() + 3650 * DAY,
            alternative_names,
        };
        let draft = draft_self_signed_ca(&template_of_ca).unwrap();
        let ca = Certificate::from_der(&draft.assemble(&key.sign(draft.tbs()).unwrap())).unwrap();
        folder.write("ca.crt", ca.to_pem().as_bytes());
        assert_eq!(ca.subject_key_identifier().unwrap(), key.public_key().key_identifier());
        assert_eq!(ca.authority_key_identifier(), None);
        assert_eq!(ca.key_usage(), Some(KeyUsage::CA));
        let dump = folder.openssl(&["x509", "-in", "ca.crt", "-noout", "-text"]);
        assert!(dump.contains("X509v3 Basic Constraints: critical\n                CA:TRUE\n"));
        assert!(
            dump.contains(
                "X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign\n"
            )
        );
        let csr = openssl_csr(&folder, &["-newkey", "rsa:2048"], "/CN=leaf", "");
        issue(&folder, &template(&Csr::from_pem(&csr).unwrap()), &key, &ca);
        crate::x509::Chain::verify(vec![ca], start()).unwrap();
    }
}

#[test]
fn a_difference_anywhere_is_refused_by_the_comparison() {
    let folder = Folder::new();
    let (_, ca) = openssl_ca(&folder, KeyAlgorithm::P256, "/CN=CA");
    let csr =
        openssl_csr(&folder, &["-newkey", "rsa:2048"], "/CN=leaf", "subjectAltName=DNS:a.example");
    let template = template(&Csr::from_pem(&csr).unwrap());
    let draft = draft_leaf(&template, &ca).unwrap();
    let issuer = LeafIssuer::of(&ca).unwrap();
    issuer.compare(&draft, &template).unwrap();
    // Every octet of the draft is accounted for: changing any of them is noticed.
    for position in 0..draft.tbs().len() {
        let mut tbs = draft.tbs().to_vec();
        tbs[position] ^= 1;
        let changed = Draft::from_parts(tbs, draft.signature_algorithm().to_vec());
        assert!(
            issuer.compare(&changed, &template).is_err(),
            "octet {position} {:x?}",
            &draft.tbs()[position.saturating_sub(12)..(position + 6).min(draft.tbs().len())]
        );
    }
    for position in 0..draft.signature_algorithm().len() {
        let mut algorithm = draft.signature_algorithm().to_vec();
        algorithm[position] ^= 1;
        let changed = Draft::from_parts(draft.tbs().to_vec(), algorithm);
        assert!(
            issuer.compare(&changed, &template).is_err(),
            "octet {position} {:x?}",
            &draft.tbs()[position.saturating_sub(12)..(position + 6).min(draft.tbs().len())]
        );
    }
}

#[test]
fn a_draft_for_another_request_is_refused() {
    let folder = Folder::new();
    let (_, ca) = openssl_ca(&folder, KeyAlgorithm::P256, "/CN=CA");
    let request = |subject: &str| {
        Csr::from_pem(&openssl_csr(&folder, &["-newkey", "rsa:2048"], subject, "")).unwrap()
    };
    let (one, other) = (request("/OU=a/OU=b/CN=one"), request("/OU=a/OU=b/CN=one"));
    let issuer = LeafIssuer::of(&ca).unwrap();
    issuer.draft_for(&template(&one), &one).unwrap();
    let error = issuer.draft_for(&template(&one), &other).unwrap_err();
    assert!(error.to_string().contains("public key"), "{error}");
    let renamed = LeafTemplate { public_key: other.public_key().clone(), ..template(&one) };
    issuer.draft_for(&renamed, &other).unwrap();
    let other_way_round = template(&request("/OU=b/OU=a/CN=one"));
    let error = issuer.draft_for(&other_way_round, &one).unwrap_err();
    assert!(error.to_string().contains("subject"), "{error}");
}

#[test]
fn an_issuer_without_a_key_identifier_gets_the_one_of_its_key() {
    let folder = Folder::new();
    for algorithm in [KeyAlgorithm::P384, KeyAlgorithm::Rsa(2048)] {
        let key = PrivateKey::generate(algorithm).unwrap();
        folder.write("ca.key", key.to_pkcs8_pem().expose_secret());
        folder.openssl(&[
            "req",
            "-x509",
            "-key",
            "ca.key",
            "-out",
            "ca.crt",
            "-subj",
            "/CN=CA",
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign",
            "-addext",
            "subjectKeyIdentifier=none",
            "-addext",
            "authorityKeyIdentifier=none",
        ]);
        let ca = folder.certificate("ca.crt");
        assert_eq!(ca.subject_key_identifier(), None);
        let csr = Csr::from_pem(&openssl_csr(&folder, &["-newkey", "rsa:2048"], "/CN=l", ""));
        let draft = draft_leaf(&template(&csr.unwrap()), &ca).unwrap();
        let der = draft.assemble(&key.sign(draft.tbs()).unwrap());
        let leaf = Certificate::from_der(&der).unwrap();
        let wanted = key.public_key().key_identifier();
        assert_eq!(leaf.authority_key_identifier().unwrap(), wanted);
    }
}
