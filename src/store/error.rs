//! What can go wrong with a database, by what the caller does next.

use std::path::PathBuf;

use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;

/// A storage failure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The row contradicts one that exists (unique or foreign key).
    #[error("the database refuses a duplicate or dangling row")]
    Conflict(#[source] rusqlite::Error),
    /// No room is left: nothing was written.
    #[error(
        "the disk is full: nothing was changed; free space where the databases live and try again"
    )]
    Full(#[source] rusqlite::Error),
    /// The file is no database, or was damaged: nothing of it can be relied on.
    #[error(
        "the database file is damaged or is no database: stop the service, keep the file for \
         whoever examines it, and put a backup in its place"
    )]
    Damaged(#[source] rusqlite::Error),
    /// The file cannot be used as it is; the cause says what to do.
    #[error("the database {} cannot be opened", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: Box<Self>,
    },
    /// The database cannot be used now.
    #[error("the database cannot be used: {what}")]
    Unavailable {
        /// What was being done.
        what: String,
        /// The engine's reason.
        #[source]
        cause: Option<rusqlite::Error>,
    },
    /// A later version of this program has written the file.
    #[error(
        "the database has schema version {found}, this program knows {known}: start the version that wrote it"
    )]
    Newer {
        /// Version in the file.
        found: i64,
        /// Version this program knows.
        known: i64,
    },
    /// A row does not hold what its reader expects: a fault of ours or a damaged file.
    #[error("unexpected content in the database: {0}")]
    Content(String),
}

impl From<rusqlite::Error> for Error {
    fn from(cause: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        // The index of the write-ahead log grows before anything else does, and SQLite has a code of its own for that.
        if cause.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_IOERR_SHMSIZE) {
            return Self::Full(cause);
        }
        match cause.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => Self::Conflict(cause),
            Some(ErrorCode::DiskFull) => Self::Full(cause),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(cause),
            _ => Self::Unavailable { what: "a statement failed".to_owned(), cause: Some(cause) },
        }
    }
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::Error;

    #[test]
    fn no_room_is_told_whichever_file_wanted_it() {
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_IOERR_SHMSIZE] {
            let cause = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            assert!(matches!(Error::from(cause), Error::Full(_)), "{code}");
        }
        let other = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR_READ), None);
        assert!(matches!(Error::from(other), Error::Unavailable { .. }));
    }
}
