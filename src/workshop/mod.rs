//! Floor 5: administrative mode. Tokens and keys are made in a child process, one at a time. There, too,
//! a key signs a CA certificate for itself, and CA certificates are written down for the policy that
//! the serving token follows.
//!
//! A service in operation sees its token read-only. What writes to a token happens in a process
//! apart, `sealwright token-workshop ROLE`, which the service starts before it gives up the right to
//! write. The two speak JSON lines over the child's standard input and output; the child loads no
//! module before it is asked, copies the token directory before and after each piece of work, and
//! ends with its parent.

mod child;
mod copies;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod issuers;
mod process;
mod read_only;
mod wire;

pub use child::run_child;
pub use process::WorkshopProcess;
pub use wire::Destroyed;

/// Why the workshop did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The child cannot be started, has ended, or could not make its copies. Nothing was made
    /// unless the sentence says so.
    #[error("{what}")]
    Failed {
        /// What failed and what to do next.
        what: String,
        /// The reason, where the system gave one.
        #[source]
        cause: Option<std::io::Error>,
    },
    /// The token answered, and the answer is no.
    #[error(transparent)]
    Token(#[from] hsm::Error),
}
