//! How the gateway names the client for which it asks.

use std::fmt;
use std::str::FromStr;

use crate::base::{ClientName, Fingerprint};

/// The header in which it does; its value is a [`Vouched`]. A service believes it from the gateway's user
/// only, and refuses the whole request from anybody else.
pub const CLIENT: &str = "sealwright-client";

/// A client, by name and certificate: the name, a space, the fingerprint in hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// Its name in the gateway's configuration.
    pub name: ClientName,
    /// Of the certificate whose key it has.
    pub fingerprint: Fingerprint,
}

impl fmt::Display for Vouched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.fingerprint)
    }
}

/// A value that names no client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the header {CLIENT} is not the name of a client, a space and a fingerprint; are the gateway and the \
     services of one version?"
)]
pub struct NotVouched;

impl FromStr for Vouched {
    type Err = NotVouched;

    fn from_str(text: &str) -> Result<Self, NotVouched> {
        let (name, fingerprint) = text.split_once(' ').ok_or(NotVouched)?;
        Ok(Self {
            name: name.parse().map_err(|_| NotVouched)?,
            fingerprint: fingerprint.parse().map_err(|_| NotVouched)?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Vouched;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let text = format!("web-1 {}", "0a".repeat(32));
        let read: Vouched = text.parse().unwrap();
        assert_eq!(read.to_string(), text);
        for wrong in ["", "web-1", " ", &format!("{text} "), &format!(" {text}"), &text.repeat(2)] {
            wrong.parse::<Vouched>().unwrap_err();
        }
    }
}
