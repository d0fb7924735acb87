//! `[ca.token]` and `[vecs.token]`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::SandboxSection;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenRole {
    /// Holds the keys of the CA; only `vmcad` logs in to it.
    Ca,
    /// Holds the wrapping key; only `vmafdd` logs in to it.
    Sealing,
}

impl TokenRole {
    /// The word in paths and on command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ca => "ca",
            Self::Sealing => "sealing",
        }
    }
}

impl fmt::Display for TokenRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which token, through which module, opened with which PIN.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSection {
    /// PKCS#11 module: a shared library.
    pub module: PathBuf,
    /// RFC 7512 URI with `token` (label), `serial`, or both. A slot number is refused: it changes.
    pub uri: String,
    /// Where the user PIN comes from: `file:PATH` (mode 0600), `fd:N`, `credential:NAME` (a systemd
    /// credential) or `prompt`.
    pub pin: String,
    /// Environment that the module needs, such as SOFTHSM2_CONF. Set before the module is loaded.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Folder in which a software token keeps its files. Services see it read-only; it is copied
    /// before and after keys are made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
    /// Seconds that the token may take for one operation. What takes longer hangs: its agent is ended.
    #[serde(default = "default_deadline", skip_serializing_if = "is_default_deadline")]
    pub deadline_seconds: u16,
    /// Operations at the same time, each in a session of its own: 2 to 256. Left out: one for each processor where the
    /// token is software (`directory`), because more would only wait for each other, else 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<Sessions>,
    /// `[TOKEN.agent]`: a token agent that listens, where the service is not to start its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentSection>,
    /// `[TOKEN.sandbox]`: what the process that loads the module may do.
    #[serde(default, skip_serializing_if = "SandboxSection::is_default")]
    pub sandbox: SandboxSection,
}

/// `[ca.token.agent]` and `[vecs.token.agent]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentSection {
    /// Unix socket on which `sealwright token-agent ROLE --listen PATH` listens.
    pub socket: PathBuf,
    /// User under which that agent runs, by name, or by number where it has none here (an agent in a container). A
    /// process of any other user is not spoken to.
    pub user: String,
}

/// A number of sessions that a token agent may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Sessions(u16);

impl TryFrom<u16> for Sessions {
    type Error = String;

    fn try_from(number: u16) -> Result<Self, String> {
        match number {
            2..=256 => Ok(Self(number)),
            _ => Err(format!("a token has {number} sessions; give a number from 2 to 256")),
        }
    }
}

impl From<Sessions> for u16 {
    fn from(sessions: Sessions) -> Self {
        sessions.0
    }
}

/// Sessions of a token that is no software on this machine, where nobody says how many.
const SESSIONS: usize = 16;

const fn default_deadline() -> u16 {
    10
}

#[allow(clippy::trivially_copy_pass_by_ref)] // The shape that serde calls.
const fn is_default_deadline(seconds: &u16) -> bool {
    *seconds == default_deadline()
}

impl TokenSection {
    /// A section that says nothing else than which token; `pin` is a PIN source.
    pub fn new(module: PathBuf, uri: String, pin: String) -> Self {
        Self {
            module,
            uri,
            pin,
            environment: BTreeMap::new(),
            directory: None,
            deadline_seconds: default_deadline(),
            sessions: None,
            agent: None,
            sandbox: SandboxSection::default(),
        }
    }

    /// Operations at the same time, on a machine with this many processors.
    pub fn sessions(&self, processors: usize) -> usize {
        match (self.sessions, &self.directory) {
            (Some(sessions), _) => usize::from(sessions.0),
            (None, Some(_)) => processors.clamp(2, 256),
            (None, None) => SESSIONS,
        }
    }

    /// The same selection in the words of the custody crate.
    ///
    /// # Errors
    /// The URI or the PIN source is not written as it must be.
    pub fn selection(&self) -> Result<hsm::TokenConfig, hsm::Error> {
        Ok(hsm::TokenConfig {
            module: self.module.clone(),
            uri: self.uri.parse()?,
            pin: self.pin.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::TokenSection;

    fn section(more: &str) -> Result<TokenSection, toml::de::Error> {
        toml::from_str(&format!(
            "module = \"m.so\"\nuri = \"pkcs11:token=t\"\npin = \"prompt\"\n{more}"
        ))
    }

    #[test]
    fn sessions_are_as_said_or_as_fits_the_token() {
        for (more, processors, sessions) in [
            ("", 4, 16),
            ("directory = \"/tokens\"", 4, 4),
            ("directory = \"/tokens\"", 1, 2),
            ("sessions = 48", 4, 48),
            ("sessions = 3\ndirectory = \"/tokens\"", 4, 3),
        ] {
            assert_eq!(section(more).unwrap().sessions(processors), sessions, "{more}");
        }
        for wrong in [0, 1, 257] {
            let refusal = section(&format!("sessions = {wrong}")).unwrap_err().to_string();
            assert!(refusal.contains("from 2 to 256"), "{refusal}");
        }
    }
}
