//! What the configuration says about the CA.

use std::fmt;
use std::path::PathBuf;

use crate::base::KeyAlgorithm;

/// A named certificate profile: which requests are taken, and what their certificates say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// What VMCA issues: no extended key usage, key usage not critical.
    VmcaCompat,
    /// RFC 5280 without a linter finding: a DNS name is required, key usage is critical.
    Strict,
}

impl Profile {
    /// The name in the configuration and in the records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::VmcaCompat => "vmca-compat",
            Self::Strict => "strict",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Settings of the CA, checked by the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The profile that certificates are issued under.
    pub profile: Profile,
    /// Days of validity where a request asks for none.
    pub validity_days: u32,
    /// Kind of key that a new CA gets.
    pub key_algorithm: KeyAlgorithm,
    /// Whether a CA key that lay in a file may be brought into the token.
    pub allow_imported_keys: bool,
    /// Whether answers carry the self-signed root after the intermediates.
    pub chain_includes_root: bool,
    /// Days from signing a revocation list until its `nextUpdate`.
    pub crl_days: u32,
    /// AIA caIssuers URL in issued certificates (RFC 5280, 4.2.2.1).
    pub ca_issuers_url: Option<String>,
    /// The file that scripts read the CA chain from: VMCA first, then its issuers.
    pub root_cer: PathBuf,
}
