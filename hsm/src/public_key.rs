//! Public keys: SubjectPublicKeyInfo (RFC 5280 section 4.1, RFC 3279, RFC 5480) to and from a token's attributes,
//! and the check of a signature before it is released.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    VerificationAlgorithm,
};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectHandle};
use cryptoki::session::Session;
use der::asn1::{AnyRef, BitStringRef, Null, ObjectIdentifier, OctetStringRef, UintRef};
use der::{Decode, Encode, Reader, SliceReader, Tag};

use crate::recovery::Failure;
use crate::role::read;
use serde::{Deserialize, Serialize};

/// Algorithm of a signing key, with its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// RSA with this many bits of modulus. Signs PKCS#1 v1.5 with SHA-256.
    Rsa(u16),
    /// ECDSA on NIST P-256 with SHA-256.
    P256,
    /// ECDSA on NIST P-384 with SHA-384.
    P384,
}

impl std::fmt::Display for Algorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rsa(bits) => write!(f, "RSA-{bits}"),
            Self::P256 => f.write_str("P-256"),
            Self::P384 => f.write_str("P-384"),
        }
    }
}

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

impl Algorithm {
    /// The curve's name as `CKA_EC_PARAMS` and AlgorithmIdentifier carry it. `None` for RSA.
    pub(crate) fn curve(self) -> Option<ObjectIdentifier> {
        match self {
            Self::Rsa(_) => None,
            Self::P256 => Some(SECP256R1),
            Self::P384 => Some(SECP384R1),
        }
    }

    /// Octets of one coordinate of a point, and of each half of a signature. `None` for RSA.
    pub(crate) fn coordinate_octets(self) -> Option<usize> {
        match self {
            Self::Rsa(_) => None,
            Self::P256 => Some(32),
            Self::P384 => Some(48),
        }
    }
}

/// A public key that parsed: its exact octets, its algorithm, and the key ready to verify with.
pub(crate) struct PublicKey {
    algorithm: Algorithm,
    parsed: ParsedPublicKey,
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo. Only what we would write ourselves is taken: named curves with uncompressed
    /// points, RSA from 2048 to 8192 bits.
    pub(crate) fn from_spki(spki: &[u8]) -> Result<Self, Unusable> {
        let algorithm = algorithm_of(spki).map_err(|_| Unusable)?.ok_or(Unusable)?;
        let verification: &'static dyn VerificationAlgorithm = match algorithm {
            Algorithm::Rsa(_) => &RSA_PKCS1_2048_8192_SHA256,
            Algorithm::P256 => &ECDSA_P256_SHA256_ASN1,
            Algorithm::P384 => &ECDSA_P384_SHA384_ASN1,
        };
        let parsed = ParsedPublicKey::new(verification, spki).map_err(|_| Unusable)?;
        Ok(Self { algorithm, parsed })
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether this signature is this key's signature of exactly this message.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed.verify_sig(message, signature).is_ok()
    }
}

/// The octets are not a SubjectPublicKeyInfo of a supported key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unusable;

/// `None`: well formed, but not an algorithm of ours.
fn algorithm_of(spki: &[u8]) -> der::Result<Option<Algorithm>> {
    let mut reader = SliceReader::new(spki)?;
    let algorithm = reader.sequence(|spki| {
        let (oid, parameters) = spki.sequence(|identifier| {
            der::Result::Ok((ObjectIdentifier::decode(identifier)?, AnyRef::decode(identifier)?))
        })?;
        let bits = BitStringRef::decode(spki)?;
        let Some(key) = bits.as_bytes() else {
            return der::Result::Ok(None);
        };
        if oid == EC_PUBLIC_KEY {
            let curve = parameters.decode_as::<ObjectIdentifier>()?;
            let found = [Algorithm::P256, Algorithm::P384]
                .into_iter()
                .find(|algorithm| algorithm.curve() == Some(curve));
            return Ok(found.filter(|algorithm| is_uncompressed_point(*algorithm, key)));
        }
        if oid == RSA_ENCRYPTION && parameters.is_null() {
            return rsa_bits(key);
        }
        Ok(None)
    })?;
    reader.finish()?;
    Ok(algorithm)
}

fn is_uncompressed_point(algorithm: Algorithm, point: &[u8]) -> bool {
    algorithm
        .coordinate_octets()
        .is_some_and(|octets| point.len() == 1 + 2 * octets && point[0] == 0x04)
}

fn rsa_bits(key: &[u8]) -> der::Result<Option<Algorithm>> {
    let mut reader = SliceReader::new(key)?;
    let bits = reader.sequence(|key| {
        let modulus = UintRef::decode(key)?;
        UintRef::decode(key)?;
        let octets = modulus.as_bytes();
        let unused = octets.first().map_or(0, |first| first.leading_zeros() as usize);
        der::Result::Ok(octets.len() * 8 - unused)
    })?;
    reader.finish()?;
    Ok(u16::try_from(bits).ok().filter(|bits| (2048..=8192).contains(bits)).map(Algorithm::Rsa))
}

/// Rebuilds the SubjectPublicKeyInfo from a public key object. `None` if the object does not describe a key that we
/// support; what the token answers is passed up.
pub(crate) fn spki_from_token(
    session: &Session,
    public: ObjectHandle,
) -> Result<Option<Vec<u8>>, Failure> {
    let octets = |kind| -> Result<Option<Vec<u8>>, Failure> {
        Ok(match read(session, public, kind)? {
            Some(Attribute::Modulus(v) | Attribute::PublicExponent(v)) => Some(v),
            Some(Attribute::EcParams(v) | Attribute::EcPoint(v)) => Some(v),
            _ => None,
        })
    };
    let built = match read(session, public, AttributeType::KeyType)? {
        Some(Attribute::KeyType(KeyType::RSA)) => {
            let (Some(modulus), Some(exponent)) =
                (octets(AttributeType::Modulus)?, octets(AttributeType::PublicExponent)?)
            else {
                return Ok(None);
            };
            rsa_spki(&modulus, &exponent)
        }
        Some(Attribute::KeyType(KeyType::EC)) => {
            let (Some(parameters), Some(point)) =
                (octets(AttributeType::EcParams)?, octets(AttributeType::EcPoint)?)
            else {
                return Ok(None);
            };
            ec_spki(&parameters, &point)
        }
        _ => return Ok(None),
    };
    Ok(built.ok())
}

