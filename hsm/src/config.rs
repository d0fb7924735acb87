//! Which module, which token, where the PIN comes from.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use crate::{Error, PinSource};

/// Which module, which token, where the PIN comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenConfig {
    /// Path of the vendor's PKCS#11 module (a shared library).
    pub module: PathBuf,
    /// Which token of the module. It must select exactly one.
    pub uri: TokenUri,
    /// Where the user PIN comes from.
    pub pin: PinSource,
}

/// A token's own description of itself (`CK_TOKEN_INFO`), without padding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenIdentity {
    /// Label given when the token was initialised.
    pub label: String,
    /// Serial number given by the manufacturer. SoftHSM derives one for each token.
    pub serial: String,
    /// Manufacturer.
    pub manufacturer: String,
    /// Model.
    pub model: String,
}

/// A PKCS#11 URI (RFC 7512) that selects a token by label or serial number, never by slot: slot numbers move.
///
/// `manufacturer` and `model` narrow the choice where they are given, because tools print URIs with all four.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenUri {
    /// `token=`: the label.
    pub label: Option<String>,
    /// `serial=`: the serial number.
    pub serial: Option<String>,
    /// `manufacturer=`.
    pub manufacturer: Option<String>,
    /// `model=`.
    pub model: Option<String>,
}

impl TokenUri {
    /// Whether this URI selects that token.
    pub fn selects(&self, token: &TokenIdentity) -> bool {
        let agrees = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        (self.label.is_some() || self.serial.is_some())
            && agrees(&self.label, &token.label)
            && agrees(&self.serial, &token.serial)
            && agrees(&self.manufacturer, &token.manufacturer)
            && agrees(&self.model, &token.model)
    }

    fn set(&mut self, attribute: &str, value: &str) -> Result<(), Error> {
        let place = match attribute {
            "token" => &mut self.label,
            "serial" => &mut self.serial,
            "manufacturer" => &mut self.manufacturer,
            "model" => &mut self.model,
            "slot-id" | "slot-description" | "slot-manufacturer" => {
                return refuse(
                    "selects by slot: slot numbers change when tokens come and go, so select by token= (the label) \
                     or serial=",
                );
            }
            other => {
                return refuse(&format!(
                    "holds {other}=, which does not select a token: use token= (the label) or serial="
                ));
            }
        };
        if place.is_some() {
            return refuse(&format!("gives {attribute}= twice: give it once"));
        }
        match percent_decode_str(value).decode_utf8() {
            Ok(text) if !text.is_empty() => *place = Some(text.into_owned()),
            _ => return refuse(&format!("has an empty or badly encoded {attribute}=")),
        }
        Ok(())
    }
}

/// The URI is not repeated in the sentence, because it may hold a PIN that was put there by mistake.
fn refuse<T>(why: &str) -> Result<T, Error> {
    Err(Error::Refused(format!("the token URI {why}").into()))
}

impl FromStr for TokenUri {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let Some(rest) = text.strip_prefix("pkcs11:") else {
            return refuse("does not start with pkcs11: write for example pkcs11:token=my-label");
        };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        if let Some(attribute) = query.split('&').find(|attribute| !attribute.is_empty()) {
            match attribute.split_once('=').map_or(attribute, |(name, _)| name) {
                "pin-value" => {
                    return refuse(
                        "holds a PIN (pin-value): remove it, change that PIN, and name a PIN source instead",
                    );
                }
                "pin-source" => {
                    return refuse("holds pin-source: name the PIN source in its own setting");
                }
                "module-path" | "module-name" => {
                    return refuse("names a module: give the module in its own setting");
                }
                other => {
                    return refuse(&format!("holds {other}, which is not known here: remove it"));
                }
            }
        }
        let mut uri = Self::default();
        for attribute in path.split(';').filter(|attribute| !attribute.is_empty()) {
            let Some((name, value)) = attribute.split_once('=') else {
                return refuse("has an attribute without a value");
            };
            uri.set(name, value)?;
        }
        if uri.label.is_none() && uri.serial.is_none() {
            return refuse("selects nothing: give token= (the label) or serial=");
        }
        Ok(uri)
    }
}

/// What stays as it is in a PKCS#11 URI: the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl fmt::Display for TokenUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pkcs11:")?;
        let mut separator = "";
        for (name, value) in [
            ("token", &self.label),
            ("serial", &self.serial),
            ("manufacturer", &self.manufacturer),
            ("model", &self.model),
        ] {
            if let Some(value) = value {
                write!(f, "{separator}{name}={}", utf8_percent_encode(value, ENCODED))?;
                separator = ";";
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for TokenUri {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<TokenUri> for String {
    fn from(uri: TokenUri) -> Self {
        uri.to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn uris_survive_their_text() {
        for text in [
            "pkcs11:token=ca",
            "pkcs11:serial=0a1b2c",
            "pkcs11:token=Sealwright%20CA%3B%C3%A9;serial=1;manufacturer=SoftHSM%20project;model=SoftHSM%20v2",
        ] {
            assert_eq!(text.parse::<TokenUri>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn attributes_may_come_in_any_order() {
        let uri: TokenUri = "pkcs11:model=SoftHSM%20v2;token=ca".parse().unwrap();
        assert_eq!(uri.label.as_deref(), Some("ca"));
        assert_eq!(uri.model.as_deref(), Some("SoftHSM v2"));
    }

    #[test]
    fn what_does_not_select_a_token_is_refused_with_a_sentence() {
        for (text, sentence) in [
            ("token=ca", "does not start with pkcs11:"),
            ("pkcs11:", "selects nothing"),
            ("pkcs11:model=x", "selects nothing"),
            ("pkcs11:slot-id=3", "selects by slot"),
            ("pkcs11:token=ca;slot-id=3", "selects by slot"),
            ("pkcs11:token=ca?pin-value=hunter2", "holds a PIN"),
            ("pkcs11:token=ca?pin-source=file:/x", "its own setting"),
            ("pkcs11:token=ca?module-path=/x", "its own setting"),
            ("pkcs11:token=ca;object=key", "does not select a token"),
            ("pkcs11:token=a;token=b", "twice"),
            ("pkcs11:token=", "empty"),
            ("pkcs11:token=%ff", "badly encoded"),
            ("pkcs11:token", "without a value"),
        ] {
            let Err(Error::Refused(fault)) = text.parse::<TokenUri>() else {
                panic!("{text} was accepted")
            };
            assert!(fault.to_string().contains(sentence), "{text}: {fault}");
            assert!(!fault.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn every_attribute_narrows_the_choice() {
        let token = TokenIdentity {
            label: "ca".into(),
            serial: "1".into(),
            manufacturer: "SoftHSM project".into(),
            model: "SoftHSM v2".into(),
        };
        let selects = |text: &str| text.parse::<TokenUri>().unwrap().selects(&token);
        assert!(selects("pkcs11:token=ca"));
        assert!(selects("pkcs11:serial=1;manufacturer=SoftHSM%20project"));
        assert!(!selects("pkcs11:token=CA"));
        assert!(!selects("pkcs11:token=ca;serial=2"));
        assert!(!selects("pkcs11:token=ca;model=other"));
        assert!(!TokenUri::default().selects(&token));
    }
}
