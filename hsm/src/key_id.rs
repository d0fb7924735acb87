//! The identifier of a key of ours.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// 32 random octets, `CKA_ID` of a key of ours. Written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(pub [u8; 32]);

const DIGITS: &[u8; 16] = b"0123456789abcdef";

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // At once, because a formatter costs more for each octet than for all of them.
        let mut text = [0; 64];
        for (digits, octet) in text.chunks_exact_mut(2).zip(self.0) {
            digits[0] = DIGITS[usize::from(octet >> 4)];
            digits[1] = DIGITS[usize::from(octet & 0x0f)];
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for KeyId {
    type Err = Error;

    /// Takes exactly 64 hexadecimal digits, in either case.
    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = || {
            Error::Refused(
                format!("\"{text}\" is not a key identifier: give 64 hexadecimal digits").into(),
            )
        };
        if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(refused());
        }
        let mut id = [0; 32];
        for (octet, at) in id.iter_mut().zip((0..64).step_by(2)) {
            *octet = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| refused())?;
        }
        Ok(Self(id))
    }
}

impl TryFrom<String> for KeyId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_key_id_survives_its_text() {
        let mut octets = [0; 32];
        octets[0] = 0xab;
        octets[31] = 0x01;
        let id = KeyId(octets);
        assert_eq!(id.to_string().parse::<KeyId>().unwrap(), id);
        assert_eq!(id.to_string().to_uppercase().parse::<KeyId>().unwrap(), id);
    }

    #[test]
    fn other_text_is_refused() {
        let multibyte = "é".repeat(32);
        for text in ["", "ab", &"g".repeat(64), &"0".repeat(66), &multibyte] {
            assert!(matches!(text.parse::<KeyId>(), Err(Error::Refused(_))));
        }
    }
}
