use super::{DAY, NOW, self_signed};
use crate::ca::records::{self, CaKey, NewDraft};
use crate::ca::{AuthorityState, MIGRATIONS};
use crate::store::{Error, Store};
use crate::x509::Chain;

const KEY: hsm::KeyId = hsm::KeyId([9; 32]);

pub(super) struct Fixture {
    folder: tempfile::TempDir,
    pub(super) store: Store,
    chain: Chain,
}

pub(super) fn fixture() -> Fixture {
    fixture_of(MIGRATIONS)
}

/// With the schema of a former version.
pub(super) fn fixture_of(migrations: &[&str]) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("vmcad.db"), migrations).unwrap();
    let chain = self_signed(NOW, NOW + DAY);
    let public_key = chain.ca().public_key().unwrap();
    let key = CaKey {
        reference: hsm::KeyReference { id: KEY, public_key: public_key.as_der().to_vec() },
        public_key,
        imported: true,
    };
    store.write(move |tx| records::insert_key(tx, &key, "vmca-1", NOW)).unwrap();
    Fixture { folder, store, chain }
}

impl Fixture {
    /// The same database in this version.
    pub(super) fn opened_again(self) -> Self {
        let store = Store::open(&self.folder.path().join("vmcad.db"), MIGRATIONS).unwrap();
        Self { store, ..self }
    }

    pub(super) fn pending(&self) -> i64 {
        let chain = self.chain.certificates().to_vec();
        self.store.write(move |tx| records::insert_pending(tx, KEY, &chain, NOW)).unwrap()
    }

    pub(super) fn draft(&self, serial: &str, crl_number: Option<i64>) -> Result<i64, Error> {
        let draft = NewDraft {
            kind: "leaf",
            key_id: KEY,
            authority: None,
            serial: Some(serial.to_owned()),
            crl_number,
            tbs: vec![1],
            signature_algorithm: vec![2],
            at: NOW,
        };
        self.store.write(move |tx| records::insert_draft(tx, &draft))
    }
}

#[test]
fn a_draft_ends_once() {
    let fixture = fixture();
    let id = fixture.draft("01", None).unwrap();
    let end =
        |signed| fixture.store.write(move |tx| records::conclude_draft(tx, id, signed)).unwrap();
    assert_eq!([end(true), end(true), end(false)], [true, false, false]);
}

#[test]
fn a_serial_number_and_a_list_number_are_used_once() {
    let fixture = fixture();
    fixture.draft("01", Some(1)).unwrap();
    assert!(matches!(fixture.draft("01", Some(2)), Err(Error::Conflict(_))));
    assert!(matches!(fixture.draft("02", Some(1)), Err(Error::Conflict(_))));
    let next: Result<i64, Error> = fixture.store.read(records::next_crl_number);
    assert_eq!(next.unwrap(), 2);
}

#[test]
fn one_ca_is_active_and_the_one_before_it_is_superseded() {
    let fixture = fixture();
    let (first, second) = (fixture.pending(), fixture.pending());
    let activate = |id| {
        fixture.store.write(move |tx| records::activate(tx, id, AuthorityState::Pending)).unwrap()
    };
    assert!(activate(first) && activate(second));
    let rows = fixture.store.read(records::authorities).unwrap();
    let states: Vec<_> = rows.iter().map(|row| (row.id, row.state)).collect();
    assert_eq!(states, [(first, AuthorityState::Superseded), (second, AuthorityState::Active)]);
    assert_eq!(rows[1].chain, fixture.chain.certificates());
    assert!(rows[1].key.imported && rows[1].key.reference.id == KEY);
    // The database itself refuses a second active one.
    let forced = fixture.store.write(move |tx| {
        records::change_state(tx, first, AuthorityState::Superseded, AuthorityState::Active)
    });
    assert!(matches!(forced, Err(Error::Conflict(_))));
}

#[test]
fn a_ca_that_never_became_active_is_given_up_and_not_listed() {
    let fixture = fixture();
    let id = fixture.pending();
    assert_eq!(fixture.store.write(records::abandon_pending).unwrap(), 1);
    assert!(fixture.store.read(records::authorities).unwrap().is_empty());
    let late =
        fixture.store.write(move |tx| records::activate(tx, id, AuthorityState::Pending)).unwrap();
    assert!(!late);
}

#[test]
fn a_key_is_found_by_its_public_key_alone() {
    let fixture = fixture();
    let ours = fixture.chain.ca().public_key().unwrap();
    let other = self_signed(NOW, NOW + DAY).ca().public_key().unwrap();
    let find = |key| fixture.store.read(|tx| records::key_of(tx, key)).unwrap();
    assert!(find(&ours).is_some_and(|key| key.reference.id == KEY));
    assert!(find(&other).is_none());
}

#[test]
fn what_every_draft_asks_is_looked_up() {
    let fixture = fixture();
    let asked = [
        (records::NEXT_DRAFT, "SEARCH drafts"),
        (records::NEXT_CRL_NUMBER, "SEARCH drafts USING COVERING INDEX one_crl_number"),
    ];
    for (sql, looked_up) in asked {
        let plan = fixture.store.query_plan(sql, &[]).unwrap();
        assert!(plan[0].starts_with(looked_up), "{sql}: {plan:?}");
    }
}
