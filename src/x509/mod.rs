//! Floor 1: X.509 values, pure: no files, no network, no token.
#![allow(missing_docs, clippy::todo, unused_variables)] // STUB: removed when the floor is written.

use crate::base::{KeyAlgorithm, Secret, UnixTime};
use std::net::IpAddr;

/// An X.501 Name, kept as the octets it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    der: Vec<u8>,
}
impl Name {
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        todo!()
    }
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }
    pub fn is_empty(&self) -> bool {
        todo!()
    }
    /// RFC 4514 text.
    pub fn to_text(&self) -> String {
        todo!()
    }
    pub fn common_names(&self) -> Vec<String> {
        todo!()
    }
}

/// Fields of a subject as certool takes them; `to_name` builds CN, DC…, C, ST, L, O, OU (reference 2.4).
#[derive(Clone, Debug, Default)]
pub struct SubjectFields {
    pub common_name: Option<String>,
    pub domain_component: Option<String>,
    pub country: Option<String>,
    pub state: Option<String>,
    pub locality: Option<String>,
    pub organization: Option<String>,
    pub org_unit: Option<String>,
}
impl SubjectFields {
    pub fn to_name(&self) -> Result<Name, Error> {
        todo!()
    }
}

/// subjectAltName values, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlternativeNames {
    pub email: Vec<String>,
    pub ip: Vec<IpAddr>,
    pub uri: Vec<String>,
    pub dns: Vec<String>,
}

/// SubjectPublicKeyInfo, octet for octet, whose key is one we accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    der: Vec<u8>,
}
impl PublicKey {
    pub fn from_spki_der(der: &[u8]) -> Result<Self, Error> {
        todo!()
    }
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }
    pub fn algorithm(&self) -> KeyAlgorithm {
        todo!()
    }
    pub fn key_identifier(&self) -> [u8; 20] {
        todo!()
    }
    pub fn sha256(&self) -> [u8; 32] {
        todo!()
    }
}

/// A certificate, kept as the octets it was read from. Parsed once, strictly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
}
impl Certificate {
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        todo!()
    }
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }
    pub fn to_pem(&self) -> String {
        todo!()
    }
    pub fn subject(&self) -> Name {
        todo!()
    }
    pub fn issuer(&self) -> Name {
        todo!()
    }
    pub fn public_key(&self) -> Result<PublicKey, Error> {
        todo!()
    }
    pub fn serial(&self) -> Vec<u8> {
        todo!()
    }
    pub fn not_before(&self) -> UnixTime {
        todo!()
    }
    pub fn not_after(&self) -> UnixTime {
        todo!()
    }
    pub fn tbs(&self) -> &[u8] {
        todo!()
    }
    pub fn subject_key_identifier(&self) -> Option<Vec<u8>> {
        todo!()
    }
    pub fn is_ca(&self) -> bool {
        todo!()
    }
    pub fn sha1(&self) -> [u8; 20] {
        todo!()
    }
    pub fn sha256(&self) -> [u8; 32] {
        todo!()
    }
    /// Signature by this issuer's key over our to-be-signed part.
    pub fn verify_signed_by(&self, issuer: &PublicKey) -> Result<(), Error> {
        todo!()
    }
    /// The text that `openssl x509 -text -noout` prints.
    pub fn to_text(&self) -> String {
        todo!()
    }
    /// OpenSSL's file name hashes of the subject: new (SHA-1, canonical) and old (MD5).
    pub fn subject_hash(&self) -> u32 {
        todo!()
    }
    pub fn subject_hash_old(&self) -> u32 {
        todo!()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crl {
    der: Vec<u8>,
}
impl Crl {
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        todo!()
    }
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        todo!()
    }
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }
    pub fn to_pem(&self) -> String {
        todo!()
    }
    pub fn issuer(&self) -> Name {
        todo!()
    }
    pub fn sha1(&self) -> [u8; 20] {
        todo!()
    }
    pub fn verify_signed_by(&self, issuer: &PublicKey) -> Result<(), Error> {
        todo!()
    }
    pub fn to_text(&self) -> String {
        todo!()
    }
    pub fn issuer_hash(&self) -> u32 {
        todo!()
    }
    pub fn issuer_hash_old(&self) -> u32 {
        todo!()
    }
}

/// All certificates of a PEM text, in order. No block: `Error::NoPem`.
pub fn certificates_from_pem(text: &[u8]) -> Result<Vec<Certificate>, Error> {
    todo!()
}

/// A PKCS#10 request whose own signature has been verified and whose key we accept.
pub struct Csr;
impl Csr {
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        todo!()
    }
    pub fn subject(&self) -> &Name {
        todo!()
    }
    pub fn public_key(&self) -> &PublicKey {
        todo!()
    }
    pub fn requested(&self) -> &RequestedExtensions {
        todo!()
    }
    pub fn sha256(&self) -> [u8; 32] {
        todo!()
    }
}

/// What a CSR asks for, beyond subject and key.
#[derive(Clone, Debug, Default)]
pub struct RequestedExtensions {
    pub alternative_names: AlternativeNames,
    pub key_usage: Option<KeyUsage>,
    pub extended_key_usage: Vec<String>,
    pub ca: bool,
    pub others: Vec<String>,
}

