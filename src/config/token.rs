//! `[ca.token]` and `[vecs.token]`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

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
}

impl TokenSection {
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
