//! CA certificates in administrative mode.

use hsm::Purpose::CaCertificate;

use super::octets::{CRITICAL, Fields, element, extension};
use super::{DAY, Fixture, NOW, ca_template, leaf_template, name};
use crate::base::KeyAlgorithm;
use crate::x509::{AlternativeNames, PrivateKey, draft_self_signed_ca, oid};

/// What `certool --selfca` makes.
fn good(fixture: &Fixture) -> Fields {
    let mut fields = Fields::of(fixture, &leaf_template());
    fields.subject = fields.issuer.clone();
    fields.public_key = fixture.private.public_key().as_der().to_vec();
    let identifier = element(4, &[&fixture.private.public_key().key_identifier()]);
    fields.extensions = vec![
        extension(oid::KEY_USAGE, CRITICAL, &[3, 2, 1, 6]),
        extension(oid::SUBJECT_KEY_IDENTIFIER, &[], &identifier),
        extension(oid::BASIC_CONSTRAINTS, CRITICAL, &[0x30, 3, 1, 1, 0xff]),
    ];
    fields.lives(NOW - 7 * DAY, NOW + 3643 * DAY)
}

#[test]
fn what_the_room_drafts_passes_for_every_kind_of_key() {
    for algorithm in [KeyAlgorithm::Rsa(2048), KeyAlgorithm::P256, KeyAlgorithm::P384] {
        let fixture = Fixture::of(algorithm);
        let mut template = ca_template(&fixture.private);
        for names in [AlternativeNames::default(), super::dns(&["vc.example.test"])] {
            template.alternative_names = names;
            let draft = draft_self_signed_ca(&template).unwrap();
            fixture.administer(CaCertificate, draft.tbs()).unwrap();
        }
    }
}

#[test]
fn every_rule_refuses_and_its_twin_passes() {
    let fixture = Fixture::new();
    let good = good(&fixture);
    fixture.administer(CaCertificate, &good.write()).unwrap();
    let stranger = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
    let with = |change: &dyn Fn(&mut Fields)| {
        let mut changed = good.clone();
        change(&mut changed);
        changed
    };
    let both = name("New name").as_der().to_vec();
    fixture
        .administer(
            CaCertificate,
            &with(&|fields| {
                (fields.subject, fields.issuer) = (both.clone(), both.clone());
            })
            .write(),
        )
        .unwrap();
    fixture
        .administer(CaCertificate, &good.clone().lives(NOW - 15 * DAY, NOW + 3645 * DAY).write())
        .unwrap();
    for (word, refused) in [
        (
            "only for the key itself",
            with(&|fields| fields.public_key = stranger.public_key().as_der().to_vec()),
        ),
        ("own issuer", with(&|fields| fields.subject = both.clone())),
        ("own issuer", with(&|fields| fields.issuer = both.clone())),
        (
            "have a name",
            with(&|fields| (fields.subject, fields.issuer) = (vec![0x30, 0], vec![0x30, 0])),
        ),
        (
            "signature algorithm",
            with(&|fields| {
                let other = PrivateKey::generate(KeyAlgorithm::P384).unwrap();
                fields.algorithm = other.public_key().signature_algorithm();
            }),
        ),
        ("needs CA:TRUE", good.clone().without(oid::BASIC_CONSTRAINTS)),
        ("2.5.29.19", good.clone().in_place(oid::BASIC_CONSTRAINTS, CRITICAL, &[0x30, 0])),
        (
            "2.5.29.19 is critical",
            good.clone().in_place(oid::BASIC_CONSTRAINTS, &[], &[0x30, 3, 1, 1, 0xff]),
        ),
        ("needs CA:TRUE", good.clone().without(oid::KEY_USAGE)),
        ("2.5.29.15", good.clone().in_place(oid::KEY_USAGE, CRITICAL, &[3, 2, 1, 0x86])),
        ("2.5.29.15 is critical", good.clone().in_place(oid::KEY_USAGE, &[], &[3, 2, 1, 6])),
        ("2.5.29.37", good.clone().and(oid::EXTENDED_KEY_USAGE, &[], &[0x30, 0])),
        ("1.2.3.4", good.clone().and("1.2.3.4".parse().unwrap(), &[], &[5, 0])),
        ("3660", good.clone().lives(NOW - 15 * DAY, NOW + 3645 * DAY + 1)),
        ("in the past", good.clone().lives(NOW - 15 * DAY - 1, NOW + DAY)),
        ("serial", with(&|fields| fields.serial = vec![2, 1, 0])),
    ] {
        let refusal = fixture.administer(CaCertificate, &refused.write()).expect_err(word);
        let said = crate::base::sentences(&refusal);
        assert!(said.contains(word), "the sentence should speak of '{word}': {said}");
        assert!(fixture.judge(CaCertificate, &refused.write()).is_err());
    }
}
