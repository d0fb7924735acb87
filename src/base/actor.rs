//! Who did it, as the journal writes it down.

use std::fmt;

use super::{ClientName, Fingerprint};

/// The identity behind an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A local process, known by the peer credentials of its Unix socket (`SO_PEERCRED`).
    User {
        /// Numeric user id.
        uid: u32,
        /// Login name, or the number as text where the system knows no name.
        name: String,
    },
    /// A machine that asked over HTTPS, known by its certificate.
    Client {
        /// Its name in the configuration.
        name: ClientName,
        /// Of the certificate that it showed.
        fingerprint: Fingerprint,
    },
    /// A background job of the service itself, by name.
    Job(&'static str),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User { uid, name } => write!(f, "user:{name}({uid})"),
            Self::Client { name, fingerprint } => {
                write!(f, "client:{name}({})", fingerprint.short())
            }
            Self::Job(name) => write!(f, "job:{name}"),
        }
    }
}
