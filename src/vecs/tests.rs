//! What VECS does without a token: a real database, and a token that never answers. Sealing from
//! end to end is tried in `tests/appliance`, on a real token.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod entries;
mod generations;
mod pending;
mod token;

use std::sync::Arc;

use super::records::{self, NewRow};
use super::{
    Alias, Custody, Destruction, EntryKind, Error, KeyWorkshop, MIGRATIONS, NewEntry, Principal,
    PublishedRoot, Right, StoreName, Vecs,
};
use crate::access::{Caller, Roles};
use crate::base::{Clock, KeyAlgorithm, UnixTime};
use crate::store::Store;
use crate::x509::{
    AlternativeNames, CaTemplate, Certificate, Crl, CrlTemplate, PrivateKey, SubjectFields,
    draft_crl, draft_self_signed_ca,
};

/// User id of the service in these tests.
const SERVICE: u32 = 500;
const ANNA: u32 = 1001;
const BERT: u32 = 1002;
const OPERATOR: u32 = 1003;

/// 2026-01-01.
const NOW: UnixTime = 1_767_225_600;

struct Stopped;
impl Clock for Stopped {
    fn now(&self) -> UnixTime {
        NOW
    }
}

struct Room {
    folder: tempfile::TempDir,
    store: Store,
    vecs: Arc<Vecs>,
}

fn absent_token() -> Arc<hsm::Token> {
    hsm::Token::new(hsm::TokenConfig {
        module: "/nonexistent/module.so".into(),
        uri: "pkcs11:token=absent".parse().unwrap(),
        pin: hsm::PinSource::File("/nonexistent/pin".into()),
    })
}

/// A workshop whose token is never there.
struct NoWorkshop;

impl KeyWorkshop for NoWorkshop {
    fn generate_generation(&self, _: u32) -> Result<hsm::KeyGeneration, hsm::Error> {
        Err(hsm::Error::Unavailable("no token".into()))
    }

    fn destroy_generation(&self, _: &hsm::KeyGeneration) -> Result<Destruction, hsm::Error> {
        Err(hsm::Error::Unavailable("no token".into()))
    }
}

fn custody(former_key: Option<hsm::KeyId>) -> Custody {
    Custody {
        token: absent_token(),
        workshop: Box::new(NoWorkshop),
        former_key,
        seals_per_key: None,
    }
}

fn open(store: &Store) -> Arc<Vecs> {
    let custody = custody(Some(hsm::KeyId([7; 32])));
    Vecs::open(store.clone(), custody, SERVICE, Arc::new(Stopped)).unwrap()
}

/// The head of what generation `number` sealed with key 7, and nothing that opens.
fn sealed_under(number: u32) -> Vec<u8> {
    [b"SW\x01\x01".as_slice(), &number.to_be_bytes(), &[7; 32], &[9; 12 + 16]].concat()
}

fn room() -> Room {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("vecs.db"), MIGRATIONS).unwrap();
    let vecs = open(&store);
    Room { folder, store, vecs }
}

fn caller(uid: u32) -> Caller {
    Roles::new(vec![SERVICE, OPERATOR], vec![]).caller(uid, Some(format!("u{uid}")))
}

fn name(text: &str) -> StoreName {
    StoreName::new(text).unwrap()
}

fn alias(text: &str) -> Alias {
    Alias::new(text).unwrap()
}

fn root(common_name: &str) -> (Certificate, PrivateKey) {
    let key = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
    let subject =
        SubjectFields { common_name: Some(common_name.to_owned()), ..SubjectFields::default() };
    let draft = draft_self_signed_ca(&CaTemplate {
        serial: [0x11; 16],
        subject: subject.to_name().unwrap(),
        public_key: key.public_key().clone(),
        not_before: NOW,
        not_after: NOW + 86_400,
        alternative_names: AlternativeNames::default(),
    })
    .unwrap();
    let signature = key.sign(draft.tbs()).unwrap();
    (Certificate::from_der(&draft.assemble(&signature)).unwrap(), key)
}

