//! Machines that ask over HTTPS: what they are called, and how their certificates are told apart.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest name, in octets: it stands in a header of each request and in each journal record.
const LONGEST_NAME: usize = 64;

/// What a machine is called in the configuration and in the journal: ASCII letters, digits, `.`, `-`
/// and `_`. So it fits into a header and into `client:NAME(…)` as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientName(Arc<str>);

/// A name that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a client's name has 1 to {LONGEST_NAME} characters: ASCII letters, digits, '.', '-' and '_'"
)]
pub struct NoClientName;

impl FromStr for ClientName {
    type Err = NoClientName;

    fn from_str(text: &str) -> Result<Self, NoClientName> {
        let fits = |octet: u8| octet.is_ascii_alphanumeric() || b".-_".contains(&octet);
        if text.is_empty() || text.len() > LONGEST_NAME || !text.bytes().all(fits) {
            return Err(NoClientName);
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for ClientName {
    type Error = NoClientName;

    fn try_from(text: String) -> Result<Self, NoClientName> {
        text.parse()
    }
}

impl From<ClientName> for String {
    fn from(name: ClientName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl Borrow<str> for ClientName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// SHA-256 of a certificate's DER.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(pub [u8; 32]);

/// Text that is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the SHA-256 of a certificate has 64 hex digits: openssl x509 -in FILE -noout -fingerprint -sha256"
)]
pub struct NoFingerprint;

impl Fingerprint {
    /// The first 16 hex digits: enough to recognise a certificate by.
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(16);
        text
    }
}

impl FromStr for Fingerprint {
    type Err = NoFingerprint;

    /// Takes what OpenSSL prints as well: capitals, and a colon between octets.
    fn from_str(text: &str) -> Result<Self, NoFingerprint> {
        let step = match text.len() {
            64 => 2,
            95 => 3,
            _ => return Err(NoFingerprint),
        };
        let text = text.as_bytes();
        let digit = |at: usize| {
            let digit = text.get(at).and_then(|octet| char::from(*octet).to_digit(16));
            digit.and_then(|digit| u8::try_from(digit).ok()).ok_or(NoFingerprint)
        };
        let mut octets = [0; 32];
        for (number, octet) in octets.iter_mut().enumerate() {
            let at = number * step;
            *octet = digit(at)? << 4 | digit(at + 1)?;
            if step == 3 && text.get(at + 2).is_some_and(|between| *between != b':') {
                return Err(NoFingerprint);
            }
        }
        Ok(Self(octets))
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = NoFingerprint;

    fn try_from(text: String) -> Result<Self, NoFingerprint> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{ClientName, Fingerprint};

    #[test]
    fn names_fit_into_a_header_and_into_the_journal() {
        for name in ["web1", "a.b-c_D", &"x".repeat(64)] {
            assert_eq!(name.parse::<ClientName>().unwrap().to_string(), name);
        }
        for name in ["", "a b", "a\r\nb", "a(b", "ä", "a:b", &"x".repeat(65)] {
            name.parse::<ClientName>().unwrap_err();
        }
    }

    #[test]
    fn fingerprints_are_read_as_openssl_prints_them_and_as_sha256sum_does() {
        let plain = "00112233445566778899aabbccddeeff".repeat(2);
        let pairs: Vec<&str> = (0..32).map(|n| &plain[2 * n..2 * n + 2]).collect();
        let colons = pairs.join(":").to_uppercase();
        for text in [plain.as_str(), &plain.to_uppercase(), &colons] {
            let read: Fingerprint = text.parse().unwrap();
            assert_eq!(read.to_string(), plain);
            assert_eq!((read.0[0], read.0[31]), (0, 0xff));
        }
        for wrong in [&plain[1..], &colons.replace(':', "-"), &plain.replace('a', "g"), "", "ä"] {
            wrong.parse::<Fingerprint>().unwrap_err();
        }
        assert_eq!(plain.parse::<Fingerprint>().unwrap().short(), "0011223344556677");
    }
}
