//! How a refusal looks on the wire.

use serde::{Deserialize, Serialize};

/// What the caller can do about it; decides the HTTP status and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The request cannot be accepted as it is: correct it.
    Invalid,
    /// The caller may not do this.
    Denied,
    /// The thing asked for is not there.
    NotFound,
    /// It exists already, or contradicts what exists.
    Conflict,
    /// The service cannot do it now: its token, its disk or its set-up is missing something.
    Unavailable,
    /// Too many ask at once: the same request may pass in a moment.
    Busy,
    /// A fault of ours.
    Internal,
}

/// A refusal: the code that the original tools print, and a sentence that says what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// What the caller can do about it.
    pub kind: Kind,
    /// The original's error number: VMCA 70000..=70115, VECS 90001..=90101, or a Win32 code.
    pub code: u32,
    /// One or two sentences for the operator.
    pub detail: String,
}