/// Bits of keyUsage (RFC 5280, 4.2.1.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyUsage {
    pub digital_signature: bool,
    pub non_repudiation: bool,
    pub key_encipherment: bool,
    pub data_encipherment: bool,
    pub key_agreement: bool,
    pub key_cert_sign: bool,
    pub crl_sign: bool,
}

/// A private key of a certificate's owner, in memory that wipes itself.
pub struct PrivateKey;
impl PrivateKey {
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, Error> {
        todo!()
    }
    /// PKCS#8, PKCS#1 (RSA) or SEC1 (EC), unencrypted PEM.
    pub fn from_pem(pem: &Secret) -> Result<Self, Error> {
        todo!()
    }
    pub fn public_key(&self) -> &PublicKey {
        todo!()
    }
    pub fn to_pkcs8_pem(&self) -> Secret {
        todo!()
    }
    pub fn to_pkcs8_der(&self) -> Secret {
        todo!()
    }
    /// RSA: PKCS#1 `RSA PUBLIC KEY`; EC: `PUBLIC KEY`.
    pub fn public_key_pem(&self) -> String {
        todo!()
    }
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        todo!()
    }
}

/// Exact to-be-signed octets, built by rcgen, made exact, compared; nothing else may be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    tbs: Vec<u8>,
    signature_algorithm: Vec<u8>,
}
impl Draft {
    pub fn tbs(&self) -> &[u8] {
        &self.tbs
    }
    pub fn from_parts(tbs: Vec<u8>, signature_algorithm: Vec<u8>) -> Self {
        Self {
            tbs,
            signature_algorithm,
        }
    }
    pub fn signature_algorithm(&self) -> &[u8] {
        &self.signature_algorithm
    }
    /// SEQUENCE { tbs, algorithm, BIT STRING signature }.
    pub fn assemble(&self, signature: &[u8]) -> Vec<u8> {
        todo!()
    }
}

/// Everything an end-entity certificate says.
pub struct LeafTemplate {
    pub serial: [u8; 16],
    pub subject: Name,
    pub public_key: PublicKey,
    pub not_before: UnixTime,
    pub not_after: UnixTime,
    pub alternative_names: AlternativeNames,
    pub key_usage: KeyUsage,
    pub key_usage_critical: bool,
    pub extended_key_usage: Vec<String>,
    pub subject_key_identifier: bool,
    pub ca_issuers_url: Option<String>,
}
pub fn draft_leaf(template: &LeafTemplate, issuer: &Certificate) -> Result<Draft, Error> {
    todo!()
}

pub struct CaTemplate {
    pub serial: [u8; 16],
    pub subject: Name,
    pub public_key: PublicKey,
    pub not_before: UnixTime,
    pub not_after: UnixTime,
    pub alternative_names: AlternativeNames,
}
pub fn draft_self_signed_ca(template: &CaTemplate) -> Result<Draft, Error> {
    todo!()
}

/// CSR for the holder of a key. `ca`: ask for CA:TRUE, keyCertSign and cRLSign (critical).
pub struct CsrTemplate {
    pub subject: Name,
    pub public_key: PublicKey,
    pub alternative_names: AlternativeNames,
    pub key_usage: Option<KeyUsage>,
    pub ca: bool,
}
pub fn draft_csr(template: &CsrTemplate) -> Result<Draft, Error> {
    todo!()
}
/// Draft, sign with the owner's key, assemble, PEM: what certool does before it asks VMCA.
pub fn csr_pem(template: &CsrTemplate, key: &PrivateKey) -> Result<String, Error> {
    todo!()
}

pub struct RevokedEntry {
    pub serial: Vec<u8>,
    pub revoked_at: UnixTime,
    pub reason: Option<u8>,
}
pub struct CrlTemplate {
    pub number: u64,
    pub this_update: UnixTime,
    pub next_update: UnixTime,
    pub revoked: Vec<RevokedEntry>,
}
pub fn draft_crl(template: &CrlTemplate, issuer: &Certificate) -> Result<Draft, Error> {
    todo!()
}

/// A CA chain that was checked whole: VMCA first, self-signed root last.
#[derive(Clone, Debug)]
pub struct Chain {
    certificates: Vec<Certificate>,
}
impl Chain {
    /// Order, every signature, dates at `now`, CA bit, keyCertSign, path length, name constraints, self-signed end.
    pub fn verify(certificates: Vec<Certificate>, now: UnixTime) -> Result<Self, ChainError> {
        todo!()
    }
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }
    pub fn ca(&self) -> &Certificate {
        todo!()
    }
    pub fn root(&self) -> &Certificate {
        todo!()
    }
}

/// Why a chain is refused; each has its own VMCA code.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    #[error("{0}")]
    Incomplete(String),
    #[error("{0}")]
    Order(String),
    #[error("{0}")]
    NotCa(String),
    #[error("{0}")]
    Signature(String),
    #[error("{0}")]
    Dates(String),
    #[error("{0}")]
    Constraint(String),
    #[error("{0}")]
    Key(String),
}

/// Why something from outside is not taken; sorted by what is wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    NoPem(String),
    #[error("{0}")]
    Malformed(String),
    #[error("{0}")]
    Signature(String),
    #[error("{0}")]
    KeyNotAccepted(String),
    #[error("{0}")]
    Encrypted(String),
    #[error("{0}")]
    Field(String),
    #[error("{0}")]
    Country(String),
    #[error("{0}")]
    Building(String),
}
