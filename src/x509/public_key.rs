//! Public keys: SubjectPublicKeyInfo (RFC 5280, 4.1.2.7), octet for octet.

use std::fmt;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    VerificationAlgorithm,
};
use der::oid::ObjectIdentifier;

use super::asn1::{self, Element};
use super::error::{Error, Refusal};
use super::{oid, pem, signature};
use crate::base::KeyAlgorithm;

/// SubjectPublicKeyInfo, octet for octet, whose key is one we accept: RSA of 2048 to 8192 bits,
/// or a point on P-256 or P-384.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    der: Vec<u8>,
    /// Content of the BIT STRING: RSAPublicKey, or the uncompressed point.
    key: Vec<u8>,
    algorithm: KeyAlgorithm,
}

impl PublicKey {
    /// Reads and judges a key. A key of another kind or size is [`Error::KeyNotAccepted`].
    pub fn from_spki_der(der: &[u8]) -> Result<Self, Error> {
        let info = Info::read(der).map_err(asn1::unreadable("the public key"))?;
        let algorithm = info.algorithm()?;
        let verification: &'static dyn VerificationAlgorithm = match algorithm {
            KeyAlgorithm::Rsa(_) => &RSA_PKCS1_2048_8192_SHA256,
            KeyAlgorithm::P256 => &ECDSA_P256_SHA256_ASN1,
            KeyAlgorithm::P384 => &ECDSA_P384_SHA384_ASN1,
        };
        // The library looks at what octets alone do not show: is the point on its curve, are
        // modulus and exponent possible.
        ParsedPublicKey::new(verification, info.key).map_err(|cause| {
            Error::KeyNotAccepted(Refusal::because(
                "the public key is not a valid one; make a new key",
                cause,
            ))
        })?;
        Ok(Self { der: der.to_vec(), key: info.key.to_vec(), algorithm })
    }

    /// The octets, as they were read.
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// Kind and size.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The AlgorithmIdentifier that this key signs with here, in DER: SHA-256 for RSA (PKCS #1 v1.5,
    /// RFC 4055) and P-256, SHA-384 for P-384 (RFC 5758).
    pub fn signature_algorithm(&self) -> Vec<u8> {
        signature::identifier_for(self.algorithm)
    }

    /// SHA-1 of the BIT STRING's octets: the identifier of RFC 5280, 4.2.1.2, method 1.
    pub fn key_identifier(&self) -> [u8; 20] {
        fixed(&digest::SHA1_FOR_LEGACY_USE_ONLY, &self.key)
    }

    /// SHA-256 of the whole SubjectPublicKeyInfo.
    pub fn sha256(&self) -> [u8; 32] {
        fixed(&digest::SHA256, &self.der)
    }

    /// `PUBLIC KEY`: SubjectPublicKeyInfo in PEM, with a newline at the end.
    pub fn to_pem(&self) -> String {
        pem::encode("PUBLIC KEY", &self.der)
    }

    /// RSA: PKCS #1 `RSA PUBLIC KEY`; EC: `PUBLIC KEY`. With a newline at the end.
    pub fn to_legacy_pem(&self) -> String {
        match self.algorithm {
            KeyAlgorithm::Rsa(_) => pem::encode("RSA PUBLIC KEY", &self.key),
            KeyAlgorithm::P256 | KeyAlgorithm::P384 => self.to_pem(),
        }
    }

    /// Content of the BIT STRING, as the cryptographic library takes it.
    pub(super) fn key_octets(&self) -> &[u8] {
        &self.key
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, ", self.algorithm)?;
        for octet in self.key_identifier() {
            write!(f, "{octet:02x}")?;
        }
        f.write_str(")")
    }
}

/// A digest whose length the type says.
pub(super) fn fixed<const LENGTH: usize>(
    algorithm: &'static digest::Algorithm,
    octets: &[u8],
) -> [u8; LENGTH] {
    let digest = digest::digest(algorithm, octets);
    let mut fixed = [0; LENGTH];
    fixed.copy_from_slice(digest.as_ref());
    fixed
}

/// A SubjectPublicKeyInfo taken apart, whatever its kind.
pub(super) struct Info<'a> {
    pub kind: ObjectIdentifier,
    pub parameters: Option<Element<'a>>,
    pub key: &'a [u8],
}

impl<'a> Info<'a> {
    pub(super) fn read(der: &'a [u8]) -> der::Result<Self> {
        let mut parts = Element::only(der, asn1::SEQUENCE)?.elements()?;
        let mut identifier = parts.expect(asn1::SEQUENCE)?.elements()?;
        let kind = identifier.next()?.object_identifier()?;
        let parameters = if identifier.is_finished() { None } else { Some(identifier.next()?) };
        identifier.finish()?;
        let key = parts.expect(asn1::BIT_STRING)?.bit_string_octets()?;
        parts.finish()?;
        Ok(Self { kind, parameters, key })
    }

