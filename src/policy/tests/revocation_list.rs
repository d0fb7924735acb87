//! Revocation lists.

use hsm::Purpose::Crl;

use super::octets::{CRITICAL, INTEGER, SEQUENCE, element, extension, utc};
use super::{DAY, Fixture, NOW, name};
use crate::base::KeyAlgorithm;
use crate::x509::tests::judge::Folder;
use crate::x509::{CrlTemplate, PrivateKey, RevokedEntry, draft_crl, oid};

/// The fields of a TBSCertList, each as it is written.
#[derive(Clone)]
struct Fields {
    version: Vec<u8>,
    algorithm: Vec<u8>,
    issuer: Vec<u8>,
    dates: Vec<u8>,
    revoked: Vec<u8>,
    extensions: Vec<Vec<u8>>,
    trailing: Vec<u8>,
}

impl Fields {
    fn of(fixture: &Fixture) -> Self {
        let identifier = fixture.ca.subject_key_identifier().unwrap();
        let authority = element(SEQUENCE, &[&element(0x80, &[&identifier])]);
        Self {
            version: vec![INTEGER, 1, 1],
            algorithm: fixture.private.public_key().signature_algorithm(),
            issuer: fixture.ca.subject().as_der().to_vec(),
            dates: [utc(NOW), utc(NOW + 30 * DAY)].concat(),
            revoked: Vec::new(),
            extensions: vec![
                extension(oid::AUTHORITY_KEY_IDENTIFIER, &[], &authority),
                extension(oid::CRL_NUMBER, &[], &[INTEGER, 1, 7]),
            ],
            trailing: Vec::new(),
        }
    }

    fn write(&self) -> Vec<u8> {
        let extensions = match self.extensions.as_slice() {
            [] => Vec::new(),
            list => element(0xa0, &[&element(SEQUENCE, &[&list.concat()])]),
        };
        let fields = [
            self.version.as_slice(),
            &self.algorithm,
            &self.issuer,
            &self.dates,
            &self.revoked,
            &extensions,
        ];
        [element(SEQUENCE, &fields), self.trailing.clone()].concat()
    }
}

fn entry(extensions: &[u8]) -> Vec<u8> {
    let extensions = match extensions {
        [] => Vec::new(),
        some => element(SEQUENCE, &[some]),
    };
    let entry = element(SEQUENCE, &[&[INTEGER, 1, 5], &utc(NOW - DAY), &extensions]);
    element(SEQUENCE, &[&entry])
}

#[test]
fn what_the_room_drafts_passes_for_every_kind_of_key() {
    for algorithm in [KeyAlgorithm::Rsa(2048), KeyAlgorithm::P256, KeyAlgorithm::P384] {
        let fixture = Fixture::of(algorithm);
        let template = CrlTemplate {
            number: 7,
            this_update: NOW,
            next_update: NOW + 30 * DAY,
            revoked: vec![
                RevokedEntry { serial: vec![0x80, 2], revoked_at: NOW - DAY, reason: Some(1) },
                RevokedEntry { serial: vec![3], revoked_at: NOW, reason: None },
            ],
        };
        let draft = draft_crl(&template, &fixture.ca).unwrap();
        fixture.judge(Crl, draft.tbs()).unwrap();
        let empty = CrlTemplate { revoked: Vec::new(), ..template };
        let draft = draft_crl(&empty, &fixture.ca).unwrap();
        fixture.judge(Crl, draft.tbs()).unwrap();
        assert_eq!(draft.tbs(), Fields::of(&fixture).write());
    }
}

#[test]
fn every_rule_refuses_and_its_twin_passes() {
    let fixture = Fixture::new();
    let good = Fields::of(&fixture);
    let with = |change: &dyn Fn(&mut Fields)| {
        let mut changed = good.clone();
        change(&mut changed);
        changed
    };
    let dates = |this: i64, next: i64| {
        with(&|fields| fields.dates = [utc(NOW + this), utc(NOW + next)].concat())
    };
    let reason = extension(oid::REASON_CODE, &[], &[10, 1, 1]);
    // certificateIssuer would make the entry one of another CA.
    let of_another = extension("2.5.29.29".parse().unwrap(), CRITICAL, &[0x30, 0]);
    let listing = |extensions: &[u8]| with(&|fields| fields.revoked = entry(extensions));
    let and = |written: Vec<u8>| with(&|fields| fields.extensions.push(written.clone()));
    for passes in [
        dates(DAY, 2 * DAY),
        dates(0, 366 * DAY),
        dates(-DAY, 0),
        listing(&[]),
        listing(&reason),
        with(&|fields| drop(fields.extensions.remove(0))),
    ] {
        fixture.judge(Crl, &passes.write()).unwrap();
    }
    let other = PrivateKey::generate(KeyAlgorithm::P384).unwrap();
    for (word, refused) in [
        ("one form", with(&|fields| fields.version.clear())),
        ("one form", with(&|fields| fields.version[2] = 0)),
        ("cannot be read", with(&|fields| fields.trailing.push(0))),
        ("one form", with(&|fields| fields.revoked = vec![SEQUENCE, 0])),
        ("one form", with(&|fields| fields.extensions.clear())),
        ("signature algorithm", with(&|f| f.algorithm = other.public_key().signature_algorithm())),
        ("no CA certificate", with(&|fields| fields.issuer = name("Other").as_der().to_vec())),
        ("must say when", with(&|fields| fields.dates = utc(NOW))),
        ("before it starts", dates(0, 0)),
        ("before it starts", dates(DAY, DAY - 1)),
        ("has ended", dates(-DAY, -1)),
        ("366 days", dates(0, 366 * DAY + 1)),
        ("ahead", dates(DAY + 1, 2 * DAY)),
        ("2.5.29.28", and(extension(oid::ISSUING_DISTRIBUTION_POINT, CRITICAL, &[0x30, 0]))),
        ("2.5.29.27", and(extension(oid::DELTA_CRL_INDICATOR, CRITICAL, &[2, 1, 1]))),
        ("1.2.3.4", and(extension("1.2.3.4".parse().unwrap(), &[], &[5, 0]))),
        ("twice", and(extension(oid::CRL_NUMBER, &[], &[2, 1, 8]))),
        (
            "must not be critical",
            with(&|f| f.extensions[1] = extension(oid::CRL_NUMBER, CRITICAL, &[2, 1, 7])),
        ),
        ("2.5.29.29", listing(&of_another)),
        (
            "another CA",
            with(&|fields| {
                let authority = element(SEQUENCE, &[&element(0x80, &[&[9; 20]])]);
                fields.extensions[0] = extension(oid::AUTHORITY_KEY_IDENTIFIER, &[], &authority);
            }),
        ),
    ] {
        fixture.refuses(Crl, &refused.write(), word);
    }
}

#[test]
fn a_ca_that_may_not_sign_lists_signs_none() {
    let folder = Folder::new();
    for (usage, passes) in [("keyCertSign", false), ("keyCertSign,cRLSign", true)] {
        let usage = format!("keyUsage=critical,{usage}");
        let mut fixture = Fixture::by_openssl(&folder, KeyAlgorithm::P256, &[&usage]);
        fixture.now = NOW;
        let list = Fields::of(&fixture).write();
        assert_eq!(fixture.judge(Crl, &list).is_ok(), passes, "{usage}");
    }
}
