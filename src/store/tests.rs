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
fn a_migration_leaves_no_log_to_read() {
    let (folder, store) = fresh();
    drop(store);
    let path = folder.path().join("test.db");
    let copies = "CREATE TABLE copy (text TEXT); INSERT INTO copy VALUES (HEX(ZEROBLOB(1000000)))";
    let _store = Store::open(&path, &[SCHEMA, &[copies]].concat()).unwrap();
    assert_eq!(folder.path().join("test.db-wal").metadata().unwrap().len(), 0);
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
    let Err(Error::Open { cause, .. }) = older else { panic!("it was opened") };
    assert!(matches!(*cause, Error::Newer { found: 2, known: 1 }));
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
fn a_transaction_that_the_engine_gave_up_has_the_reason_as_its_answer() {
    let (_folder, store) = fresh();
    // What SQLite does by itself after some failures (no room, an I/O error).
    let failed: Result<(), Error> = store.write(|tx| {
        tx.execute("INSERT INTO item (id, name) VALUES (1, 'lost')", &[])?;
        tx.execute("ROLLBACK", &[])?;
        Err(Error::Content("the reason".to_owned()))
    });
    assert!(matches!(&failed, Err(Error::Content(reason)) if reason == "the reason"), "{failed:?}");
    // A closure that passes over it is not believed.
    let believed: Result<(), Error> = store.write(|tx| tx.execute("ROLLBACK", &[]).map(drop));
    assert!(believed.is_err());
    insert(&store, 2, "after").unwrap();
    assert_eq!(count(&store), 1);
}

#[test]
fn a_damaged_file_is_named_with_what_to_do() {
    let (folder, store) = fresh();
    for n in 0..200 {
        insert(&store, n, &format!("{n:0200}")).unwrap();
    }
    drop(store);
    let path = folder.path().join("test.db");
    let whole = std::fs::read(&path).unwrap();
    let cases: [(&str, Vec<u8>); 3] = [
        ("the beginning", [&[0xaa; 100][..], &whole[100..]].concat()),
        ("cut off", whole[..whole.len() / 2].to_vec()),
        ("the schema", [&whole[..100], &vec![0xff; 3996], &whole[4096..]].concat()),
    ];
    for (says, octets) in cases {
        std::fs::write(&path, octets).unwrap();
        let outcome = Store::open(&path, SCHEMA).and_then(|store| {
            store.read(|tx| tx.query("SELECT name FROM item ORDER BY id", &[]).map(drop))
        });
        let mut failure = outcome.expect_err(says);
        if let Error::Open { path: named, cause } = failure {
            assert_eq!(named, path);
            failure = *cause;
        }
        let text = failure.to_string();
        assert!(text.contains("damaged") && text.contains("backup"), "{says}: {text}");
    }
}

const IN_CHILD: &str = "SEALWRIGHT_STORE_TEST_CHILD";

/// A process that writes and says what was answered, until it is killed.
#[test]
fn what_was_answered_survives_a_kill() {
    use std::io::BufRead;
    use std::process::{Command, Stdio};

    if let Some(path) = std::env::var_os(IN_CHILD) {
        let store = Store::open(std::path::Path::new(&path), SCHEMA).unwrap();
        for n in 0.. {
            insert(&store, n, &format!("n{n}")).unwrap();
            println!("answered {n}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::what_was_answered_survives_a_kill", "--nocapture"])
        .env(IN_CHILD, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let is_answer = |line: &String| line.starts_with("answered");
    assert_eq!(lines.by_ref().map(Result::unwrap).filter(is_answer).take(50).count(), 50);
    child.kill().unwrap();
    child.wait().unwrap();
    // What it still said before the signal reached it counts as well.
    let answered = 50 + lines.map_while(Result::ok).filter(is_answer).count();
    let store = Store::open(&path, SCHEMA).unwrap();
    assert!(count(&store) >= i64::try_from(answered).unwrap(), "{answered}");
    let check = |tx: &mut super::Transaction<'_>| {
        Ok::<_, Error>(tx.query("PRAGMA integrity_check", &[])?[0].text(0)?.to_owned())
    };
    assert_eq!(store.read(check).unwrap(), "ok");
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

#[test]
fn a_number_that_is_a_key_needs_no_index_and_files_that_have_one_stay_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("former.db");
    let former = rusqlite::Connection::open(&path).unwrap();
    former.execute_batch(&SCHEMA.join(";")).unwrap();
    former.execute_batch("INSERT INTO item VALUES (7, 'seven'); PRAGMA user_version = 2").unwrap();
    drop(former);
    let (_other, fresh) = fresh();
    for (store, plan, items) in [
        (Store::open(&path, SCHEMA).unwrap(), "USING INDEX sqlite_autoindex_item_1", 2),
        (fresh, "USING INTEGER PRIMARY KEY", 1),
    ] {
        insert(&store, 8, "eight").unwrap();
        assert!(matches!(insert(&store, 8, "again"), Err(Error::Conflict(_))));
        assert_eq!(count(&store), items);
        let found = store.query_plan("SELECT name FROM item WHERE id = $1", &[8.into()]).unwrap();
        assert!(found[0].contains(plan), "{found:?}");
    }
}

#[test]
fn many_writers_share_commits_and_none_is_lost() {
    let (_folder, store) = fresh();
    let barrier = Barrier::new(8);
    std::thread::scope(|scope| {
        for writer in 0..8_i64 {
            let (store, barrier) = (&store, &barrier);
            scope.spawn(move || {
                barrier.wait();
                for n in 0..200 {
                    let id = writer * 1000 + n;
                    insert(store, id, &format!("n{id}")).unwrap();
                    // Durable for everybody once it was answered.
                    let there = store.read(|tx| {
                        tx.query("SELECT count(*) FROM item WHERE id = $1", &[id.into()])?[0]
                            .integer(0)
                    });
                    assert_eq!(there.map_err(|error: Error| error.to_string()), Ok(1));
                }
            });
        }
    });
    assert_eq!(count(&store), 1600);
}
