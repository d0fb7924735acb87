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
            connection.execute_batch(&format!(
                "BEGIN IMMEDIATE; {migration}; PRAGMA user_version = {version}; COMMIT;"
            ))?;
        }
    }
    Ok(())
}

pub(super) const fn unavailable(what: String) -> Error {
    Error::Unavailable { what, cause: None }
}
