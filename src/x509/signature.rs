//! Signature algorithms: which are accepted, how they are written, and checking a signature.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey,
    VerificationAlgorithm,
};
use der::oid::ObjectIdentifier;

use super::asn1::{self, Element};
use super::error::{Error, Refusal};
use super::oid;
use super::public_key::PublicKey;
use crate::base::KeyAlgorithm;

/// The AlgorithmIdentifier that a key of this kind signs with here: SHA-256 for RSA (PKCS #1
/// v1.5, RFC 4055) and P-256, SHA-384 for P-384 (RFC 5758).
pub(super) fn identifier_for(key: KeyAlgorithm) -> Vec<u8> {
    match key {
        KeyAlgorithm::Rsa(_) => {
            asn1::sequence(&[&asn1::object_identifier(&oid::SHA256_WITH_RSA), &[0x05, 0x00]])
        }
        KeyAlgorithm::P256 => asn1::sequence(&[&asn1::object_identifier(&oid::ECDSA_WITH_SHA256)]),
        KeyAlgorithm::P384 => asn1::sequence(&[&asn1::object_identifier(&oid::ECDSA_WITH_SHA384)]),
    }
}

/// The object identifier of an AlgorithmIdentifier.
pub(super) fn algorithm_of(identifier: &Element<'_>) -> der::Result<ObjectIdentifier> {
    identifier.elements()?.next()?.object_identifier()
}

/// Checks a signature with the algorithm that its AlgorithmIdentifier names.
pub(super) fn verify(
    identifier: &[u8],
    key: &PublicKey,
    message: &[u8],
    signature: &[u8],
) -> Result<(), Error> {
    let algorithm = accepted(identifier, key.algorithm())?;
    UnparsedPublicKey::new(algorithm, key.key_octets())
        .verify(message, signature)
        .map_err(|cause| {
            Error::Signature(Refusal::because(
                "the signature does not verify: the content was changed after it was signed, or another key signed it",
                cause,
            ))
        })
}

fn accepted(
    identifier: &[u8],
    key: KeyAlgorithm,
) -> Result<&'static dyn VerificationAlgorithm, Error> {
    let unreadable = asn1::unreadable("the signature algorithm");
    let element = Element::only(identifier, asn1::SEQUENCE).map_err(&unreadable)?;
    let kind = algorithm_of(&element).map_err(&unreadable)?;
    // Anything but the exact form of RFC 4055 (NULL) and RFC 5758 (absent) is another algorithm.
    let plain = asn1::sequence(&[&asn1::object_identifier(&kind)]);
    let with_null = asn1::sequence(&[&asn1::object_identifier(&kind), &[0x05, 0x00]]);
    let is_rsa = matches!(kind, oid::SHA256_WITH_RSA | oid::SHA384_WITH_RSA | oid::SHA512_WITH_RSA);
    // RFC 4055, 5: absent parameters must be accepted too where they should have been NULL.
    if identifier != plain && !(is_rsa && identifier == with_null) {
        return Err(not_accepted(kind));
    }
    let algorithm: &'static dyn VerificationAlgorithm = match (kind, key) {
        (oid::SHA256_WITH_RSA, KeyAlgorithm::Rsa(_)) => &RSA_PKCS1_2048_8192_SHA256,
        (oid::SHA384_WITH_RSA, KeyAlgorithm::Rsa(_)) => &RSA_PKCS1_2048_8192_SHA384,
        (oid::SHA512_WITH_RSA, KeyAlgorithm::Rsa(_)) => &RSA_PKCS1_2048_8192_SHA512,
        (oid::ECDSA_WITH_SHA256, KeyAlgorithm::P256) => &ECDSA_P256_SHA256_ASN1,
        (oid::ECDSA_WITH_SHA384, KeyAlgorithm::P256) => &ECDSA_P256_SHA384_ASN1,
        (oid::ECDSA_WITH_SHA512, KeyAlgorithm::P256) => &ECDSA_P256_SHA512_ASN1,
        (oid::ECDSA_WITH_SHA256, KeyAlgorithm::P384) => &ECDSA_P384_SHA256_ASN1,
        (oid::ECDSA_WITH_SHA384, KeyAlgorithm::P384) => &ECDSA_P384_SHA384_ASN1,
        (oid::ECDSA_WITH_SHA512, KeyAlgorithm::P384) => &ECDSA_P384_SHA512_ASN1,
        _ => return Err(not_accepted(kind)),
    };
    Ok(algorithm)
}

fn not_accepted(kind: ObjectIdentifier) -> Error {
    let what = match kind {
        oid::MD5_WITH_RSA => "MD5 with RSA, which is broken".to_owned(),
        oid::SHA1_WITH_RSA | oid::ECDSA_WITH_SHA1 => "SHA-1, which is broken".to_owned(),
        oid::RSASSA_PSS => "RSASSA-PSS".to_owned(),
        oid::ED25519 => "Ed25519".to_owned(),
        other => format!("the algorithm {other}, which does not fit the key or is not known here"),
    };
    Error::Signature(
        format!(
            "it is signed with {what}; accepted are RSA (PKCS #1 v1.5) and ECDSA signatures with SHA-256, SHA-384 or SHA-512: sign it again with one of these"
        )
        .into(),
    )
}
