//! What certificates, requests and revocation lists have in common (RFC 5280, 4.1.1):
//! SEQUENCE { to-be-signed, AlgorithmIdentifier, BIT STRING }.

use std::ops::Range;

use super::asn1::{self, Element};
use super::error::Error;
use super::public_key::PublicKey;
use super::signature;

/// A signed structure, kept as the octets it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signed {
    der: Vec<u8>,
    tbs: Range<usize>,
    /// AlgorithmIdentifier beside the signature, whole.
    algorithm: Vec<u8>,
    signature: Vec<u8>,
}

impl Signed {
    pub(super) fn read(der: &[u8]) -> der::Result<Self> {
        let whole = Element::only(der, asn1::SEQUENCE)?;
        let mut parts = whole.elements()?;
        let tbs = parts.expect(asn1::SEQUENCE)?;
        let algorithm = parts.expect(asn1::SEQUENCE)?;
        let signature = parts.next()?.bit_string_octets()?;
        parts.finish()?;
        let start = der.len() - whole.value.len();
        Ok(Self {
            der: der.to_vec(),
            tbs: start..start + tbs.raw.len(),
            algorithm: algorithm.raw.to_vec(),
            signature: signature.to_vec(),
        })
    }

    pub(super) fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// The exact octets that are signed.
    pub(super) fn tbs(&self) -> &[u8] {
        &self.der[self.tbs.clone()]
    }

    pub(super) fn algorithm(&self) -> &[u8] {
        &self.algorithm
    }

    pub(super) fn signature(&self) -> &[u8] {
        &self.signature
    }

    pub(super) fn verify(&self, key: &PublicKey) -> Result<(), Error> {
        signature::verify(&self.algorithm, key, self.tbs(), &self.signature)
    }
}

/// Puts a signed structure together.
pub(super) fn assemble(tbs: &[u8], algorithm: &[u8], signature: &[u8]) -> Vec<u8> {
    asn1::sequence(&[tbs, algorithm, &asn1::encode(asn1::BIT_STRING, &[&[0], signature])])
}
