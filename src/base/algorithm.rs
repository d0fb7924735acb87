//! Key algorithms and sizes that the appliance makes and accepts.

use std::fmt;
use std::str::FromStr;

/// Kind and size of an asymmetric key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyAlgorithm {
    /// RSA with a modulus of this many bits, public exponent 65537 where we make it.
    Rsa(u16),
    /// ECDSA on NIST P-256 (secp256r1).
    P256,
    /// ECDSA on NIST P-384 (secp384r1).
    P384,
}

impl KeyAlgorithm {
    /// The choices offered where a key is made.
    pub const OFFERED: [Self; 5] =
        [Self::Rsa(2048), Self::Rsa(3072), Self::Rsa(4096), Self::P256, Self::P384];
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(bits) => write!(f, "rsa-{bits}"),
            Self::P256 => f.write_str("p-256"),
            Self::P384 => f.write_str("p-384"),
        }
    }
}

impl FromStr for KeyAlgorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::OFFERED
            .into_iter()
            .find(|offered| offered.to_string().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownAlgorithm(text.to_owned()))
    }
}

/// The text names no algorithm that is offered.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not a key algorithm; choose rsa-2048, rsa-3072, rsa-4096, p-256 or p-384")]
pub struct UnknownAlgorithm(pub String);

impl serde::Serialize for KeyAlgorithm {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for KeyAlgorithm {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::KeyAlgorithm;

    #[test]
    fn every_offered_algorithm_reads_back_from_its_own_name() {
        for offered in KeyAlgorithm::OFFERED {
            assert_eq!(offered.to_string().parse::<KeyAlgorithm>().unwrap(), offered);
        }
        assert!("rsa-1024".parse::<KeyAlgorithm>().is_err());
    }
}
