//! What keeps a token from being there.

/// Why a token cannot be had, or cannot be treated as a test wants.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Software that this machine does not have. The sentence says what to install or to run.
    #[error("{0}")]
    Missing(String),
    /// The machine did not do what it was asked.
    #[error("{what}: {source}")]
    Machine {
        /// What was asked.
        what: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The token did not do what it was asked.
    #[error(transparent)]
    Token(#[from] hsm::Error),
    /// A process of the harness, a tool or a container engine ended otherwise than expected; what it said.
    #[error("{0}")]
    Said(String),
}

/// Gives an I/O error its sentence.
pub(crate) trait Asked<T> {
    fn asked(self, what: impl Into<String>) -> Result<T, Failure>;
}

impl<T> Asked<T> for std::io::Result<T> {
    fn asked(self, what: impl Into<String>) -> Result<T, Failure> {
        self.map_err(|source| Failure::Machine { what: what.into(), source })
    }
}
