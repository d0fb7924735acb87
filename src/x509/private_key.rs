//! Private keys of certificate owners, in memory that wipes itself.

pub(super) mod load;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, KeyPair,
};
use der::pem::LineEnding;
use secret_memory::SecretOctets;
use zeroize::Zeroizing;

use super::error::{Error, Refusal};
use super::public_key::PublicKey;
use crate::base::{KeyAlgorithm, Secret};

/// A private key of a certificate's owner, in memory that wipes itself.
///
/// The cryptographic library checks on the way in that all parts of a key belong together.
pub struct PrivateKey {
    pair: Pair,
    public_key: PublicKey,
}

enum Pair {
    Rsa(rsa::KeyPair),
    Ec(EcdsaKeyPair),
}

impl PrivateKey {
    /// Makes a new key; RSA in the sizes of [`KeyAlgorithm::OFFERED`], with exponent 65537. The
    /// random octets come from the library's own generator, which no door can replace.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, Error> {
        let size = match algorithm {
            KeyAlgorithm::P256 => return Self::generate_ec(&ECDSA_P256_SHA256_ASN1_SIGNING),
            KeyAlgorithm::P384 => return Self::generate_ec(&ECDSA_P384_SHA384_ASN1_SIGNING),
            KeyAlgorithm::Rsa(2048) => KeySize::Rsa2048,
            KeyAlgorithm::Rsa(3072) => KeySize::Rsa3072,
            KeyAlgorithm::Rsa(4096) => KeySize::Rsa4096,
            KeyAlgorithm::Rsa(bits) => {
                return Err(Error::KeyNotAccepted(
                    format!("RSA keys of {bits} bits are not made here; choose 2048, 3072 or 4096")
                        .into(),
                ));
            }
        };
        let pair = rsa::KeyPair::generate(size).map_err(|cause| {
            Error::Building(Refusal::because("no RSA key could be made; try again", cause))
        })?;
        Self::of(Pair::Rsa(pair))
    }

    /// PKCS #8, PKCS #1 (RSA) or SEC 1 (EC), unencrypted PEM. A key under a password is
    /// [`Error::Encrypted`].
    pub fn from_pem(pem: &Secret) -> Result<Self, Error> {
        Self::of(load::from_pem(pem.expose_secret())?)
    }

    /// PKCS #8, unencrypted DER.
    pub fn from_pkcs8_der(der: &Secret) -> Result<Self, Error> {
        Self::of(load::from_pkcs8(der.expose_secret())?)
    }

    /// The public half.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// PKCS #8 in PEM (`PRIVATE KEY`), with a newline at the end, in a buffer of exactly its size.
    pub fn to_pkcs8_pem(&self) -> Secret {
        let der = self.pkcs8();
        let length = der::pem::encoded_len("PRIVATE KEY", LineEnding::LF, &der).unwrap_or_default();
        let mut text = SecretOctets::zeroed(length);
        // The buffer has the length that the encoder asked for, so nothing is left to fail.
        let written = der::pem::encode("PRIVATE KEY", LineEnding::LF, &der, &mut text);
        debug_assert_eq!(written.map(str::len), Ok(length));
        Secret::from_memory(text)
    }

    /// PKCS #8 in DER.
    pub fn to_pkcs8_der(&self) -> Secret {
        Secret::from_zeroizing(self.pkcs8())
    }

    /// RSA: PKCS #1 `RSA PUBLIC KEY`; EC: `PUBLIC KEY`.
    pub fn public_key_pem(&self) -> String {
        self.public_key.to_legacy_pem()
    }

    /// Signs with SHA-256 (RSA PKCS #1 v1.5, P-256) or SHA-384 (P-384): the algorithm that drafts
    /// name for such a key. The signature is checked before it is given out.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let random = SystemRandom::new();
        let signed = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&signature::RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map(|()| signature)
            }
            Pair::Ec(pair) => {
                pair.sign(&random, message).map(|signature| signature.as_ref().to_vec())
            }
        };
        let signature = signed.map_err(|cause| {
            Error::Signature(Refusal::because("the private key could not sign", cause))
        })?;
        let identifier = super::signature::identifier_for(self.public_key.algorithm());
        super::signature::verify(&identifier, &self.public_key, message, &signature)?;
        Ok(signature)
    }

    fn generate_ec(algorithm: &'static EcdsaSigningAlgorithm) -> Result<Self, Error> {
        let pair = EcdsaKeyPair::generate(algorithm).map_err(|cause| {
            Error::Building(Refusal::because("no EC key could be made; try again", cause))
        })?;
        Self::of(Pair::Ec(pair))
    }

    fn of(pair: Pair) -> Result<Self, Error> {
        let spki = match &pair {
            Pair::Rsa(pair) => pair.public_key().as_der(),
            Pair::Ec(pair) => pair.public_key().as_der(),
        }
        .map_err(|cause| {
            Error::KeyNotAccepted(Refusal::because(
                "the key has no public half; make a new key",
                cause,
            ))
        })?;
        let key = Self { public_key: PublicKey::from_spki_der(spki.as_ref())?, pair };
        // Asked once here, so that giving the key out cannot fail later.
        if key.pkcs8().is_empty() {
            return Err(Error::KeyNotAccepted(
                "the private key cannot be written as PKCS #8; make a new key".into(),
            ));
        }
        Ok(key)
    }

    /// Always written anew by the library: version 1, no attributes, whatever the file said.
    fn pkcs8(&self) -> Zeroizing<Vec<u8>> {
        let written = match &self.pair {
            Pair::Rsa(pair) => pair.as_der().map(|octets| Zeroizing::new(octets.as_ref().to_vec())),
            Pair::Ec(pair) => {
                pair.to_pkcs8v1().map(|octets| Zeroizing::new(octets.as_ref().to_vec()))
            }
        };
        written.unwrap_or_default()
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PrivateKey({})", self.public_key.algorithm())
    }
}
