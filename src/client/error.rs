//! Why a request got no good answer, by what the caller does next.

use std::path::PathBuf;

use crate::api::Problem;

/// A request that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The service answered and refused.
    #[error("{}", .0.detail)]
    Refused(Problem),
    /// Nobody answers on the socket, or not in time.
    #[error("no answer on {}; is the service running? (service-control --status)", .socket.display())]
    Unreachable {
        /// The socket that was tried.
        socket: PathBuf,
        /// The reason.
        #[source]
        cause: Box<ureq::Error>,
    },
    /// Something answered, but not in our words.
    #[error(
        "the service answered something unexpected ({0}); are the tools and services of one version?"
    )]
    Protocol(String),
}
