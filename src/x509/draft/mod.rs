//! Drafts: the exact octets that are going to be signed.
//!
//! rcgen builds them. It is run once, with a key that only records what it is asked to sign
//! (`recorder`). rcgen would damage names and public keys on the way, so these are then put in
//! octet for octet (`exact`). At last an independent decoder reads the result and compares it with
//! what was asked for (`compare`); a difference anywhere is an error, and nothing is signed.

mod ca;
mod compare;
mod crl;
mod csr;
mod exact;
mod leaf;
mod recorder;
#[cfg(test)]
mod tests;

use super::asn1;
use super::certificate::Certificate;
use super::error::{Error, Refusal};
use super::name::Name;
use super::signed;
use crate::base::UnixTime;
use der::oid::ObjectIdentifier;
use rcgen::{CustomExtension, DistinguishedName, SanType};

pub use ca::{CaTemplate, draft_self_signed_ca};
pub use crl::{CrlTemplate, RevokedEntry, draft_crl};
pub use csr::{CsrTemplate, csr_pem, draft_csr};
pub use leaf::{LeafIssuer, LeafTemplate, draft_leaf};

use super::alternative_names::AlternativeNames;

/// Exact to-be-signed octets, built by rcgen, made exact, compared; nothing else may be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    tbs: Vec<u8>,
    signature_algorithm: Vec<u8>,
}

impl Draft {
    /// The octets to sign.
    pub fn tbs(&self) -> &[u8] {
        &self.tbs
    }

    /// A draft that was recorded before, as it was then.
    pub fn from_parts(tbs: Vec<u8>, signature_algorithm: Vec<u8>) -> Self {
        Self { tbs, signature_algorithm }
    }

    /// The AlgorithmIdentifier beside the signature, in DER.
    pub fn signature_algorithm(&self) -> &[u8] {
        &self.signature_algorithm
    }

    /// SEQUENCE { tbs, algorithm, BIT STRING signature }, in DER.
    pub fn assemble(&self, signature: &[u8]) -> Vec<u8> {
        signed::assemble(&self.tbs, &self.signature_algorithm, signature)
    }
}

/// Makes a serial number of 16 octets of randomness: positive, and always 16 octets long.
///
/// The top bit is cleared, because a set one means a negative number. A leading zero octet, which
/// DER would drop, becomes 1. The templates take only numbers of this form.
pub fn serial_from_random(mut octets: [u8; 16]) -> [u8; 16] {
    octets[0] &= 0x7f;
    octets[0] = octets[0].max(1);
    octets
}

fn check_serial(serial: &[u8; 16]) -> Result<(), Error> {
    if *serial == serial_from_random(*serial) {
        Ok(())
    } else {
        Err(building("the serial number is not positive or not 16 octets long"))
    }
}

/// rcgen writes any two dates; a reversed pair would be a certificate that is never valid.
fn check_validity(not_before: UnixTime, not_after: UnixTime) -> Result<(), Error> {
    if not_before <= not_after {
        Ok(())
    } else {
        Err(building("the certificate would end before it starts"))
    }
}

fn building(what: &str) -> Error {
    Error::Building(what.into())
}

fn refused_by_rcgen(cause: rcgen::Error) -> Error {
    Error::Building(Refusal::because("rcgen could not build it", cause))
}

/// The name that rcgen works with. It keeps one attribute of each kind and drops the rest, so it
/// never sees the real one; only whether there is a name at all matters to it, because it makes
/// the alternative names of an empty subject critical (RFC 5280, 4.1.2.6).
fn placeholder_name(name: &Name) -> DistinguishedName {
    let mut placeholder = DistinguishedName::new();
    if !name.is_empty() {
        placeholder.push(rcgen::DnType::CommonName, "placeholder");
    }
    placeholder
}

/// Alternative names as rcgen takes them, in VMCA's order.
fn san_types(names: &AlternativeNames) -> Result<Vec<SanType>, Error> {
    names.check()?;
    let mut types = Vec::new();
    for email in &names.email {
        types.push(SanType::Rfc822Name(email.as_str().try_into().map_err(refused_by_rcgen)?));
    }
    types.extend(names.ip.iter().copied().map(SanType::IpAddress));
    for uri in &names.uri {
        types.push(SanType::URI(uri.as_str().try_into().map_err(refused_by_rcgen)?));
    }
    for dns in &names.dns {
        types.push(SanType::DnsName(dns.as_str().try_into().map_err(refused_by_rcgen)?));
    }
    Ok(types)
}

/// An extension that rcgen writes out as it is given.
fn custom(kind: ObjectIdentifier, critical: bool, content: Vec<u8>) -> CustomExtension {
    let arcs: Vec<u64> = kind.arcs().map(u64::from).collect();
    let mut extension = CustomExtension::from_oid_content(&arcs, content);
    extension.set_criticality(critical);
    extension
}

/// What authorityKeyIdentifier says about this issuer: its own subjectKeyIdentifier, or, for an
/// issuer without one, the identifier of RFC 5280, 4.2.1.2, method 1.
pub(super) fn identifier_of(issuer: &Certificate) -> Result<Vec<u8>, Error> {
    match issuer.subject_key_identifier() {
        Some(identifier) => Ok(identifier),
        None => Ok(issuer.public_key()?.key_identifier().to_vec()),
    }
}

fn unreadable(cause: der::Error) -> Error {
    Error::Building(Refusal::because("what rcgen built cannot be read", cause))
}

/// An OCTET STRING, as subjectKeyIdentifier holds it.
fn octet_string(octets: &[u8]) -> Vec<u8> {
    asn1::encode(asn1::OCTET_STRING, &[octets])
}
