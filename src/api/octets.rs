//! Octets that are neither text nor a secret, as they travel: lower-case hex.

use serde::{Deserialize, Serialize};

/// Octets on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Octets(pub Vec<u8>);

impl Octets {
    /// Reads hex digits of either case; `None` for anything else.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digit = |character: u8| char::from(character).to_digit(16);
        let pair = |pair: &[u8]| match *pair {
            [high, low] => u8::try_from(digit(high)? << 4 | digit(low)?).ok(),
            _ => None,
        };
        text.as_bytes().chunks(2).map(pair).collect::<Option<Vec<u8>>>().map(Self)
    }

    /// Lower-case hex.
    pub fn to_hex(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 0x0f)]);
        let mut text = String::with_capacity(2 * self.0.len());
        for octet in &self.0 {
            text.push(digit(octet >> 4));
            text.push(digit(*octet));
        }
        text
    }
}

impl Serialize for Octets {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::from_hex(&text).ok_or_else(|| serde::de::Error::custom("octets are written in hex"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Octets;

    #[test]
    fn hex_goes_there_and_back_and_nothing_else_is_taken() {
        let all = Octets((0..=255).collect());
        assert_eq!(Octets::from_hex(&all.to_hex()).unwrap(), all);
        assert_eq!(Octets::from_hex("00fFA5").unwrap().0, [0x00, 0xff, 0xa5]);
        assert_eq!(serde_json::to_string(&Octets(vec![1, 0xab])).unwrap(), "\"01ab\"");
        for wrong in ["0", "0g", "+1", "é0", " 00"] {
            assert_eq!(Octets::from_hex(wrong), None, "{wrong}");
        }
    }
}