fn crl(number: u64, issuer: &(Certificate, PrivateKey)) -> Crl {
    let template =
        CrlTemplate { number, this_update: NOW, next_update: NOW + 3_600, revoked: vec![] };
    let draft = draft_crl(&template, &issuer.0).unwrap();
    let signature = issuer.1.sign(draft.tbs()).unwrap();
    Crl::from_der(&draft.assemble(&signature)).unwrap()
}

impl Room {
    fn aliases(&self, store: &str) -> Vec<String> {
        self.vecs
            .readable(&caller(SERVICE), &name(store))
            .unwrap()
            .entries()
            .unwrap()
            .iter()
            .map(|entry| entry.alias.to_string())
            .collect()
    }

    fn add(
        &self,
        store: &str,
        alias: Option<&str>,
        certificate: &Certificate,
    ) -> Result<Alias, Error> {
        self.vecs.writable(&caller(SERVICE), &name(store))?.create(NewEntry::read(
            alias,
            Some(&certificate.to_pem()),
            None,
        )?)
    }

    fn journalled(&self) -> Vec<(String, String, String)> {
        self.store.read(records::journalled).unwrap()
    }
}

#[test]
fn the_default_stores_are_made_once_in_the_order_of_the_original() {
    let room = room();
    let expected = "MACHINE_SSL_CERT TRUSTED_ROOTS TRUSTED_ROOT_CRLS machine vsphere-webclient vpxd \
                    vpxd-extension hvc data-encipherment SMS APPLMGMT_PASSWORD wcp";
    let names = |vecs: &Vecs| {
        let names: Vec<String> = vecs.stores().unwrap().iter().map(ToString::to_string).collect();
        names.join(" ")
    };
    assert_eq!(names(&room.vecs), expected);

    // A store that an administrator deleted does not come back with the next start.
    room.vecs.owned(&caller(SERVICE), &name("SMS")).unwrap().delete().unwrap();
    let again = open(&Store::open(&room.folder.path().join("vecs.db"), MIGRATIONS).unwrap());
    assert_eq!(names(&again), expected.replace("SMS ", ""));

    for (store, grants) in [
        ("MACHINE_SSL_CERT", vec![]),
        ("TRUSTED_ROOTS", vec![(Principal::Everyone, vec![Right::Read])]),
        ("TRUSTED_ROOT_CRLS", vec![(Principal::Everyone, vec![Right::Read])]),
        ("machine", vec![]),
    ] {
        let permissions =
            again.owned(&caller(SERVICE), &name(store)).unwrap().permissions().unwrap();
        assert_eq!(permissions.owner, SERVICE, "{store}");
        assert_eq!(permissions.grants, grants, "{store}");
    }
}

#[test]
fn store_names_are_unique_without_regard_to_ascii_case() {
    let room = room();
    room.vecs.create_store(&caller(ANNA), &name("Backup")).unwrap();
    let again = room.vecs.create_store(&caller(BERT), &name("BACKUP")).unwrap_err();
    assert!(matches!(again, Error::Exists(_)) && again.code() == 183, "{again}");
    room.vecs.create_store(&caller(BERT), &name("Bäckup")).unwrap();
    room.vecs.create_store(&caller(BERT), &name("BÄCKUP")).unwrap();
    assert!(room.vecs.readable(&caller(ANNA), &name("bAcKuP")).is_ok());
    let missing = room.vecs.readable(&caller(0), &name("nowhere")).err().unwrap();
    assert_eq!(missing.code(), 4312, "{missing}");
}

