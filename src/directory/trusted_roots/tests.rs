#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use super::Publication;
use crate::access::{self, Permit, Roles};
use crate::base::{Clock, KeyAlgorithm, UnixTime};
use crate::directory::{Directory, Error, MIGRATIONS, TrustedRoot};
use crate::store::Store;
use crate::x509::{
    AlternativeNames, CaTemplate, Certificate, Crl, CrlTemplate, PrivateKey, SubjectFields,
    draft_crl, draft_self_signed_ca,
};

/// 2026-01-01.
const NOW: UnixTime = 1_767_225_600;

struct Stopped;
impl Clock for Stopped {
    fn now(&self) -> UnixTime {
        NOW
    }
}

struct Room {
    _folder: tempfile::TempDir,
    directory: Arc<Directory>,
}

fn room() -> Room {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("directory.db"), MIGRATIONS).unwrap();
    let directory = Directory::open(store, "ca.example.net", Arc::new(Stopped)).unwrap();
    Room { _folder: folder, directory }
}

impl Room {
    fn publish(&self, certificate: &Certificate, crl: Option<&Crl>) -> Result<(), Error> {
        self.publish_text(&certificate.to_pem(), crl.map(Crl::to_pem).as_deref())
    }

    fn publish_text(&self, certificate: &str, crl: Option<&str>) -> Result<(), Error> {
        let permit = Permit::<access::Publish>::for_own_job("test");
        self.directory.publish(permit, Publication::read(certificate, crl)?)
    }

    fn roots(&self) -> Vec<TrustedRoot> {
        self.directory.trusted_roots().unwrap()
    }
}

fn ca(common_name: &str, key: &PrivateKey, serial: u8) -> Certificate {
    let subject =
        SubjectFields { common_name: Some(common_name.to_owned()), ..SubjectFields::default() };
    let draft = draft_self_signed_ca(&CaTemplate {
        serial: [serial; 16],
        subject: subject.to_name().unwrap(),
        public_key: key.public_key().clone(),
        not_before: NOW,
        not_after: NOW + 86_400,
        alternative_names: AlternativeNames::default(),
    })
    .unwrap();
    let signature = key.sign(draft.tbs()).unwrap();
    Certificate::from_der(&draft.assemble(&signature)).unwrap()
}

fn crl(number: u64, this_update: UnixTime, issuer: &Certificate, key: &PrivateKey) -> Crl {
    let template =
        CrlTemplate { number, this_update, next_update: this_update + 3_600, revoked: vec![] };
    let draft = draft_crl(&template, issuer).unwrap();
    let signature = key.sign(draft.tbs()).unwrap();
    Crl::from_der(&draft.assemble(&signature)).unwrap()
}

fn key() -> PrivateKey {
    PrivateKey::generate(KeyAlgorithm::P256).unwrap()
}

#[test]
fn a_root_is_published_under_its_subject_key_identifier() {
    let (room, key) = (room(), key());
    let root = ca("Root", &key, 1);
    let list = crl(1, NOW, &root, &key);
    room.publish(&root, Some(&list)).unwrap();
    let identifier = root.subject_key_identifier().unwrap();
    assert_eq!(
        room.roots(),
        [TrustedRoot {
            id: identifier.iter().map(|octet| format!("{octet:02X}")).collect(),
            subject: "CN=Root".to_owned(),
            certificate: root.to_pem(),
            crl: Some(list.to_pem()),
        }]
    );
}

#[test]
fn a_known_certificate_changes_nothing_and_a_renewed_one_stands_beside_it() {
    let (room, key) = (room(), key());
    let (first, renewed) = (ca("Root", &key, 1), ca("Root", &key, 2));
    assert_ne!(first, renewed);
    room.publish(&first, None).unwrap();
    room.publish(&first, None).unwrap();
    assert_eq!(room.roots().len(), 1);
    room.publish(&renewed, None).unwrap();
    let roots = room.roots();
    assert_eq!(roots.len(), 2);
    assert_eq!(roots[0].id, roots[1].id);
    assert_eq!(roots[0].certificate, first.to_pem());
    assert_eq!(roots[1].certificate, renewed.to_pem());

    let list = crl(5, NOW, &renewed, &key);
    room.publish(&renewed, Some(&list)).unwrap();
    assert_eq!(room.roots()[0].crl, None);
    assert_eq!(room.roots()[1].crl, Some(list.to_pem()));
    // And publishing without a list keeps the list.
    room.publish(&renewed, None).unwrap();
    assert_eq!(room.roots()[1].crl, Some(list.to_pem()));
}

