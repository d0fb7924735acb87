//! How a stored key can sign: padding and digest, by the names that stand on command lines and on the wire.

use std::fmt;
use std::str::FromStr;

use super::KeyAlgorithm;

/// A signature algorithm with its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignatureScheme {
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, 8.2).
    RsaPkcs1Sha256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RsaPkcs1Sha384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RsaPkcs1Sha512,
    /// RSASSA-PSS with SHA-256, the salt as long as the digest (RFC 8017, 8.1).
    RsaPssSha256,
    /// RSASSA-PSS with SHA-384.
    RsaPssSha384,
    /// RSASSA-PSS with SHA-512.
    RsaPssSha512,
    /// ECDSA on P-256 with SHA-256; a DER Ecdsa-Sig-Value (RFC 3279, 2.2.3).
    EcdsaP256Sha256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384Sha384,
}

impl SignatureScheme {
    /// Every scheme; for RSA the one that is preferred in TLS first.
    pub const ALL: [Self; 8] = [
        Self::RsaPssSha256,
        Self::RsaPssSha384,
        Self::RsaPssSha512,
        Self::RsaPkcs1Sha256,
        Self::RsaPkcs1Sha384,
        Self::RsaPkcs1Sha512,
        Self::EcdsaP256Sha256,
        Self::EcdsaP384Sha384,
    ];

    /// The scheme where none is asked for: what `openssl dgst` verifies without further options.
    pub const fn usual(key: KeyAlgorithm) -> Self {
        match key {
            KeyAlgorithm::Rsa(_) => Self::RsaPkcs1Sha256,
            KeyAlgorithm::P256 => Self::EcdsaP256Sha256,
            KeyAlgorithm::P384 => Self::EcdsaP384Sha384,
        }
    }

    /// Whether keys of this kind sign so.
    pub const fn suits(self, key: KeyAlgorithm) -> bool {
        match self {
            Self::RsaPkcs1Sha256
            | Self::RsaPkcs1Sha384
            | Self::RsaPkcs1Sha512
            | Self::RsaPssSha256
            | Self::RsaPssSha384
            | Self::RsaPssSha512 => matches!(key, KeyAlgorithm::Rsa(_)),
            Self::EcdsaP256Sha256 => matches!(key, KeyAlgorithm::P256),
            Self::EcdsaP384Sha384 => matches!(key, KeyAlgorithm::P384),
        }
    }

    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RsaPkcs1Sha256 => "rsa-pkcs1-sha256",
            Self::RsaPkcs1Sha384 => "rsa-pkcs1-sha384",
            Self::RsaPkcs1Sha512 => "rsa-pkcs1-sha512",
            Self::RsaPssSha256 => "rsa-pss-sha256",
            Self::RsaPssSha384 => "rsa-pss-sha384",
            Self::RsaPssSha512 => "rsa-pss-sha512",
            Self::EcdsaP256Sha256 => "ecdsa-p256-sha256",
            Self::EcdsaP384Sha384 => "ecdsa-p384-sha384",
        }
    }
}

impl fmt::Display for SignatureScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SignatureScheme {
    type Err = UnknownScheme;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|scheme| scheme.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownScheme(text.to_owned()))
    }
}

/// The text names no scheme.
#[derive(Debug, thiserror::Error)]
#[error(
    "'{0}' is not a signature scheme; choose rsa-pkcs1-, rsa-pss- with sha256, sha384 or sha512, \
     ecdsa-p256-sha256 or ecdsa-p384-sha384"
)]
pub struct UnknownScheme(pub String);

impl serde::Serialize for SignatureScheme {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for SignatureScheme {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::SignatureScheme;
    use crate::base::KeyAlgorithm;

    #[test]
    fn every_scheme_reads_back_from_its_own_name() {
        for scheme in SignatureScheme::ALL {
            assert_eq!(scheme.to_string().parse::<SignatureScheme>().unwrap(), scheme);
        }
        assert!("rsa-pkcs1-sha1".parse::<SignatureScheme>().is_err());
    }

    #[test]
    fn the_usual_scheme_of_a_key_suits_it_and_no_other_kind() {
        let kinds = [KeyAlgorithm::Rsa(2048), KeyAlgorithm::P256, KeyAlgorithm::P384];
        for key in kinds {
            let suited: Vec<_> =
                kinds.iter().filter(|kind| SignatureScheme::usual(key).suits(**kind)).collect();
            assert_eq!(suited, [&key]);
        }
    }
}
