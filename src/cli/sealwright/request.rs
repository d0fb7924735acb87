//! What the operator asks for, checked.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use hsm::{PinSource, TokenUri};

use crate::base::KeyAlgorithm;
use crate::config::ProfileName;

/// What the appliance is to become.
#[derive(Clone, Debug)]
pub struct Request {
    /// Name of this machine (the primary network identifier); none: the one that its kernel has.
    pub host: Option<HostName>,
    /// Directory domain; none: the default one.
    pub domain: Option<Domain>,
    /// Kind of the CA key; none: RSA-3072.
    pub key_algorithm: Option<KeyAlgorithm>,
    /// Certificate profile; none: the default one.
    pub profile: Option<ProfileName>,
    /// Where the gateway listens; none: as the configuration's default says.
    pub listen: Option<SocketAddr>,
    /// Whether CA keys that lay in files may be imported.
    pub allow_imported_ca_keys: bool,
    /// Users who administer the appliance besides root.
    pub operators: Vec<String>,
    /// Where the CA's keys are.
    pub ca_token: TokenChoice,
    /// Where the wrapping key is.
    pub sealing_token: TokenChoice,
}

/// Which token a role gets.
#[derive(Clone, Debug)]
pub enum TokenChoice {
    /// A new SoftHSM token with random PINs, in the appliance's own folder.
    NewSoftHsm {
        /// SoftHSM's PKCS#11 module; none: the first in the usual places.
        module: Option<PathBuf>,
    },
    /// A token that exists. It is not initialised; keys are made in it.
    Existing {
        /// The vendor's PKCS#11 module.
        module: PathBuf,
        /// Which token.
        uri: TokenUri,
        /// Where its user PIN comes from.
        pin: PinSource,
        /// Environment that the module needs.
        environment: BTreeMap<String, String>,
    },
}

/// Longest common name (RFC 5280, appendix A.1: ub-common-name); the host name becomes one.
const LONGEST_HOST_NAME: usize = 64;

/// A DNS name or an IP address by which clients reach this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostName {
    /// A DNS name (RFC 1123, 2.1), without a dot at its end.
    Dns(String),
    /// An address.
    Ip(IpAddr),
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(address) => write!(f, "{address}"),
        }
    }
}

impl FromStr for HostName {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Ip(address));
        }
        check_dns_name(text)?;
        if text.len() > LONGEST_HOST_NAME {
            return Err(NotAName {
                text: text.to_owned(),
                why: "it has more than the 64 characters that a common name can hold",
            });
        }
        Ok(Self::Dns(text.to_owned()))
    }
}

/// A directory domain, such as `vsphere.local`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain(String);

impl Default for Domain {
    fn default() -> Self {
        Self("vsphere.local".to_owned())
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Domain {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        check_dns_name(text)?;
        Ok(Self(text.to_owned()))
    }
}

/// The text is no name that DNS could have.
#[derive(Debug, thiserror::Error)]
#[error("'{text}' is neither a DNS name nor an IP address: {why}")]
pub struct NotAName {
    text: String,
    why: &'static str,
}

fn check_dns_name(text: &str) -> Result<(), NotAName> {
    let labels = || text.split('.');
    let why = if text.is_empty() {
        "it is empty"
    } else if text.len() > 253 {
        "it has more than 253 characters"
    } else if labels().any(str::is_empty) {
        "a dot has nothing before or behind it"
    } else if labels().any(|label| label.len() > 63) {
        "a part between two dots has more than 63 characters"
    } else if !text
        .bytes()
        .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'.')
    {
        "only letters, digits, hyphens and dots may be in it"
    } else if labels().any(|label| label.starts_with('-') || label.ends_with('-')) {
        "a part begins or ends with a hyphen"
    } else if labels()
        .next_back()
        .is_some_and(|label| label.bytes().all(|octet| octet.is_ascii_digit()))
    {
        "it ends in a number, as an address does, and is no address"
    } else {
        return Ok(());
    };
    Err(NotAName { text: text.to_owned(), why })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Domain, HostName};

    #[test]
    fn names_and_addresses_are_told_apart() {
        for name in ["vc", "VC01.corp.example", "a-b.c", "xn--bcher-kva.example", "1a.2b"] {
            assert_eq!(name.parse::<HostName>().unwrap(), HostName::Dns(name.to_owned()));
        }
        for address in ["192.0.2.7", "2001:db8::1"] {
            let HostName::Ip(found) = address.parse::<HostName>().unwrap() else {
                panic!("{address} is an address");
            };
            assert_eq!(found.to_string(), address);
        }
    }

    #[test]
    fn what_dns_could_not_have_is_refused_with_the_reason() {
        let long_label = format!("{}.example", "a".repeat(64));
        let long_name = format!("{}.example", ["abcdefghij"; 6].join("."));
        let cases = [
            ("", "empty"),
            ("a..b", "dot"),
            (".a", "dot"),
            ("a.", "dot"),
            ("vm_1.example", "letters, digits"),
            ("*.example", "letters, digits"),
            ("a b", "letters, digits"),
            ("höst", "letters, digits"),
            ("https://a", "letters, digits"),
            ("-a.b", "hyphen"),
            ("a-.b", "hyphen"),
            ("192.0.2.256", "no address"),
            (&long_label, "63"),
            (&long_name, "64"),
        ];
        for (text, why) in cases {
            let refused = text.parse::<HostName>().unwrap_err().to_string();
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }

    #[test]
    fn a_domain_may_not_be_an_address() {
        assert_eq!(Domain::default().to_string(), "vsphere.local");
        assert!("corp.example".parse::<Domain>().is_ok());
        assert!("192.0.2.7".parse::<Domain>().is_err());
    }
}
