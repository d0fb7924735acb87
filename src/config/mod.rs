//! Floor 4: `sealwright.toml`, read once and turned into checked values.
//!
//! Every key is documented where it is defined, below. An unknown key is an error, so that a typing
//! error is not silence. `sealwright init` writes the file; every service reads it at start.

mod ca;
mod token;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use ca::{CaSection, ProfileName, ProfileSection};
pub use token::{TokenRole, TokenSection};

/// The whole file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[node]`: what this machine is called.
    pub node: NodeSection,
    /// `[access]`: who besides root may do what.
    #[serde(default)]
    pub access: AccessSection,
    /// `[ca]`: the certificate authority.
    pub ca: CaSection,
    /// `[vecs]`: the certificate stores.
    pub vecs: VecsSection,
    /// `[gateway]`: the TLS front door.
    #[serde(default)]
    pub gateway: GatewaySection,
    /// `[profile.NAME]`: changes to a certificate profile.
    #[serde(default)]
    pub profile: BTreeMap<ProfileName, ProfileSection>,
}

/// `[node]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSection {
    /// Primary network identifier: the host name by which clients reach this machine. It is in the
    /// machine's certificate and in the AIA address of every certificate that VMCA issues.
    pub name: String,
    /// Directory domain; the default subject of the CA ends in its components.
    #[serde(default = "default_domain")]
    pub domain: String,
}

fn default_domain() -> String {
    "vsphere.local".to_owned()
}

/// `[access]`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessSection {
    /// Users, by name, who administer the appliance as root does.
    #[serde(default)]
    pub operators: Vec<String>,
    /// Users, by name, who may have certificates issued and nothing else.
    #[serde(default)]
    pub requesters: Vec<String>,
}

/// `[vecs]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VecsSection {
    /// Seconds between two refreshes of TRUSTED_ROOTS and TRUSTED_ROOT_CRLS from the directory.
    #[serde(default = "default_refresh")]
    pub refresh_seconds: u64,
    /// `CKA_ID` of the wrapping key in the sealing token, 64 hex digits.
    pub wrapping_key: String,
    /// `[vecs.token]`: the sealing token.
    pub token: TokenSection,
}

const fn default_refresh() -> u64 {
    60
}

/// `[gateway]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewaySection {
    /// Address and port to listen on.
    #[serde(default = "default_listen")]
    pub listen: std::net::SocketAddr,
}

impl Default for GatewaySection {
    fn default() -> Self {
        Self {
            listen: default_listen(),
        }
    }
}

const fn default_listen() -> std::net::SocketAddr {
    std::net::SocketAddr::new(std::net::IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED), 443)
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no file: the appliance has not been set up.
    #[error("{} does not exist; run `sealwright init` first", .0.display())]
    Missing(PathBuf),
    /// The file cannot be read.
    #[error("{} cannot be read", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        cause: std::io::Error,
    },
    /// The file says something that cannot be.
    #[error("{}: {what}", .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column where known.
        what: String,
    },
}

impl Config {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// See [`Error`]; each names the file and what to do.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|cause| {
            if cause.kind() == std::io::ErrorKind::NotFound {
                Error::Missing(path.to_owned())
            } else {
                Error::Unreadable {
                    path: path.to_owned(),
                    cause,
                }
            }
        })?;
        toml::from_str(&text).map_err(|cause| Error::Invalid {
            path: path.to_owned(),
            what: cause.to_string(),
        })
    }

    /// The file's text, as `sealwright init` writes it.
    pub fn to_toml(&self) -> String {
        // Serialisation fails only for maps with keys that are no strings; there are none.
        toml::to_string_pretty(self).unwrap_or_default()
    }

    /// The token of a role.
    pub const fn token(&self, role: TokenRole) -> &TokenSection {
        match role {
            TokenRole::Ca => &self.ca.token,
            TokenRole::Sealing => &self.vecs.token,
        }
    }
}