    /// Modulus and exponent of an RSA key, as magnitudes.
    pub(super) fn rsa(&self) -> der::Result<(&'a [u8], &'a [u8])> {
        let mut parts = Element::only(self.key, asn1::SEQUENCE)?.elements()?;
        let modulus = parts.next()?.unsigned()?;
        let exponent = parts.next()?.unsigned()?;
        parts.finish()?;
        Ok((modulus, exponent))
    }

    /// The named curve of an EC key.
    pub(super) fn curve(&self) -> Option<ObjectIdentifier> {
        self.parameters.and_then(|parameters| parameters.object_identifier().ok())
    }

    fn algorithm(&self) -> Result<KeyAlgorithm, Error> {
        match self.kind {
            oid::RSA_ENCRYPTION => self.rsa_algorithm(),
            oid::EC_PUBLIC_KEY => self.ec_algorithm(),
            oid::RSASSA_PSS => Err(not_accepted("an RSASSA-PSS key")),
            oid::ED25519 => Err(not_accepted("an Ed25519 key")),
            oid::ED448 => Err(not_accepted("an Ed448 key")),
            other => Err(not_accepted(&format!("a key of the kind {other}"))),
        }
    }

    fn rsa_algorithm(&self) -> Result<KeyAlgorithm, Error> {
        // RFC 3279, 2.3.1: the parameters must be NULL.
        if self.parameters.is_none_or(|parameters| parameters.raw != [0x05, 0x00]) {
            return Err(Error::Malformed(
                "the RSA public key has unusual parameters; make the request again with another tool".into(),
            ));
        }
        let (modulus, exponent) = self.rsa().map_err(asn1::unreadable("the RSA public key"))?;
        let bits = bits(modulus);
        let Some(bits) = u16::try_from(bits).ok().filter(|bits| (2048..=8192).contains(bits))
        else {
            return Err(weak_rsa(bits));
        };
        let is_odd = exponent.last().is_some_and(|last| last & 1 == 1);
        if !is_odd || exponent == [1] {
            return Err(Error::KeyNotAccepted(
                "the exponent of the RSA key is even or 1, so its signatures prove nothing; make a new key".into(),
            ));
        }
        Ok(KeyAlgorithm::Rsa(bits))
    }

    fn ec_algorithm(&self) -> Result<KeyAlgorithm, Error> {
        let (algorithm, length) = match self.curve() {
            Some(oid::SECP256R1) => (KeyAlgorithm::P256, 65),
            Some(oid::SECP384R1) => (KeyAlgorithm::P384, 97),
            Some(oid::SECP521R1) => return Err(not_accepted("an EC key on P-521")),
            Some(other) => return Err(not_accepted(&format!("an EC key on the curve {other}"))),
            None => return Err(not_accepted("an EC key whose curve has no name")),
        };
        match self.key {
            [0x04, ..] if self.key.len() == length => Ok(algorithm),
            [0x02 | 0x03, ..] => Err(Error::KeyNotAccepted(
                "the EC public key is in compressed form; export it uncompressed (openssl ec -conv_form uncompressed)".into(),
            )),
            _ => Err(Error::Malformed("the EC public key has the wrong length".into())),
        }
    }
}

/// Bits of a magnitude without leading zero octets.
pub(super) fn bits(magnitude: &[u8]) -> usize {
    match magnitude {
        [] => 0,
        [first, rest @ ..] => rest.len() * 8 + (8 - first.leading_zeros() as usize),
    }
}

pub(super) fn weak_rsa(bits: usize) -> Error {
    Error::KeyNotAccepted(
        format!(
            "the RSA key has {bits} bits; keys of 2048 to 8192 bits are accepted: make a new key"
        )
        .into(),
    )
}

fn not_accepted(what: &str) -> Error {
    Error::KeyNotAccepted(
        format!(
            "this is {what}; accepted are RSA keys of 2048 to 8192 bits and EC keys on P-256 or P-384: make a new key"
        )
        .into(),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::PublicKey;
    use crate::base::KeyAlgorithm;
    use crate::x509::Error;
    use crate::x509::tests::judge;

    #[test]
    fn accepted_and_refused_kinds() {
        for (key, expected) in [
            (
                &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"][..],
                Some(KeyAlgorithm::Rsa(2048)),
            ),
            (
                &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2056"],
                Some(KeyAlgorithm::Rsa(2056)),
            ),
            (
                &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
                Some(KeyAlgorithm::P256),
            ),
            (
                &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
                Some(KeyAlgorithm::P384),
            ),
            (&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"], None),
            (&["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"], None),
            (&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"], None),
            (&["-algorithm", "ED25519"], None),
        ] {
            match (PublicKey::from_spki_der(&judge::public_key(key)), expected) {
                (Ok(read), Some(expected)) => assert_eq!(read.algorithm(), expected),
                (Err(Error::KeyNotAccepted(_)), None) => {}
                (read, _) => panic!("{key:?}: {read:?}"),
            }
        }
    }

    #[test]
    fn a_point_off_its_curve_is_refused() {
        let mut spki =
            judge::public_key(&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        let last = spki.len() - 1;
        spki[last] ^= 1;
        assert!(matches!(PublicKey::from_spki_der(&spki), Err(Error::KeyNotAccepted(_))));
    }
}
