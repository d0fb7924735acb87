//! Opening the file and bringing its schema up to date.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::Error;

/// How long a reader or a second process waits for a lock before it gives up.
const BUSY: Duration = Duration::from_secs(10);

/// For every connection. A large sort stays in memory: SQLite would put it into the system's folder
/// for temporary files, where a confined service may not write.
const FOR_ALL: &str = "PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;";

/// The log grows while somebody reads for long, as a backup does; afterwards its room is given back down to this, in
/// octets.
///
/// The page cache (2 MB), memory-mapped reads (none) and the length of the log before a checkpoint (1000 pages) stay as
/// SQLite has them. With a million certificates on record neither 8 nor 24 MB of cache, nor a mapped file, nor a log of
/// 4000 or 8000 pages made issuing cheaper (74 us of processor each, 77, 84, 81, 75 and 73; 55 on an empty table): what
/// a large table costs is one page of the index of random serial numbers for each certificate, written twice. A cache
/// that holds that index whole is as large as the memory that a service may have.
const FOR_WRITER: &str = "PRAGMA journal_size_limit = 67108864;";

/// A number that is a table's key, in the shared subset and as SQLite must read it to put the rows themselves in that
/// order. To any other word it makes an index beside the table, which was a third of what a certificate writes. Tables that
/// former versions made have that index still; nothing else tells them apart.
const KEY: (&str, &str) = ("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY");

pub(super) fn open_for_writing(path: &Path) -> Result<Connection, Error> {
    // SQLite would create the file with the umask's mode; keys are sealed in it, but nobody else
    // has any business reading it. The side files (-wal, -shm) inherit the mode.
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(|cause| unavailable(cause.to_string()))?;
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(BUSY)?;
    // SQLite answers with the mode that it has now, and keeps the old one where WAL cannot work.
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(unavailable(format!(
            "it cannot keep a write-ahead log (mode {mode}); move it to a local file system"
        )));
    }
    // FULL: a commit that was answered survives a power failure.
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;",
    )?;
    connection.execute_batch(FOR_WRITER)?;
    connection.execute_batch(FOR_ALL)?;
    Ok(connection)
}

pub(super) fn open_for_reading(path: &Path) -> Result<Connection, Error> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(BUSY)?;
    connection.execute_batch(FOR_ALL)?;
    Ok(connection)
}

pub(super) fn migrate(connection: &Connection, migrations: &[&str]) -> Result<(), Error> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(Error::Newer { found, known });
    }
    for (version, migration) in (1_i64..).zip(migrations) {
        if version > found {
            let migration = migration.replace(KEY.0, KEY.1);
            connection.execute_batch(&format!(
                "BEGIN IMMEDIATE; {migration}; PRAGMA user_version = {version}; COMMIT;"
            ))?;
        }
    }
    if found < known {
        // A migration that copies a table leaves a log as large as it, which every start would read again until the
        // next write. Where somebody else is reading now, that is what happens.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    }
    Ok(())
}

pub(super) const fn unavailable(what: String) -> Error {
    Error::Unavailable { what, cause: None }
}
