//! Certificates, requests and lists that are the same in every run but for their signatures.

use super::super::pem;
use crate::base::{Secret, UnixTime};
use crate::x509::{
    AlternativeNames, CaTemplate, Certificate, CrlTemplate, CsrTemplate, Draft, KeyUsage,
    LeafTemplate, Name, PrivateKey, RevokedEntry, SubjectFields, draft_crl, draft_csr, draft_leaf,
    draft_self_signed_ca, serial_from_random,
};

/// The day on which everything happens.
pub(crate) const NOW: UnixTime = 1_767_225_600;
pub(crate) const DAY: UnixTime = 86_400;

/// The private keys of the golden vectors, PKCS #8 in DER: P-384, RSA-2048, P-256.
pub(crate) fn private_keys() -> Vec<Vec<u8>> {
    mutation::vectors().into_iter().filter_map(|mut vector| vector.remove("pkcs8")).collect()
}

/// The one of them on P-256.
pub(crate) fn private_key() -> PrivateKey {
    let pem = pem::encode("PRIVATE KEY", private_keys().last().expect("a vector"));
    PrivateKey::from_pem(&Secret::new(pem.into_bytes())).expect("a private key")
}

pub(crate) fn name() -> Name {
    let fields = SubjectFields {
        common_name: Some("Größe & Söhne".to_owned()),
        domain_component: Some("vsphere.local".to_owned()),
        country: Some("DE".to_owned()),
        organization: Some("Example, Another".to_owned()),
        ..SubjectFields::default()
    };
    fields.to_name().expect("a name")
}

pub(crate) fn alternative_names() -> AlternativeNames {
    let mut names = AlternativeNames::default();
    names.add_dns("m.example.test").unwrap();
    names.add_ip("192.0.2.1").unwrap();
    names.add_ip("2001:db8::1").unwrap();
    names.add_email("a@example.test").unwrap();
    names.add_uri("https://example.test:8443/a").unwrap();
    names
}

pub(crate) fn ca_draft(key: &PrivateKey) -> Draft {
    let template = CaTemplate {
        serial: serial_from_random([3; 16]),
        subject: name(),
        public_key: key.public_key().clone(),
        not_before: NOW - 3 * DAY,
        not_after: NOW + 3000 * DAY,
        alternative_names: alternative_names(),
    };
    draft_self_signed_ca(&template).expect("a draft")
}

pub(crate) fn ca(key: &PrivateKey) -> Certificate {
    Certificate::from_der(&signed(&ca_draft(key), key)).expect("a certificate")
}

pub(crate) fn leaf_draft(ca: &Certificate, key: &PrivateKey) -> Draft {
    let template = LeafTemplate {
        serial: serial_from_random([0x5a; 16]),
        subject: name(),
        public_key: key.public_key().clone(),
        not_before: NOW - 600,
        not_after: NOW + 730 * DAY,
        alternative_names: alternative_names(),
        key_usage: KeyUsage { digital_signature: true, ..KeyUsage::default() },
        key_usage_critical: false,
        extended_key_usage: vec!["1.3.6.1.5.5.7.3.1".to_owned()],
        subject_key_identifier: true,
        ca_issuers_url: Some("https://vc.example.test/afd/vecs/ca".to_owned()),
    };
    draft_leaf(&template, ca).expect("a draft")
}

pub(crate) fn crl_draft(ca: &Certificate) -> Draft {
    let revoked = |number: u8| RevokedEntry {
        serial: vec![number; 16],
        revoked_at: NOW - DAY,
        reason: Some(number),
    };
    let template = CrlTemplate {
        number: 7,
        this_update: NOW,
        next_update: NOW + 30 * DAY,
        revoked: vec![revoked(0), revoked(1)],
    };
    draft_crl(&template, ca).expect("a draft")
}

pub(crate) fn request_draft(key: &PrivateKey) -> Draft {
    let template = CsrTemplate {
        subject: name(),
        public_key: key.public_key().clone(),
        alternative_names: alternative_names(),
        key_usage: Some(KeyUsage { digital_signature: true, ..KeyUsage::default() }),
        ca: true,
    };
    draft_csr(&template).expect("a draft")
}

pub(crate) fn signed(draft: &Draft, key: &PrivateKey) -> Vec<u8> {
    draft.assemble(&key.sign(draft.tbs()).expect("a signature"))
}