#[test]
fn only_later_lists_replace_a_list() {
    let key = key();
    let root = ca("Root", &key, 1);
    let published = crl(5, NOW, &root, &key);
    let cases = [
        ("the same", published.clone(), true),
        ("a greater number", crl(6, NOW, &root, &key), true),
        ("a greater number, clock set back", crl(6, NOW - 60, &root, &key), true),
        ("a smaller number", crl(4, NOW + 60, &root, &key), false),
        ("the same number, later", crl(5, NOW + 60, &root, &key), true),
        ("the same number, earlier", crl(5, NOW - 60, &root, &key), false),
    ];
    for (what, list, taken) in cases {
        let room = room();
        room.publish(&root, Some(&published)).unwrap();
        let result = room.publish(&root, Some(&list));
        let expected = if taken { &list } else { &published };
        assert_eq!(room.roots()[0].crl, Some(expected.to_pem()), "{what}");
        match result {
            Ok(()) => assert!(taken, "{what}"),
            Err(refusal) => assert!(!taken && matches!(refusal, Error::OldCrl), "{what}"),
        }
    }
}

#[test]
fn a_list_of_another_issuer_publishes_nothing() {
    let (room, ours, theirs) = (room(), key(), key());
    let root = ca("Root", &ours, 1);
    let same_name = ca("Root", &theirs, 1);
    let same_key = ca("Other", &ours, 1);
    for list in [crl(1, NOW, &same_name, &theirs), crl(1, NOW, &same_key, &ours)] {
        let refusal = room.publish(&root, Some(&list)).unwrap_err();
        assert!(matches!(refusal, Error::ForeignCrl(_)), "{refusal}");
        assert_eq!(refusal.code(), 87);
        assert_eq!(room.roots(), []);
    }
}

#[test]
fn a_publication_has_exactly_one_certificate() {
    let (room, key) = (room(), key());
    let pem = ca("Root", &key, 1).to_pem();
    let cases = [(String::new(), 11), ("hello".to_owned(), 11), (format!("{pem}{pem}"), 13)];
    for (text, code) in cases {
        assert_eq!(room.publish_text(&text, None).unwrap_err().code(), code, "{text}");
    }
    assert_eq!(room.publish_text(&pem, Some("no list")).unwrap_err().code(), 11);
    assert_eq!(room.roots(), []);
}

#[test]
fn this_machine_is_the_one_node() {
    let nodes = room().directory.nodes();
    assert_eq!(nodes.len(), 1);
    assert_eq!((nodes[0].name.as_str(), nodes[0].node_type), ("ca.example.net", "Management"));
}

#[test]
fn who_was_refused_and_why_is_recorded() {
    let room = room();
    let (own, foreign) = (key(), key());
    let (root, other) = (ca("root", &own, 1), ca("other", &foreign, 2));
    let stranger = Roles::default().caller(3000, Some("eve".to_owned()));
    assert_eq!(room.directory.publisher(&stranger).unwrap_err().code(), 5);
    room.publish(&root, Some(&crl(1, NOW, &other, &foreign))).unwrap_err();
    room.publish(&root, Some(&crl(2, NOW, &root, &own))).unwrap();
    room.publish(&root, Some(&crl(1, NOW, &root, &own))).unwrap_err();

    let journal = rusqlite::Connection::open(room._folder.path().join("directory.db")).unwrap();
    let refused: Vec<String> = journal
        .prepare("SELECT actor || ' ' || reference FROM journal WHERE outcome = 'refused' ORDER BY sequence")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let id = &room.roots()[0].id;
    assert_eq!(
        refused,
        [
            "user:eve(3000) trusted roots".to_owned(),
            format!("job:test {id}"),
            format!("job:test {id}")
        ]
    );
}
