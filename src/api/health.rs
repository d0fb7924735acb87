//! What a service says about itself.

use serde::{Deserialize, Serialize};

/// How well something works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Everything it is for works.
    Ok,
    /// It serves, but part of what it is for does not work; `detail` says which and what to do.
    Degraded,
    /// It does not serve.
    Down,
}

/// A service's own answer to "are you well?"; also its readiness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Short name of the service.
    pub service: String,
    /// The overall judgement.
    pub state: State,
    /// Software version.
    pub version: String,
    /// A sentence, where there is something to say. A service that is down says here what is in its
    /// way, and nothing while it is only on its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The token the service uses, if it uses one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenHealth>,
}

/// The state of a PKCS#11 token as its service last saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenHealth {
    /// `CKA_LABEL` of the token.
    pub label: String,
    /// Serial number from `CK_TOKEN_INFO`.
    pub serial: String,
    /// Whether a live operation with a key of ours succeeded.
    pub state: State,
    /// A sentence, where there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}
