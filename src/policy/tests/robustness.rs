//! Every octet changed to every value, every length cut off: nothing panics, and what still passes is
//! another certificate that is allowed.

use hsm::Purpose;

use super::super::judge_stored;
use super::{DAY, Fixture, NOW, ca_template, leaf_template, name};
use crate::x509::{
    AlternativeNames, CrlTemplate, CsrTemplate, RevokedEntry, TbsCertificate, draft_crl, draft_csr,
    draft_self_signed_ca,
};

/// The message with each octet changed to each other value, cut off at each length, and longer.
fn damaged(octets: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let changed = (0..octets.len()).flat_map(move |position| {
        (1..=255_u8).map(move |bits| {
            let mut changed = octets.to_vec();
            changed[position] ^= bits;
            changed
        })
    });
    let cut = (0..octets.len()).map(|length| octets[..length].to_vec());
    changed.chain(cut).chain([[octets, &[0]].concat()])
}

#[test]
fn no_damage_to_a_certificate_makes_a_ca_or_a_panic() {
    let fixture = Fixture::new();
    let message = fixture.leaf(&leaf_template());
    fixture.judge(Purpose::Certificate, &message).unwrap();
    let (mut passed, mut refused) = (0, 0);
    for changed in damaged(&message) {
        if fixture.judge(Purpose::Certificate, &changed).is_err() {
            refused += 1;
            continue;
        }
        passed += 1;
        assert_eq!(changed.len(), message.len());
        let tbs = TbsCertificate::from_der(&changed).unwrap();
        assert_eq!(*tbs.issuer(), fixture.ca.subject());
        assert!(tbs.not_after() <= fixture.ca.not_after());
        let usage = tbs.key_usage().unwrap_or_default();
        assert!(!usage.key_cert_sign && !usage.crl_sign);
    }
    // Another serial number or another host name is a certificate as good as the first.
    assert!(passed > 100 && refused > passed, "{passed} passed, {refused} were refused");
}

#[test]
fn no_damage_to_anything_else_makes_a_panic() {
    let fixture = Fixture::new();
    let root = draft_self_signed_ca(&ca_template(&fixture.private)).unwrap();
    let list = CrlTemplate {
        number: 7,
        this_update: NOW,
        next_update: NOW + DAY,
        revoked: vec![RevokedEntry { serial: vec![5], revoked_at: NOW, reason: Some(1) }],
    };
    let list = draft_crl(&list, &fixture.ca).unwrap();
    let request = CsrTemplate {
        subject: name("CA"),
        public_key: fixture.private.public_key().clone(),
        alternative_names: AlternativeNames::default(),
        key_usage: None,
        ca: true,
    };
    let request = draft_csr(&request).unwrap();
    for (purpose, message) in [
        (Purpose::CaCertificate, root.tbs()),
        (Purpose::Crl, list.tbs()),
        (Purpose::Possession, request.tbs()),
    ] {
        fixture.administer(purpose, message).unwrap();
        for changed in damaged(message) {
            let passes = fixture.administer(purpose, &changed).is_ok();
            assert!(!passes || changed.len() == message.len());
        }
    }
    let exchange = [&[9; 64][..], &[3, 0, 29, 32], &[1; 32]].concat();
    for changed in damaged(&exchange) {
        let passes = judge_stored(Purpose::Tls, &[], &changed).is_ok();
        assert!(!passes || changed.len() == exchange.len());
    }
}