/// What may be done with a store of Anna's: read, write, read keys, manage.
#[test]
fn rights_follow_owner_role_and_grants() {
    let everyone = Principal::Everyone;
    let bert = Principal::User(BERT);
    let (read, write, key) = (Right::Read, Right::Write, Right::ReadKey);
    type Grants = Vec<(Principal, Right)>;
    let cases: Vec<(&str, Grants, u32, [bool; 4])> = vec![
        ("owner", vec![], ANNA, [true, true, true, true]),
        ("root", vec![], 0, [true, true, true, true]),
        ("service", vec![], SERVICE, [true, true, true, true]),
        ("operator", vec![], OPERATOR, [true, true, true, true]),
        ("stranger", vec![], BERT, [false, false, false, false]),
        ("reader", vec![(bert, read)], BERT, [true, false, false, false]),
        ("writer", vec![(bert, write)], BERT, [false, true, false, false]),
        ("key reader", vec![(bert, key)], BERT, [false, false, true, false]),
        ("one of everyone", vec![(everyone, read)], BERT, [true, false, false, false]),
        (
            "own and everyone's grants add up",
            vec![(everyone, read), (bert, key)],
            BERT,
            [true, false, true, false],
        ),
        ("another's grant", vec![(Principal::User(9), write)], BERT, [false; 4]),
        (
            "all rights are not ownership",
            vec![(bert, read), (bert, write), (bert, key)],
            BERT,
            [true, true, true, false],
        ),
    ];
    for (who, grants, uid, expected) in cases {
        let room = room();
        let (vecs, store) = (&room.vecs, name("s"));
        vecs.create_store(&caller(ANNA), &store).unwrap();
        let owned = vecs.owned(&caller(ANNA), &store).unwrap();
        for (principal, right) in grants {
            owned.change(principal, right, true).unwrap();
        }
        let caller = caller(uid);
        let answers = [
            vecs.readable(&caller, &store).err(),
            vecs.writable(&caller, &store).err(),
            vecs.readable_key(&caller, &store, &alias("a")).err(),
            vecs.owned(&caller, &store).err(),
        ];
        assert_eq!(answers.each_ref().map(Option::is_none), expected, "{who}");
        for refusal in answers.into_iter().flatten() {
            assert_eq!(refusal.code(), 5, "{who}: {refusal}");
        }
    }
}

#[test]
fn grants_are_shown_in_order_and_can_be_taken_away() {
    let room = room();
    let store = name("s");
    room.vecs.create_store(&caller(ANNA), &store).unwrap();
    let owned = room.vecs.owned(&caller(ANNA), &store).unwrap();
    let bert = Principal::User(BERT);
    for (principal, right, grant) in [
        (bert, Right::Write, true),
        (Principal::Everyone, Right::Read, true),
        (bert, Right::Read, true),
        (bert, Right::Read, true),
        (bert, Right::Write, false),
        (bert, Right::ReadKey, false),
    ] {
        owned.change(principal, right, grant).unwrap();
    }
    let permissions = owned.permissions().unwrap();
    assert_eq!(permissions.owner, ANNA);
    assert_eq!(
        permissions.grants,
        [(Principal::Everyone, vec![Right::Read]), (bert, vec![Right::Read])]
    );
    let changes = room.journalled().iter().filter(|(act, ..)| act == "store.permission").count();
    assert_eq!(changes, 4, "what was so already leaves no record");
}

#[test]
fn refused_acts_are_in_the_journal_with_what_was_asked_for() {
    let room = room();
    let (bert, store) = (caller(BERT), name("machine"));
    assert!(room.vecs.readable(&bert, &store).is_err());
    assert!(room.vecs.readable_key(&bert, &store, &alias("machine")).is_err());
    assert!(room.vecs.writable(&bert, &store).is_err());
    assert!(room.vecs.owned(&bert, &store).is_err());
    let system = room.vecs.owned(&caller(0), &name("trusted_roots")).unwrap();
    assert_eq!(system.delete().unwrap_err().code(), 5);
    let refused: Vec<_> = room
        .journalled()
        .into_iter()
        .filter(|(.., outcome)| outcome == "refused")
        .map(|(act, reference, _)| format!("{act} {reference}"))
        .collect();
    assert_eq!(
        refused,
        [
            "entry.read-key machine/machine",
            "entry.change machine",
            "store.manage machine",
            "store.delete TRUSTED_ROOTS",
        ]
    );
    assert_eq!(room.vecs.stores().unwrap().len(), 12);
}

