//! The life of a CA of ours: pending, active, superseded, retired; or abandoned.

use std::fmt;

/// How a CA of ours stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorityState {
    /// Being set up: its first revocation list is not signed yet.
    Pending,
    /// It issues.
    Active,
    /// It issues no more; its revocation lists are still signed.
    Superseded,
    /// Nothing is signed for it any more.
    Retired,
    /// It was given up before it became active.
    Abandoned,
}

impl AuthorityState {
    const ALL: [Self; 5] =
        [Self::Pending, Self::Active, Self::Superseded, Self::Retired, Self::Abandoned];

    /// The word in the records and on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Superseded => "superseded",
            Self::Retired => "retired",
            Self::Abandoned => "abandoned",
        }
    }

    /// The state that has this word.
    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// Whether revocation lists are signed and certificates published for it.
    pub(super) const fn is_in_service(self) -> bool {
        matches!(self, Self::Active | Self::Superseded)
    }
}

impl fmt::Display for AuthorityState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
