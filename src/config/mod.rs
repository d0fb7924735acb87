//! Floor 4: `sealwright.toml`, read once and turned into checked values.
//!
//! Every key is documented where it is defined, below. An unknown key is an error, so that a typing
//! error is not silence. `sealwright init` writes the file; every service reads it at start.

mod ca;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod sandbox;
mod token;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::{ClientName, Fingerprint};

pub use ca::{CaSection, ProfileName, ProfileSection};
pub use sandbox::{SandboxSection, SystemCallList};
pub use token::{AgentSection, TokenRole, TokenSection};

/// Path on the gateway under which the trusted roots are published.
pub const TRUSTED_ROOTS: &str = "/afd/vecs/ca";

/// Days of validity where the file says nothing: what the original issues.
const DEFAULT_VALIDITY: u32 = 730;

/// The most days that a profile may say: ten years.
const LONGEST_VALIDITY: u32 = 3660;

/// The most days between two revocation lists.
const LONGEST_CRL: u32 = 365;

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
    /// `[access.clients]`: machines that may have certificates issued over HTTPS, and nothing else. NAME =
    /// "SHA-256 of the client's certificate", in hex, as `openssl x509 -noout -fingerprint -sha256` prints it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub clients: BTreeMap<ClientName, Fingerprint>,
}

impl AccessSection {
    /// Two names for one certificate: then it would be chance who asked.
    fn ambiguous_client(&self) -> Option<String> {
        let mut names = BTreeMap::new();
        self.clients.iter().find_map(|(name, fingerprint)| {
            let other = names.insert(fingerprint, name)?;
            Some(format!("access.clients: {other} and {name} have the same certificate"))
        })
    }
}

/// `[vecs]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VecsSection {
    /// Seconds between two refreshes of TRUSTED_ROOTS and TRUSTED_ROOT_CRLS from the directory.
    #[serde(default = "default_refresh")]
    pub refresh_seconds: u64,
    /// `CKA_ID` of the sealing key that a former version made, 64 hex digits. Not written any more:
    /// `vmafdd` keeps its keys on record, and reads this once where it has no record yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrapping_key: Option<String>,
    /// How often a key may seal before it must be changed, where that is less often than SP 800-38D
    /// allows (section 8.3: 2^32 times).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seals_per_key: Option<u64>,
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
    /// Where handshakes are signed: `token`, by `vmafdd` with the key inside the sealing token, or
    /// `memory`, by the gateway with a copy of the key.
    #[serde(default)]
    pub key: GatewayKey,
}

/// Where the gateway's private key is at work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GatewayKey {
    /// In the sealing token: the gateway never has it.
    #[default]
    Token,
    /// In the gateway's memory: faster, and the key is where strangers' octets are parsed.
    Memory,
}

