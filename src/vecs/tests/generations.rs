//! The registry of sealing keys, as far as no token is needed for it.

use std::collections::BTreeSet;

use super::{NOW, SERVICE, Stopped, alias, caller, custody, name, root, sealed_under};
use crate::base::Secret;
use crate::store::Store;
use crate::vecs::records;
use crate::vecs::uses::Uses;
use crate::vecs::{Custody, Error, GenerationState, MIGRATIONS, NewEntry, Vecs};

const FORMER: hsm::KeyId = hsm::KeyId([7; 32]);

struct Database {
    folder: tempfile::TempDir,
}

impl Database {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn open(&self, migrations: &[&str]) -> Store {
        Store::open(&self.folder.path().join("vecs.db"), migrations).unwrap()
    }

    fn vecs(&self, custody: Custody) -> std::sync::Arc<Vecs> {
        let clock = std::sync::Arc::new(Stopped);
        Vecs::open(self.open(MIGRATIONS), custody, SERVICE, clock).unwrap()
    }
}

fn execute(store: &Store, sql: &'static str, values: Vec<crate::store::Value>) {
    store.write(move |tx| tx.execute(sql, &values)).unwrap();
}

/// An entry of store 4 whose key claims to be sealed under this generation, put there by hand: the
/// room itself stores nothing under keys that are not active.
fn insert(store: &Store, text: &'static str, number: u32) {
    let sql = "INSERT INTO entry (id, store_id, alias, alias_folded, kind, pem, auto_refresh,
                                  created_at, sealed_id, sealed_version, sealed_key)
               VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM entry), 4, $1, $1, 2, '', 0, 0, $2, 1, $3)";
    let id = vec![text.len() as u8; 16];
    execute(store, sql, vec![text.into(), id.into(), sealed_under(number).into()]);
}

fn refusal(vecs: &Vecs, text: &str) -> Error {
    let key = vecs.readable_key(&caller(SERVICE), &name("machine"), &alias(text)).unwrap();
    key.open().unwrap_err()
}

#[test]
fn the_key_of_a_former_version_is_taken_over_from_its_check_value() {
    let database = Database::new();
    {
        // As that version left it: one check value, and a journal of what it did.
        let store = database.open(&MIGRATIONS[..2]);
        let sql = "INSERT INTO wrapping_key_check (id, sealed) VALUES (1, $1)";
        execute(&store, sql, vec![sealed_under(1).into()]);
        for (sequence, act) in [(1, "store.create"), (2, "entry.create"), (3, "entry.create")] {
            let sql = "INSERT INTO journal (sequence, at, actor, act, reference, outcome, details)
                       VALUES ($1, $2, 'user:a(1)', $3, 'r', 'done', '{}')";
            execute(&store, sql, vec![sequence.into(), (NOW - 10 + sequence).into(), act.into()]);
        }
    }
    // Its configuration is not needed any more, and cannot say something else.
    for former_key in [None, Some(hsm::KeyId([9; 32]))] {
        let vecs = database.vecs(custody(former_key));
        let all = vecs.generations().unwrap();
        assert_eq!(all.len(), 1);
        let row = &all[0];
        assert_eq!((row.number, row.sealing, row.wrapping), (1, FORMER, None));
        assert_eq!((row.state, row.created_at), (GenerationState::Active, NOW - 9));
        assert_eq!(row.seals, 3, "two entries and the check value");
        let refused = vecs.envelope.generations.to_wrap(1).err().unwrap();
        assert!(refused.to_string().contains("sealwright rewrap"), "{refused}");
    }
    let check = database.open(MIGRATIONS).read(|tx| records::check_value(tx, 1)).unwrap();
    assert_eq!(check, Some(sealed_under(1)));
}

#[test]
fn a_former_key_that_never_sealed_is_taken_over_from_the_configuration_once() {
    let database = Database::new();
    drop(database.open(&MIGRATIONS[..2]));
    for _ in 0..2 {
        let vecs = database.vecs(custody(Some(FORMER)));
        let all = vecs.generations().unwrap();
        assert_eq!((all.len(), all[0].sealing, all[0].wrapping), (1, FORMER, None));
    }
    let journal = database.open(MIGRATIONS).read(records::journalled).unwrap();
    let adopted: Vec<_> =
        journal.into_iter().filter(|(act, ..)| act == "sealing-keys.adopt").collect();
    assert_eq!(adopted.len(), 1, "{adopted:?}");
}

#[test]
fn without_a_token_no_keys_are_made_and_nothing_is_written_down() {
    let database = Database::new();
    let vecs = database.vecs(custody(None));
    for _ in 0..3 {
        assert!(matches!(vecs.ensure_keys(), Err(Error::Token(_))));
    }
    let (certificate, key) = root("one");
    let new = NewEntry::read(None, Some(&certificate.to_pem()), Some(&key.to_pkcs8_pem())).unwrap();
    let refused = vecs.writable(&caller(0), &name("machine")).unwrap().create(new).unwrap_err();
    assert!(matches!(refused, Error::Token(_)), "{refused:?}");
    assert_eq!(vecs.generations().unwrap(), []);
    assert!(vecs.standing().token_fault.is_some());
    let journal = database.open(MIGRATIONS).read(records::journalled).unwrap();
    assert!(!journal.iter().any(|(act, ..)| act.starts_with("sealing-keys")), "{journal:?}");
}

