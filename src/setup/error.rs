//! Why the appliance is not set up.

use std::io;
use std::path::PathBuf;

use super::Step;
use crate::{client, config, hardening, supervise, workshop, x509};

/// Sorted by what the operator does next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Wait: another process is at it.
    #[error(
        "another `sealwright` is setting up, backing up or restoring this appliance; wait until it has finished"
    )]
    Busy,
    /// Ask for something else: this cannot work, and nothing was made.
    #[error("{0}")]
    Unusable(String),
    /// Correct what the cause says, and run it again: it continues with this step.
    #[error("setting up stopped at this step: {step}")]
    Stopped {
        /// Where.
        step: Step,
        /// Why.
        #[source]
        cause: Cause,
    },
    /// The progress could not be printed; the work itself was done.
    #[error("the appliance is set up, but standard output could not be written")]
    Output(#[source] io::Error),
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// A file or folder.
    #[error("{what} {}{}", .path.display(), advice(.cause))]
    File {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// The reason.
        #[source]
        cause: io::Error,
    },
    /// The process could not be protected.
    #[error(transparent)]
    Hardening(#[from] hardening::Error),
    /// A token refused, or the process that works on it failed.
    #[error(transparent)]
    Workshop(#[from] workshop::Error),
    /// There is no module for the token.
    #[error(transparent)]
    NoModule(#[from] super::softhsm::NoModule),
    /// A PIN could not be made, or a token's name is not one.
    #[error(transparent)]
    Token(#[from] hsm::Error),
    /// The configuration that is there cannot be used.
    #[error(transparent)]
    Configuration(#[from] config::Error),
    /// A service did not start or stop.
    #[error(transparent)]
    Service(#[from] supervise::Error),
    /// A service refused.
    #[error(transparent)]
    Answer(#[from] client::Error),
    /// A certificate or a name could not be made or read.
    #[error(transparent)]
    Certificate(#[from] x509::Error),
    /// What was waited for did not happen.
    #[error("{0}")]
    Late(String),
}

impl Cause {
    /// For the closure of `map_err`.
    pub(super) fn file(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |cause| Self::File { what, path, cause }
    }
}

fn advice(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; the disk is full, make room"
        }
        io::ErrorKind::PermissionDenied => {
            "; run it as root, or choose a folder of yours with --root"
        }
        io::ErrorKind::ReadOnlyFilesystem => "; the file system is mounted read-only",
        io::ErrorKind::NotADirectory => "; something on the way is a file and not a folder",
        _ => "",
    }
}
