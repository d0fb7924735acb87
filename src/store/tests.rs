#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Barrier;

use super::{Error, Store, Value};

const SCHEMA: &[&str] = &[
    "CREATE TABLE item (id BIGINT PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    "CREATE TABLE other (id BIGINT PRIMARY KEY)",
];

fn fresh() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("test.db"), SCHEMA).unwrap();
    (folder, store)
}

fn insert(store: &Store, id: i64, name: &str) -> Result<u64, Error> {
    let values = [Value::from(id), Value::from(name)];
    store.write(move |tx| tx.execute("INSERT INTO item (id, name) VALUES ($1, $2)", &values))
}

fn count(store: &Store) -> i64 {
    store
        .read(|tx| tx.query("SELECT count(*) FROM item", &[])?[0].integer(0))
        .map_err(|error: Error| error.to_string())
        .unwrap()
}

#[test]
fn a_failed_job_undoes_its_own_work_and_nobody_elses() {
    let (_folder, store) = fresh();
    let barrier = Barrier::new(16);
    std::thread::scope(|scope| {
        for n in 0..16_i64 {
            let (store, barrier) = (&store, &barrier);
            scope.spawn(move || {
                barrier.wait();
                let result: Result<(), Error> = store.write(move |tx| {
                    tx.execute(
                        "INSERT INTO item (id, name) VALUES ($1, $2)",
                        &[n.into(), format!("n{n}").into()],
                    )?;
                    if n % 2 == 0 { Ok(()) } else { Err(Error::Content("refused".to_owned())) }
                });
                assert_eq!(result.is_ok(), n % 2 == 0);
            });
        }
    });
    assert_eq!(count(&store), 8);
}

#[test]
fn a_duplicate_is_a_conflict() {
    let (_folder, store) = fresh();
    insert(&store, 1, "one").unwrap();
    assert!(matches!(insert(&store, 2, "one"), Err(Error::Conflict(_))));
}

#[test]
fn a_panic_in_a_closure_leaves_the_writer_working() {
    let (_folder, store) = fresh();
    let result: Result<(), Error> = store.write(|_| panic!("on purpose"));
    assert!(result.is_err());
    insert(&store, 1, "after").unwrap();
    assert_eq!(count(&store), 1);
}

#[test]
fn a_reader_cannot_write() {
    let (_folder, store) = fresh();
    let result = store.read(|tx| tx.execute("DELETE FROM item", &[]));
    assert!(result.is_err());
}

#[test]
fn what_was_answered_is_there_after_opening_again() {
    let (folder, store) = fresh();
    insert(&store, 7, "seven").unwrap();
    drop(store);
    let again = Store::open(&folder.path().join("test.db"), SCHEMA).unwrap();
    assert_eq!(count(&again), 1);
}

#[test]
fn a_database_of_a_later_version_is_refused() {
    let (folder, store) = fresh();
    drop(store);
    let older = Store::open(&folder.path().join("test.db"), &SCHEMA[..1]);
    assert!(matches!(older, Err(Error::Newer { found: 2, known: 1 })));
}

#[test]
fn a_full_database_says_so_and_keeps_what_was_there() {
    let (_folder, store) = fresh();
    insert(&store, 1, "kept").unwrap();
    // A limit on pages is how SQLite itself simulates a full disk (SQLITE_FULL).
    store.write(|tx| tx.query("PRAGMA max_page_count = 1", &[]).map(|_| ())).unwrap();
    let filler = "x".repeat(64 * 1024);
    assert!(insert(&store, 2, &filler).is_err());
    assert_eq!(count(&store), 1);
}

#[test]
fn the_file_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, _store) = fresh();
    let mode = std::fs::metadata(folder.path().join("test.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_is_sorted_stays_in_memory() {
    // A confined service has no other place: SQLite would fail with "unable to open database file".
    const MEMORY: i64 = 2;
    let (_folder, store) = fresh();
    let reading: Result<i64, Error> =
        store.read(|tx| tx.query("PRAGMA temp_store", &[])?[0].integer(0));
    let writing: Result<i64, Error> =
        store.write(|tx| tx.query("PRAGMA temp_store", &[])?[0].integer(0));
    assert_eq!((reading.unwrap(), writing.unwrap()), (MEMORY, MEMORY));
}
