//! Copies of databases that are in use, and looks into copies.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::readers::Readers;
use super::schema::{open_for_reading, unavailable};
use super::{Error, Transaction};

/// Copies the database `from` as it is at one moment into the new file `to` (mode 0600), whether or
/// not a service is writing to it meanwhile; neither waits for the other.
///
/// The copy is one file without a log, holds no deleted content, and was checked by the engine. It
/// is not synchronised to the disk.
///
/// # Errors
/// [`Error::Unavailable`] when `from` is no database or is damaged, or when `to` exists;
/// [`Error::Full`] without room.
pub fn snapshot(from: &Path, to: &Path) -> Result<(), Error> {
    let name = to
        .to_str()
        .ok_or_else(|| unavailable(format!("the path {} is not UTF-8", to.display())))?;
    // The engine fills an empty file, and would make one with the umask's mode.
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .map_err(|cause| unavailable(format!("{} cannot be made: {cause}", to.display())))?;
    open_for_reading(from)?.execute("VACUUM INTO ?1", [name])?;
    let verdict: String =
        open_for_reading(to)?.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" {
        Ok(())
    } else {
        Err(unavailable(format!("{} is damaged: {verdict}", from.display())))
    }
}

/// Runs a closure on a database file that no [`super::Store`] of this process holds. It must not
/// write; a write fails.
///
/// # Errors
/// As the closure's, and [`Error::Unavailable`] when this is no database.
pub fn read_file<T, E: From<Error>>(
    path: &Path,
    body: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
) -> Result<T, E> {
    Readers::new(path.to_owned()).run(body)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{read_file, snapshot};
    use crate::store::{Error, Store};
    use std::os::unix::fs::PermissionsExt;

    const SCHEMA: &[&str] = &["CREATE TABLE pair (a BIGINT PRIMARY KEY, b BIGINT NOT NULL)"];

    fn add(store: &Store, number: i64) {
        store
            .write::<_, Error>(move |tx| {
                tx.execute("INSERT INTO pair VALUES ($1, $1)", &[number.into()])?;
                Ok(())
            })
            .unwrap();
    }

    fn count(path: &std::path::Path) -> i64 {
        read_file(path, |tx| tx.query("SELECT COUNT(*) FROM pair", &[])?[0].integer(0)).unwrap()
    }

    #[test]
    fn a_snapshot_holds_what_was_committed_and_nothing_half_done() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from.db"), folder.path().join("to.db"));
        let store = Store::open(&from, SCHEMA).unwrap();
        add(&store, 1);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| (2..50).for_each(|number| add(&store, number)));
            snapshot(&from, &to).unwrap();
            writer.join().unwrap();
        });
        assert!((1..50).contains(&count(&to)));
        assert_eq!(to.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        // The schema's version came along: nothing is applied a second time.
        Store::open(&to, SCHEMA).unwrap();
    }

    #[test]
    fn a_snapshot_replaces_nothing_and_needs_a_database() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from.db"), folder.path().join("to.db"));
        drop(Store::open(&from, SCHEMA).unwrap());
        std::fs::write(&to, "something").unwrap();
        assert!(snapshot(&from, &to).is_err());
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "something");
        std::fs::write(&from, "no database, but long enough to look at: ".repeat(30)).unwrap();
        assert!(snapshot(&from, &folder.path().join("other.db")).is_err());
    }

    #[test]
    fn a_damaged_database_is_not_copied() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from.db"), folder.path().join("to.db"));
        let store = Store::open(&from, SCHEMA).unwrap();
        (1..500).for_each(|number| add(&store, number));
        drop(store);
        let mut octets = std::fs::read(&from).unwrap();
        let end = octets.len();
        octets[end - 4000..].fill(0xff);
        std::fs::write(&from, octets).unwrap();
        assert!(snapshot(&from, &to).is_err());
    }
}
