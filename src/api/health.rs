//! What a service says about itself.

use serde::{Deserialize, Serialize};

use crate::base::Service;

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
    /// The token the service uses, if it uses one and has seen it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenHealth>,
    /// Why the service could write to the folder of its software token; absent where it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unconfined: Option<String>,
    /// Signatures that were intended and have no recorded outcome.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unfinished_intents: usize,
}

impl Health {
    /// What a service of this version says where there is nothing more to say.
    pub fn new(service: Service, state: State) -> Self {
        Self {
            service: service.name().to_owned(),
            state,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            detail: None,
            token: None,
            unconfined: None,
            unfinished_intents: 0,
        }
    }

    /// The alarm of the service's token.
    pub fn alarm(&self) -> Option<&Alarm> {
        self.token.as_ref()?.alarm.as_ref()
    }
}

/// What every service says unless there is something to say.
#[allow(clippy::trivially_copy_pass_by_ref)] // The shape that serde calls.
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The state of a PKCS#11 token as its service last saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenHealth {
    /// `CKA_LABEL` of the token.
    pub label: String,
    /// Serial number from `CK_TOKEN_INFO`.
    pub serial: String,
    /// Ok: a live operation with a key of ours succeeded. Degraded: it did not, and may the next time. Down: it will
    /// not until a person has acted; `alarm` says on what.
    pub state: State,
    /// A sentence, where there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What waiting does not cure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<Alarm>,
}

/// Something about a token that a person must see to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alarm {
    /// What kind.
    pub kind: AlarmKind,
    /// What happened and what to do.
    pub what: String,
}

/// Kinds of [`Alarm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlarmKind {
    /// The token did not accept the PIN, or the next wrong one locks it.
    Pin,
    /// The token made a signature that does not verify, or opened data to something else.
    Quarantine,
    /// Another token answers in the place of ours, or ours has lost our key.
    Replaced,
}

impl AlarmKind {
    /// The word on the wire and in what programs print.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pin => "pin",
            Self::Quarantine => "quarantine",
            Self::Replaced => "replaced",
        }
    }
}