/// Sealed keys whose check value was taken away: a new one would vouch for any token.
#[test]
fn a_check_value_is_never_made_for_keys_that_are_sealed_already() {
    let room = room();
    let inserted = room
        .store
        .write::<_, crate::store::Error>(|tx| {
            records::insert_entry(
                tx,
                &NewRow {
                    store: 4,
                    alias: &alias("a"),
                    kind: EntryKind::SecretKey,
                    pem: "",
                    auto_refresh: false,
                    created_at: NOW,
                    sealed: Some(&super::envelope::Sealed {
                        id: [1; 16],
                        version: 1,
                        octets: sealed_under(1),
                    }),
                },
            )
        })
        .unwrap();
    assert_eq!(inserted, records::Inserted::Yes);
    let fault = room.vecs.standing().token_fault.unwrap();
    assert!(fault.contains("check value"), "{fault}");
}

#[test]
fn a_deleted_store_takes_its_entries_and_its_number_with_it() {
    let room = room();
    let (anna, bert) = (caller(ANNA), caller(BERT));
    room.vecs.create_store(&anna, &name("s")).unwrap();
    let (one, two) = (root("one").0, root("two").0);
    room.add("s", Some("one"), &one).unwrap();
    let (readable, writable) = (
        room.vecs.readable(&anna, &name("s")).unwrap(),
        room.vecs.writable(&anna, &name("s")).unwrap(),
    );
    room.vecs.owned(&anna, &name("s")).unwrap().delete().unwrap();
    assert_eq!(room.vecs.readable(&anna, &name("s")).err().unwrap().code(), 4312);

    // What was opened before must not reach a store that is made afterwards.
    room.vecs.create_store(&bert, &name("s")).unwrap();
    room.add("s", Some("two"), &two).unwrap();
    assert!(readable.entries().unwrap().is_empty());
    let new = NewEntry::read(None, Some(&one.to_pem()), None).unwrap();
    assert_eq!(writable.create(new).unwrap_err().code(), 4312);
    assert_eq!(room.aliases("s"), ["two"]);
}

#[test]
fn refresh_follows_the_directory_and_keeps_what_was_added_by_hand() {
    let room = room();
    let roots: Vec<_> = (0..300).map(|n| root(&format!("root {n}"))).collect();
    let published = |range: std::ops::Range<usize>, number: u64| -> Vec<PublishedRoot> {
        roots[range]
            .iter()
            .enumerate()
            .map(|(n, root)| PublishedRoot {
                certificate: root.0.clone(),
                crl: (n % 3 == 0).then(|| crl(number, root)),
            })
            .collect()
    };
    let fingerprint = |n: usize| super::names::hex(&roots[n].0.sha1());

    // Two by hand: one that is never published, one that is.
    room.add("TRUSTED_ROOTS", Some("mine"), &root("mine").0).unwrap();
    let upper = fingerprint(0).to_ascii_uppercase();
    room.add("TRUSTED_ROOTS", Some(&upper), &roots[0].0).unwrap();

    let all = published(0..300, 1);
    room.vecs.refresh(&all).unwrap();
    assert_eq!(room.aliases("TRUSTED_ROOTS").len(), 301);
    let crls = room.aliases("TRUSTED_ROOT_CRLS");
    assert_eq!(crls.len(), 100);
    assert_eq!(crls[0], super::names::hex(&all[0].crl.as_ref().unwrap().sha1()));
    let entry = room
        .vecs
        .readable(&caller(BERT), &name("TRUSTED_ROOT_CRLS"))
        .unwrap()
        .entry(&alias(&crls[0]))
        .unwrap();
    assert_eq!(entry.kind, EntryKind::Crl);
    assert_eq!(entry.pem, all[0].crl.as_ref().unwrap().to_pem());

    // The same again changes nothing, not even the journal.
    let records = room.journalled().len();
    room.vecs.refresh(&all).unwrap();
    assert_eq!(room.journalled().len(), records);

    // New lists take the place of the old ones.
    room.vecs.refresh(&published(0..300, 2)).unwrap();
    let newer = room.aliases("TRUSTED_ROOT_CRLS");
    assert_eq!(newer.len(), 100);
    assert!(newer.iter().all(|alias| !crls.contains(alias)));

    // What vanishes goes, the adopted one too; what is only by hand stays.
    room.vecs.refresh(&published(298..300, 2)).unwrap();
    assert_eq!(
        room.aliases("TRUSTED_ROOTS"),
        ["mine".to_owned(), fingerprint(298), fingerprint(299)]
    );

    // Deleted by hand, it comes back while it is published.
    room.vecs
        .writable(&caller(0), &name("TRUSTED_ROOTS"))
        .unwrap()
        .delete(&alias(&fingerprint(299)))
        .unwrap();
    room.vecs.refresh(&published(298..300, 2)).unwrap();
    assert_eq!(room.aliases("TRUSTED_ROOTS").len(), 3);
}