/// Keys that sealed something must be known: others would only hide that.
#[test]
fn keys_are_never_made_where_something_is_sealed_already() {
    let database = Database::new();
    let vecs = database.vecs(custody(None));
    insert(&database.open(MIGRATIONS), "a", 1);
    let refused = vecs.ensure_keys().unwrap_err();
    assert!(matches!(refused, Error::UnknownKeys(_)), "{refused:?}");
    assert_eq!(vecs.standing().token_fault, Some(refused.sentence()));
    let new = NewEntry::read(Some("b"), None, Some(&Secret::new(b"secret".to_vec()))).unwrap();
    let refused = vecs.writable(&caller(0), &name("machine")).unwrap().create(new).unwrap_err();
    assert!(matches!(refused, Error::UnknownKeys(_)), "{refused:?}");
    assert_eq!(vecs.generations().unwrap(), []);
}

#[test]
fn data_of_keys_that_are_not_on_record_is_refused_with_the_reason() {
    let database = Database::new();
    let vecs = database.vecs(custody(Some(FORMER)));
    let store = database.open(MIGRATIONS);
    insert(&store, "a", 1);
    insert(&store, "bb", 2);
    insert(&store, "ccc", 3);
    store
        .write::<_, crate::store::Error>(|tx| {
            assert!(records::retire(tx, 1, NOW)?);
            records::insert_generation(tx, 2, hsm::KeyId([8; 32]), None, NOW)
        })
        .unwrap();
    // Generation 1 is retiring and still asked of the token, which is not there.
    assert!(matches!(refusal(&vecs, "a"), Error::Token(_)));
    for (text, reason) in [("bb", "the sealing key of generation 2 is 0808"), ("ccc", "never one")]
    {
        let refused = refusal(&vecs, text);
        assert!(matches!(refused, Error::UnknownKeys(_)) && refused.code() == 90101, "{refused:?}");
        assert!(refused.to_string().contains(reason), "{refused}");
    }

    // A generation is destroyed only when nothing is sealed under it, and stays on record.
    let destroy = || store.write(|tx| records::mark_destroyed(tx, 1, NOW)).unwrap();
    assert!(!destroy());
    execute(&store, "DELETE FROM entry WHERE alias = 'a'", vec![]);
    assert!(destroy() && !destroy());
    insert(&store, "a", 1);
    let refused = refusal(&vecs, "a");
    assert!(refused.to_string().contains("which was destroyed"), "{refused}");
    let states: Vec<_> =
        vecs.generations().unwrap().iter().map(|row| (row.state, row.destroyed_at)).collect();
    assert_eq!(states, [(GenerationState::Destroyed, Some(NOW)), (GenerationState::Active, None)]);
}

#[test]
fn there_are_never_two_active_generations() {
    let database = Database::new();
    let vecs = database.vecs(custody(Some(FORMER)));
    let second = database.open(MIGRATIONS).write(|tx| {
        records::insert_generation(tx, 2, hsm::KeyId([8; 32]), Some(hsm::KeyId([9; 32])), NOW)
    });
    assert!(matches!(second, Err(crate::store::Error::Conflict(_))), "{second:?}");
    assert_eq!(vecs.generations().unwrap().len(), 1);
}

fn counted(store: &Store) -> u64 {
    store.read(|tx| records::generation(tx, 1)).unwrap().unwrap().seals
}

fn with_one_generation() -> (Database, Store) {
    let database = Database::new();
    let store = database.open(MIGRATIONS);
    store.write(|tx| records::insert_generation(tx, 1, FORMER, None, NOW)).unwrap();
    (database, store)
}

#[test]
fn uses_are_counted_before_they_are_made_and_a_crash_counts_too_many() {
    let (_database, store) = with_one_generation();
    let mut made = 0;
    // Each round is a process that dies.
    for round in 1..=3 {
        let uses = Uses::up_to(None);
        for _ in 0..700 {
            uses.spend(&store, 1, 2).unwrap();
            made += 2;
            assert!(counted(&store) >= made);
        }
        // Two blocks of 1024 for 1400 uses.
        assert_eq!(counted(&store), round * 2048);
    }
    // More at once than a block has.
    Uses::up_to(None).spend(&store, 1, 5000).unwrap();
    assert_eq!(counted(&store), 3 * 2048 + 5000);
}

#[test]
fn many_threads_never_make_more_uses_than_are_counted() {
    let (_database, store) = with_one_generation();
    let bound = 500;
    let uses = Uses::up_to(Some(bound));
    let made: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| (0..100).filter(|_| uses.spend(&store, 1, 1).is_ok()).count() as u64)
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!((made, counted(&store)), (bound, bound));
}

#[test]
fn the_bound_is_that_of_the_standard_or_a_lower_one_and_is_kept_over_restarts() {
    let (_database, store) = with_one_generation();
    for bound in [10, 5000, 1 << 40] {
        let uses = Uses::up_to(Some(bound));
        let most = bound.min((1 << 32) - (1 << 16));
        let left = most - counted(&store);
        assert_eq!(uses.spend(&store, 1, left + 1).unwrap_err().code(), 1816);
        uses.spend(&store, 1, left - 1).unwrap();
        // The last one is there for whoever comes next, in this process or the next.
        let next = Uses::up_to(Some(bound));
        let kept = [&uses, &next].iter().filter(|uses| uses.spend(&store, 1, 1).is_ok()).count();
        assert_eq!(kept, 1);
        for uses in [uses, next] {
            let refused = uses.spend(&store, 1, 1).unwrap_err();
            assert!(refused.to_string().contains("sealwright rewrap"), "{refused}");
        }
        assert_eq!(counted(&store), most);
    }
}

#[test]
fn an_operator_is_told_from_four_fifths_on() {
    let told: BTreeSet<u64> =
        (0..=100).filter(|seals| Uses::up_to(Some(100)).warning(1, *seals).is_some()).collect();
    assert_eq!(told, (80..=100).collect());
    let standard = Uses::up_to(None);
    assert_eq!(standard.warning(1, 3_400_000_000), None);
    assert!(standard.warning(1, 3_440_000_000).unwrap().contains("sealwright rewrap"));
}