impl Default for GatewaySection {
    fn default() -> Self {
        Self { listen: default_listen(), key: GatewayKey::default() }
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
                Error::Unreadable { path: path.to_owned(), cause }
            }
        })?;
        Self::read(&text).map_err(|what| Error::Invalid { path: path.to_owned(), what })
    }

    /// The text, or what is wrong with it.
    fn read(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|cause| place_and_reason(text, &cause))?;
        config.contradiction().map_or(Ok(config), Err)
    }

    /// What the types alone do not rule out.
    fn contradiction(&self) -> Option<String> {
        if self.node.name.is_empty()
            || self.node.name.contains(|c: char| c.is_whitespace() || c == '/')
        {
            return Some("node.name must be a host name or an IP address".to_owned());
        }
        for (section, token) in [("ca.token", &self.ca.token), ("vecs.token", &self.vecs.token)] {
            if let Err(cause) = token.selection() {
                return Some(format!("[{section}]: {cause}"));
            }
            if token.deadline_seconds == 0 {
                return Some(format!("{section}.deadline_seconds must be at least 1"));
            }
            if let Some(what) = token.sandbox.contradiction() {
                return Some(format!("[{section}.sandbox]: {what}"));
            }
        }
        if let Some(what) = self.access.ambiguous_client() {
            return Some(what);
        }
        if self.vecs.refresh_seconds == 0 {
            return Some("vecs.refresh_seconds must be at least 1".to_owned());
        }
        // The policy of the CA token signs no list for longer than a year.
        if !(1..=LONGEST_CRL).contains(&self.ca.crl_days) {
            return Some(format!("ca.crl_days must lie between 1 and {LONGEST_CRL}"));
        }
        self.profile.iter().find_map(|(name, section)| {
            let days = section.validity_days?;
            (!(1..=LONGEST_VALIDITY).contains(&days)).then(|| {
                format!("profile.{name}.validity_days must lie between 1 and {LONGEST_VALIDITY}")
            })
        })
    }

    /// Days of validity of a profile's certificates.
    pub fn validity_days(&self, profile: ProfileName) -> u32 {
        self.profile
            .get(&profile)
            .and_then(|section| section.validity_days)
            .unwrap_or(DEFAULT_VALIDITY)
    }

    /// The address in the AIA extension of every certificate that VMCA issues (RFC 5280, 4.2.2.1).
    ///
    /// The port is left out where it is 443, as in the certificates of the original.
    pub fn ca_issuers_url(&self) -> String {
        let name = &self.node.name;
        let host = match name.parse::<std::net::Ipv6Addr>() {
            Ok(address) => format!("[{address}]"),
            Err(_) => name.clone(),
        };
        match self.gateway.listen.port() {
            443 => format!("https://{host}{TRUSTED_ROOTS}"),
            port => format!("https://{host}:{port}{TRUSTED_ROOTS}"),
        }
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

/// Where it is and why it is wrong. The line itself is not repeated, and not what a `pin` was set to:
/// it may be a PIN that was put there by mistake, and this text reaches a log.
fn place_and_reason(text: &str, cause: &toml::de::Error) -> String {
    let before = cause.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count();
    let is_pin = text.lines().nth(line).is_some_and(|line| line.contains("pin"));
    let reason = match is_pin {
        true => "a PIN source in quotes is due: file:PATH, fd:NUMBER, credential:NAME or prompt",
        false => cause.message(),
    };
    format!("line {}: {reason}", line + 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Config, Error, GatewayKey, ProfileName};

    const TOKEN: &str = "module = \"/m.so\"\nuri = \"pkcs11:token=x\"\npin = \"file:/p\"\n";

    fn load(head: &str, tail: &str) -> Result<Config, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealwright.toml");
        let text = format!("{head}\n[ca.token]\n{TOKEN}[vecs.token]\n{TOKEN}{tail}");
        std::fs::write(&path, text).unwrap();
        Config::load(&path)
    }

    #[test]
    fn the_key_of_the_gateway_stays_in_the_token_unless_the_file_says_otherwise() {
        let key = |section: &str| {
            load("[node]\nname = \"vc.example\"", section).map(|config| config.gateway.key)
        };
        assert_eq!(key("").unwrap(), GatewayKey::Token);
        assert_eq!(key("[gateway]\nlisten = \"[::]:443\"").unwrap(), GatewayKey::Token);
        assert_eq!(key("[gateway]\nkey = \"memory\"").unwrap(), GatewayKey::Memory);
        assert!(key("[gateway]\nkey = \"file\"").is_err());
    }

    #[test]
    fn the_address_of_the_roots_names_the_port_only_where_it_is_unusual() {
        let cases = [
            ("vc.example", "[::]:443", "https://vc.example/afd/vecs/ca"),
            ("vc.example", "[::]:9443", "https://vc.example:9443/afd/vecs/ca"),
            ("2001:db8::1", "[::]:443", "https://[2001:db8::1]/afd/vecs/ca"),
        ];
        for (name, listen, expected) in cases {
            let config = load(
                &format!("[node]\nname = \"{name}\""),
                &format!("[gateway]\nlisten = \"{listen}\""),
            );
            assert_eq!(config.unwrap().ca_issuers_url(), expected);
        }
    }

    #[test]
    fn a_written_file_reads_back() {
        let config = load("[node]\nname = \"n\"", "[profile.strict]\nvalidity_days = 90").unwrap();
        let again: Config = toml::from_str(&config.to_toml()).unwrap();
        assert_eq!(again.validity_days(ProfileName::Strict), 90);
        assert_eq!(again.validity_days(ProfileName::VmcaCompat), 730);
        assert_eq!(again.to_toml(), config.to_toml());
    }

    #[test]
    fn clients_are_names_with_the_fingerprints_of_certificates() {
        let read = |lines: &str| {
            load("[node]\nname = \"n\"", &format!("[access.clients]\n{lines}"))
                .map_err(|refusal| refusal.to_string())
        };
        let (one, colons) = ("0a".repeat(32), ["0B"; 32].join(":"));
        let config = read(&format!("web1 = \"{one}\"\n\"b.example\" = \"{colons}\"")).unwrap();
        let clients: Vec<_> =
            config.access.clients.iter().map(|(n, f)| format!("{n} {f}")).collect();
        assert_eq!(clients, [format!("b.example {}", "0b".repeat(32)), format!("web1 {one}")]);
        let again = Config::read(&config.to_toml()).unwrap();
        assert_eq!(again.access.clients, config.access.clients);
        for (lines, named) in [
            (format!("a = \"{}\"", &one[2..]), "64 hex digits"),
            (format!("\"a b\" = \"{one}\""), "client's name"),
            (format!("a = \"{one}\"\nb = \"{one}\""), "a and b have the same"),
        ] {
            let said = read(&lines).unwrap_err();
            assert!(said.contains(named) && said.contains("sealwright.toml"), "{said}");
        }
    }

    #[test]
    fn a_pin_in_the_file_is_refused_and_not_repeated() {
        for pin in ["73551", "\"73551\"", "\"73551", "x73551", "\"file:\" 73551", "{ a = 73551 }"] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("sealwright.toml");
            let token = TOKEN.replace("\"file:/p\"", pin);
            let text = format!("[node]\nname = \"n\"\n[ca.token]\n{token}[vecs.token]\n{TOKEN}");
            std::fs::write(&path, text).unwrap();
            let refusal = Config::load(&path).unwrap_err();
            let said = format!("{refusal} {refusal:?}");
            assert!(said.contains("file:PATH") && !said.contains("73551"), "{said}");
        }
        for written in [
            "[ca.token]\n\"pin\" = 73551\n",
            "[ca]\ntoken.pin = 73551\n",
            "[ca]\ntoken = { module = \"/m\", pin = 73551 }\n",
        ] {
            let said = Config::read(written).unwrap_err();
            assert!(said.contains("file:PATH") && !said.contains("73551"), "{said}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_place() {
        let cases = [
            ("[node]\nname = \"\"", "", "node.name"),
            ("[node]\nname = \"n\"", "[profile.strict]\nvalidity_days = 4000", "strict"),
            ("[node]\nname = \"n\"\nnmae = 1", "", "nmae"),
            ("[node]\nname = \"n\"\n[ca]\ncrl_days = 0", "", "crl_days"),
            ("[node]\nname = \"n\"\n[ca]\ncrl_days = 366", "", "crl_days"),
            ("[node]\nname = \"n\"", "[acces]", "acces"),
            (
                "[node]\nname = \"n\"",
                "[vecs.token.sandbox]\nallow = [\"sokcet\"]",
                "'sokcet' is no",
            ),
            ("[node]\nname = \"n\"", "[vecs.token.sandbox]\nread = [\"etc\"]", "absolute"),
            ("[node]\nname = \"n\"", "[vecs.token.sandbox]\nsystem_calls = \"of\"", "softhsm"),
            ("[node]\nname = \"n\"\nname = \"m\"", "", "line 3"),
        ];
        for (head, tail, named) in cases {
            let refusal = load(head, tail).unwrap_err().to_string();
            assert!(refusal.contains(named) && refusal.contains("sealwright.toml"), "{refusal}");
        }
    }
}