#[test]
fn a_directory_that_lost_its_database_takes_no_trust_away() {
    let room = room();
    // On the first day nothing is published and nothing is there.
    room.vecs.refresh(&[]).unwrap();
    let (first, key) = root("first");
    let crl = Some(crl(1, &(first.clone(), key)));
    room.vecs.refresh(&[PublishedRoot { certificate: first, crl }]).unwrap();

    assert_eq!(room.vecs.refresh(&[]).unwrap_err().code(), 90007);
    assert_eq!(room.aliases("TRUSTED_ROOTS").len(), 1);
    assert_eq!(room.aliases("TRUSTED_ROOT_CRLS").len(), 1);

    let second = PublishedRoot { certificate: root("second").0, crl: None };
    room.vecs.refresh(&[second]).unwrap();
    assert_eq!(room.aliases("TRUSTED_ROOTS").len(), 1);
    assert!(room.aliases("TRUSTED_ROOT_CRLS").is_empty());
}

#[test]
fn one_user_cannot_fill_the_disk() {
    let room = room();
    let make =
        |uid: u32, n: usize| room.vecs.create_store(&caller(uid), &name(&format!("{uid} {n}")));
    for n in 0..32 {
        make(ANNA, n).unwrap();
    }
    assert_eq!(make(ANNA, 32).unwrap_err().code(), 1816);
    make(BERT, 0).unwrap();

    let (certificate, _) = root("root");
    let pem = certificate.to_pem();
    let add = |uid: u32, alias: &str, copies: usize| {
        let new = NewEntry::read(Some(alias), Some(&pem.repeat(copies)), None)?;
        room.vecs.writable(&caller(uid), &name("1001 0"))?.create(new)
    };
    let megabyte = 1024 * 1024 / pem.len();
    add(ANNA, "own", 1).unwrap();
    for n in 0..8 {
        add(OPERATOR, &n.to_string(), megabyte).unwrap();
    }
    assert_eq!(add(ANNA, "more", megabyte).unwrap_err().code(), 1816);
    add(OPERATOR, "more", megabyte).unwrap();

    let owned = || room.vecs.owned(&caller(ANNA), &name("1001 1")).unwrap();
    for uid in 0..256 {
        owned().change(Principal::User(uid), Right::Read, true).unwrap();
    }
    let everyone = |grant| owned().change(Principal::Everyone, Right::Read, grant);
    assert_eq!(everyone(true).unwrap_err().code(), 1816);
    everyone(false).unwrap();

    // Administrators have no share of their own, but the whole has an end.
    let made = (0..).take_while(|n| make(OPERATOR, *n).is_ok()).count();
    assert_eq!(made, 1024 - 12 - 32 - 1);
}
