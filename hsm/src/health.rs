//! What a service knows of its token, and what a person must see to.

use serde::{Deserialize, Serialize};

use crate::TokenIdentity;

/// What is known about a token without asking it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Connected and logged in.
    Serving(TokenIdentity),
    /// Not connected: not used yet, or lost. The next operation connects.
    Idle,
    /// Out of use until an operator has acted and the service was restarted.
    Alarm(Alarm),
}

/// Something that no retry cures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// What kind.
    pub kind: AlarmKind,
    /// What happened and what to do, in one sentence.
    pub what: String,
}

/// Kinds of [`Alarm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlarmKind {
    /// The token did not accept the PIN, or has one try left. It is not tried again.
    Pin,
    /// The token made a signature that does not verify, or opened data to something else.
    Quarantine,
    /// Another token answers in the place of ours, or ours lost our keys.
    Replaced,
}