/// RSAPublicKey inside SubjectPublicKeyInfo. Both numbers are big-endian, leading zeros do not matter.
pub(crate) fn rsa_spki(modulus: &[u8], exponent: &[u8]) -> der::Result<Vec<u8>> {
    let key = sequence(&[UintRef::new(modulus)?.to_der()?, UintRef::new(exponent)?.to_der()?])?;
    subject_public_key_info(RSA_ENCRYPTION, &Null.to_der()?, &key)
}

/// Octets of an uncompressed point on P-256, P-384 and P-521.
const POINTS: [usize; 3] = [65, 97, 133];

/// `parameters` is `CKA_EC_PARAMS` (DER of the curve's name), `point` is `CKA_EC_POINT`: a DER OCTET STRING by the
/// standard, the bare point on some tokens.
pub(crate) fn ec_spki(parameters: &[u8], point: &[u8]) -> der::Result<Vec<u8>> {
    // An uncompressed point begins like an OCTET STRING, and one in 256 has the length that would follow. So what is
    // inside must have the length of a point.
    let bare = match <&OctetStringRef>::from_der(point) {
        Ok(wrapped) if POINTS.contains(&wrapped.as_bytes().len()) => wrapped.as_bytes(),
        _ => point,
    };
    <ObjectIdentifier>::from_der(parameters)?;
    subject_public_key_info(EC_PUBLIC_KEY, parameters, bare)
}

fn subject_public_key_info(
    oid: ObjectIdentifier,
    parameters: &[u8],
    key: &[u8],
) -> der::Result<Vec<u8>> {
    let identifier = sequence(&[oid.to_der()?, parameters.to_vec()])?;
    sequence(&[identifier, BitStringRef::from_bytes(key)?.to_der()?])
}

/// A DER SEQUENCE of elements that are already encoded.
pub(crate) fn sequence(elements: &[Vec<u8>]) -> der::Result<Vec<u8>> {
    AnyRef::new(Tag::Sequence, &elements.concat())?.to_der()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

    fn p256() -> EcdsaKeyPair {
        EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap()
    }

    #[test]
    fn an_ec_point_is_taken_wrapped_and_bare() {
        let pair = p256();
        let point = pair.public_key().as_ref();
        let wrapped = OctetStringRef::new(point).unwrap().to_der().unwrap();
        let parameters = SECP256R1.to_der().unwrap();
        let expected = pair.public_key().as_der().unwrap();
        assert_eq!(ec_spki(&parameters, point).unwrap(), expected.as_ref());
        assert_eq!(ec_spki(&parameters, &wrapped).unwrap(), expected.as_ref());
        let key = PublicKey::from_spki(expected.as_ref()).unwrap();
        assert_eq!(key.algorithm(), Algorithm::P256);
    }

    #[test]
    fn a_bare_point_that_looks_like_an_octet_string_is_taken_as_it_is() {
        let parameters = SECP256R1.to_der().unwrap();
        let mut point = [7; 65];
        // The first octet of every uncompressed point, and the length of the rest.
        (point[0], point[1]) = (0x04, 63);
        let wrapped = OctetStringRef::new(&point).unwrap().to_der().unwrap();
        let spki = ec_spki(&parameters, &point).unwrap();
        assert!(spki.ends_with(&point));
        assert_eq!(ec_spki(&parameters, &wrapped).unwrap(), spki);
    }

    #[test]
    fn an_rsa_key_is_rebuilt_octet_for_octet() {
        let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        let expected = pair.public_key().as_der().unwrap();
        // The modulus of 256 octets stands behind the headers of SEQUENCE and INTEGER, with its leading zero octet.
        let modulus = &pair.public_key().as_ref()[8..8 + 257];
        let rebuilt = rsa_spki(modulus, &[1, 0, 1]).unwrap();
        assert_eq!(rebuilt, expected.as_ref());
        let key = PublicKey::from_spki(&rebuilt).unwrap();
        assert_eq!(key.algorithm(), Algorithm::Rsa(2048));
    }

    #[test]
    fn other_octets_are_no_public_key() {
        let good = p256().public_key().as_der().unwrap().as_ref().to_vec();
        let mut longer = good.clone();
        longer.push(0);
        let mut off_curve = good.clone();
        *off_curve.last_mut().unwrap() ^= 1;
        let short_rsa = rsa_spki(&[0xff; 128], &[1, 0, 1]).unwrap();
        for octets in [&b""[..], &good[..good.len() - 1], &longer, &off_curve, &short_rsa] {
            assert!(PublicKey::from_spki(octets).is_err());
        }
    }

    #[test]
    fn a_signature_verifies_only_for_its_message() {
        let pair = p256();
        let key = PublicKey::from_spki(pair.public_key().as_der().unwrap().as_ref()).unwrap();
        let rng = aws_lc_rs::rand::SystemRandom::new();
        let signature = pair.sign(&rng, b"message").unwrap();
        assert!(key.verifies(b"message", signature.as_ref()));
        assert!(!key.verifies(b"messagf", signature.as_ref()));
        assert!(!key.verifies(b"message", &signature.as_ref()[1..]));
    }
}
