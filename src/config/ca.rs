//! `[ca]` and `[profile.NAME]`.

use serde::{Deserialize, Serialize};

use super::TokenSection;
use crate::base::KeyAlgorithm;

/// `[ca]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaSection {
    /// Kind of key that a new CA gets: `rsa-2048`, `rsa-3072`, `rsa-4096`, `p-256`, `p-384`.
    #[serde(default = "default_key")]
    pub key_algorithm: KeyAlgorithm,
    /// Certificate profile in use.
    #[serde(default)]
    pub profile: ProfileName,
    /// Whether a CA key that lay in a file may be imported with `certool --rootca --privkey`.
    #[serde(default)]
    pub allow_imported_keys: bool,
    /// Whether answers carry the self-signed root after the intermediates.
    #[serde(default)]
    pub chain_includes_root: bool,
    /// Days for which a revocation list is valid.
    #[serde(default = "default_crl_days")]
    pub crl_days: u32,
    /// `[ca.token]`: the CA token.
    pub token: TokenSection,
}

const fn default_key() -> KeyAlgorithm {
    KeyAlgorithm::Rsa(3072)
}

const fn default_crl_days() -> u32 {
    30
}

/// Name of a certificate profile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProfileName {
    /// What VMCA issues.
    #[default]
    VmcaCompat,
    /// RFC 5280 without a linter finding.
    Strict,
}

impl std::fmt::Display for ProfileName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::VmcaCompat => "vmca-compat",
            Self::Strict => "strict",
        })
    }
}

/// `[profile.NAME]`: what may be changed in a named profile.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileSection {
    /// Days of validity; 730 where nothing is said, at most 3660.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validity_days: Option<u32>,
}
