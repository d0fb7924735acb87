//! Names of stores and aliases of entries, checked once.
//!
//! Both are unique without regard to ASCII case, as in the original; other letters count as they
//! are. A control character is refused because it would forge lines in what `vecs-cli` prints.

use std::fmt;

use super::Error;

/// Name of a store: 1 to 128 characters, none of them a control character.
#[derive(Clone, Debug)]
pub struct StoreName(String);

impl StoreName {
    /// The most characters.
    pub const LONGEST: usize = 128;

    /// Checks a name.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is empty, too long or holds a control character.
    pub fn new(text: &str) -> Result<Self, Error> {
        checked(text, "store name", Self::LONGEST).map(Self)
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which names are compared.
    pub(super) fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl fmt::Display for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Alias of an entry: 1 to 255 characters, none of them a control character.
#[derive(Clone, Debug)]
pub struct Alias(String);

impl Alias {
    /// The most characters.
    pub const LONGEST: usize = 255;

    /// Checks an alias.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is empty, too long or holds a control character.
    pub fn new(text: &str) -> Result<Self, Error> {
        checked(text, "alias", Self::LONGEST).map(Self)
    }

    /// The alias that an entry gets from its content: SHA-1 in lower-case hex, without colons.
    pub(super) fn of_fingerprint(sha1: &[u8; 20]) -> Self {
        Self(hex(sha1))
    }

    /// The alias as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which aliases are compared.
    pub(super) fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Lower-case hex.
pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn checked(text: &str, what: &str, longest: usize) -> Result<String, Error> {
    let refusal = if text.is_empty() {
        "is empty; give one".to_owned()
    } else if text.chars().any(char::is_control) {
        "holds a control character; use printable characters only".to_owned()
    } else if text.chars().count() > longest {
        format!("is longer than {longest} characters; choose a shorter one")
    } else {
        return Ok(text.to_owned());
    };
    Err(Error::Invalid(format!("the {what} {refusal}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Alias, StoreName};

    #[test]
    fn names_have_bounds_and_no_control_characters() {
        let cases = [
            ("a", true),
            ("vpxd-extension", true),
            ("Zürich / 100 %", true),
            ("", false),
            ("two\nlines", false),
            ("tab\there", false),
            ("nul\0", false),
            ("\u{9b}31m", false),
        ];
        for (text, accepted) in cases {
            assert_eq!(StoreName::new(text).is_ok(), accepted, "{text:?}");
            assert_eq!(Alias::new(text).is_ok(), accepted, "{text:?}");
        }
        // Characters are counted, not octets.
        assert!(StoreName::new(&"ü".repeat(128)).is_ok());
        assert!(StoreName::new(&"ü".repeat(129)).is_err());
        assert!(Alias::new(&"ü".repeat(255)).is_ok());
        assert!(Alias::new(&"ü".repeat(256)).is_err());
    }

    #[test]
    fn only_ascii_letters_lose_their_case() {
        assert_eq!(StoreName::new("MACHINE_Ü").unwrap().folded(), "machine_Ü");
    }

    #[test]
    fn a_fingerprint_becomes_lower_case_hex() {
        let mut sha1 = [0; 20];
        sha1[0] = 0xF4;
        assert_eq!(Alias::of_fingerprint(&sha1).as_str(), format!("f4{}", "0".repeat(38)));
    }
}
