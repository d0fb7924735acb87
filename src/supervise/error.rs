//! Why a service was not started or stopped.

use std::path::PathBuf;

use crate::base::Service;
use crate::config;

/// Sorted by who can do something about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The appliance is not set up, or its configuration is wrong: correct that first.
    #[error("the services cannot be started with this configuration")]
    Configuration(#[source] config::Error),
    /// The PIN could not be had from the operator.
    #[error("the PIN that {service} needs was not given")]
    Pin {
        /// The service.
        service: Service,
        /// The reason.
        #[source]
        cause: hsm::Error,
    },
    /// The service ended instead of serving; its own words are the best explanation.
    #[error("{service} ended at once ({how}). {said}")]
    Ended {
        /// The service.
        service: Service,
        /// Exit status or signal.
        how: String,
        /// The last lines of its log and where to read more.
        said: String,
    },
    /// The service lives and does not serve.
    #[error("{service} did not get ready within {seconds} seconds: {last}. {said}")]
    NotReady {
        /// The service.
        service: Service,
        /// How long was waited.
        seconds: u64,
        /// What it said when asked last.
        last: String,
        /// The last lines of its log and where to read more.
        said: String,
    },
    /// Somebody holds the pid file's lock who is not the process that the file names.
    #[error(
        "{} is locked, but {why}; nothing was signalled. Find out who has it open (fuser {})",
        .file.display(), .file.display()
    )]
    Untrusted {
        /// The pid file.
        file: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// The process did not even end when it was killed.
    #[error(
        "{service} (process {process}) does not end, not even when it is killed; it hangs in the kernel. Look at its disk and its devices"
    )]
    Unkillable {
        /// The service.
        service: Service,
        /// Its process id.
        process: i32,
    },
    /// Whoever waited was asked to give up.
    #[error("the services were not waited for any longer; start them again when you want them")]
    GivenUp,
    /// systemd refused; its own words say why.
    #[error("systemd: {said} Look at: journalctl -u {unit}")]
    Systemd {
        /// The unit.
        unit: String,
        /// What systemctl printed.
        said: String,
    },
    /// The machine refused something.
    #[error("{what}")]
    Machine {
        /// What was tried, and what to do.
        what: String,
        /// The reason.
        #[source]
        cause: std::io::Error,
    },
}
