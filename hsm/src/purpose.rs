//! What a signature is for. A key never signs "these octets": whoever asks says what they are, and a policy beside the
//! key looks whether they are that.

use serde::{Deserialize, Serialize};

/// What a signature is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// A certificate of an end entity: a TBSCertificate (RFC 5280 section 4.1) with CA false.
    Certificate,
    /// A certificate of a CA: a TBSCertificate with CA true.
    CaCertificate,
    /// A revocation list: a TBSCertList (RFC 5280 section 5.1).
    Crl,
    /// An answer about a certificate's state: a ResponseData (RFC 6960 section 4.2.1).
    Ocsp,
    /// A checkpoint of the journal.
    Journal,
    /// A handshake: the content of a CertificateVerify (RFC 8446 section 4.4.3), or the parameters of a
    /// ServerKeyExchange (RFC 5246 section 7.4.3).
    Tls,
    /// Proof of possession: a CertificationRequestInfo (RFC 2986 section 4.1).
    Possession,
    /// Anything that an owner of a stored key asks for. Never allowed to a key of a CA.
    Content,
}

/// How a stored key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 section 8.2).
    RsaPkcs1Sha256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RsaPkcs1Sha384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RsaPkcs1Sha512,
    /// RSASSA-PSS with SHA-256, salt as long as the hash (RFC 8017 section 8.1).
    RsaPssSha256,
    /// RSASSA-PSS with SHA-384.
    RsaPssSha384,
    /// RSASSA-PSS with SHA-512.
    RsaPssSha512,
    /// ECDSA on P-256 with SHA-256, DER.
    EcdsaP256Sha256,
    /// ECDSA on P-384 with SHA-384, DER.
    EcdsaP384Sha384,
}
