//! How each scheme signs: the hash is made here, because tokens differ in which hashing mechanisms they have.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, VerificationAlgorithm,
};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};

use crate::{Algorithm, Scheme};

impl Scheme {
    /// Whether a key of this algorithm signs so.
    pub(super) fn fits(self, algorithm: Algorithm) -> bool {
        match self {
            Self::EcdsaP256Sha256 => algorithm == Algorithm::P256,
            Self::EcdsaP384Sha384 => algorithm == Algorithm::P384,
            _ => matches!(algorithm, Algorithm::Rsa(_)),
        }
    }

    /// What the token is given to sign. For ECDSA the digest is exactly as long as the curve takes: a token cuts a
    /// longer one off in silence.
    pub(super) fn token_input(self, message: &[u8]) -> (Mechanism<'static>, Vec<u8>) {
        let hash = |kind| digest::digest(kind, message).as_ref().to_vec();
        match self {
            Self::RsaPkcs1Sha256 => (Mechanism::RsaPkcs, digest_info(1, &hash(&digest::SHA256))),
            Self::RsaPkcs1Sha384 => (Mechanism::RsaPkcs, digest_info(2, &hash(&digest::SHA384))),
            Self::RsaPkcs1Sha512 => (Mechanism::RsaPkcs, digest_info(3, &hash(&digest::SHA512))),
            Self::RsaPssSha256 => {
                let pss = pss(MechanismType::SHA256, PkcsMgfType::MGF1_SHA256, 32);
                (pss, hash(&digest::SHA256))
            }
            Self::RsaPssSha384 => {
                let pss = pss(MechanismType::SHA384, PkcsMgfType::MGF1_SHA384, 48);
                (pss, hash(&digest::SHA384))
            }
            Self::RsaPssSha512 => {
                let pss = pss(MechanismType::SHA512, PkcsMgfType::MGF1_SHA512, 64);
                (pss, hash(&digest::SHA512))
            }
            Self::EcdsaP256Sha256 => (Mechanism::Ecdsa, hash(&digest::SHA256)),
            Self::EcdsaP384Sha384 => (Mechanism::Ecdsa, hash(&digest::SHA384)),
        }
    }

    /// Whether this is that key's signature of exactly this message in this scheme.
    pub(super) fn verifies(self, public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let verification: &'static dyn VerificationAlgorithm = match self {
            Self::RsaPkcs1Sha256 => &RSA_PKCS1_2048_8192_SHA256,
            Self::RsaPkcs1Sha384 => &RSA_PKCS1_2048_8192_SHA384,
            Self::RsaPkcs1Sha512 => &RSA_PKCS1_2048_8192_SHA512,
            Self::RsaPssSha256 => &RSA_PSS_2048_8192_SHA256,
            Self::RsaPssSha384 => &RSA_PSS_2048_8192_SHA384,
            Self::RsaPssSha512 => &RSA_PSS_2048_8192_SHA512,
            Self::EcdsaP256Sha256 => &ECDSA_P256_SHA256_ASN1,
            Self::EcdsaP384Sha384 => &ECDSA_P384_SHA384_ASN1,
        };
        ParsedPublicKey::new(verification, public_key)
            .is_ok_and(|key| key.verify_sig(message, signature).is_ok())
    }
}

/// The salt is as long as the hash (RFC 8446 section 4.2.3).
const fn pss(hash_alg: MechanismType, mgf: PkcsMgfType, salt: u64) -> Mechanism<'static> {
    Mechanism::RsaPkcsPss(PkcsPssParams { hash_alg, mgf, s_len: cryptoki::types::Ulong::new(salt) })
}

/// DER of a DigestInfo (RFC 8017 section 9.2, note 1). `arc`: the last number of the hash's name,
/// 2.16.840.1.101.3.4.2.ARC; a hash is at most 64 octets long.
fn digest_info(arc: u8, hash: &[u8]) -> Vec<u8> {
    let length = hash.len() as u8;
    let mut info = vec![0x30, 17 + length, 0x30, 0x0d, 0x06, 0x09];
    info.extend([0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, arc, 0x05, 0x00, 0x04, length]);
    info.extend_from_slice(hash);
    info
}
