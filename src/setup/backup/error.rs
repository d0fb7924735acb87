//! Why there is no backup, or why one was not restored.

use std::io;
use std::path::{Path, PathBuf};

use crate::setup::{self, Cause};
use crate::{config, hardening, store, supervise};

/// Sorted by what the operator does next. Nothing was changed, unless the sentence says so.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Wait: another process is at it.
    #[error(transparent)]
    Busy(setup::Error),
    /// A rule of ours; the sentence says the way out.
    #[error("{0}")]
    Refused(String),
    /// Take another archive.
    #[error("{} cannot be restored; nothing was changed", .path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        cause: Damage,
    },
    /// A database cannot be copied or read.
    #[error("{} cannot be copied", .path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// The reason.
        #[source]
        cause: store::Error,
    },
    /// The machine or the appliance does not let it.
    #[error(transparent)]
    Failed(#[from] Cause),
    /// Restoring came so far and no further.
    #[error(
        "restoring was interrupted: {done}. Correct the cause and run it again with --replace; what lay there before \
         has been put aside and is not lost"
    )]
    Halfway {
        /// What has happened so far.
        done: &'static str,
        /// The reason.
        #[source]
        cause: Cause,
    },
    /// What was done could not be told.
    #[error("standard output cannot be written")]
    Output(#[source] io::Error),
}

/// What is wrong with an archive.
#[derive(Debug, thiserror::Error)]
pub(super) enum Damage {
    /// It cannot be read.
    #[error("it cannot be read")]
    Unreadable(#[source] io::Error),
    /// Something else than an archive of ours.
    #[error(
        "it is not a backup of Sealwright, or its end is missing; name a file that `sealwright backup` made"
    )]
    NotABackup,
    /// It is not what was written.
    #[error(
        "it was changed or damaged after it was made (its SHA-256 does not fit); take another copy of it"
    )]
    Changed,
    /// A later version made it.
    #[error("it has format {0}, and this program reads format {known}; use the version of Sealwright that made it", known = super::manifest::FORMAT)]
    Newer(u32),
    /// It holds a file that no backup holds.
    #[error(
        "it holds {0:?}, which no backup holds: it was not made by `sealwright backup`; do not use it"
    )]
    Foreign(String),
    /// It is put together as no backup is.
    #[error("it was not made by `sealwright backup`, do not use it: {0}")]
    Content(String),
}

impl Damage {
    pub(super) fn manifest(cause: serde_json::Error) -> Self {
        Self::Content(format!("its manifest does not read: {cause}"))
    }

    pub(super) fn zip(cause: zip::result::ZipError) -> Self {
        match cause {
            zip::result::ZipError::Io(cause) => Self::Unreadable(cause),
            other => Self::Content(other.to_string()),
        }
    }
}

impl Error {
    /// For the closure of `map_err`.
    pub(super) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let cause = Cause::file(what, path);
        move |error| Self::Failed(cause(error))
    }

    /// For the closure of `map_err`.
    pub(super) fn database(path: &Path) -> impl FnOnce(store::Error) -> Self {
        move |cause| Self::Database { path: path.to_owned(), cause }
    }
}

impl From<hardening::Error> for Error {
    fn from(error: hardening::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<config::Error> for Error {
    fn from(error: config::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<supervise::Error> for Error {
    fn from(error: supervise::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<setup::Error> for Error {
    fn from(error: setup::Error) -> Self {
        match error {
            setup::Error::Busy => Self::Busy(error),
            setup::Error::Unusable(sentence) => Self::Refused(sentence),
            setup::Error::Stopped { cause, .. } => Self::Failed(cause),
            setup::Error::Output(cause) => Self::Output(cause),
        }
    }
}
