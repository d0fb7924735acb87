//! Words for keys that are made in the token, and for signing with a stored key.

use serde::{Deserialize, Serialize};

use super::{entry, segment};
use crate::api::Octets;
use crate::api::ca::AlternativeNames;
use crate::base::{KeyAlgorithm, SignatureScheme};

/// The most octets of a message to be signed.
pub const LARGEST_MESSAGE: usize = 1024 * 1024;

/// `POST` [`Generate`]: [`Pending`].
pub fn pending(store_name: &str) -> String {
    format!("{}/pending", super::store(store_name))
}

/// `POST` [`Complete`]: [`Created`](super::Created). `DELETE`: [`Deleted`](super::Deleted).
pub fn completion(store_name: &str, ticket: &str) -> String {
    format!("{}/{}", pending(store_name), segment(ticket))
}

/// `POST` [`Sign`]: [`Signature`]. A `POST` because it leaves a record, as reading the key does.
pub fn signature(store_name: &str, alias: &str) -> String {
    format!("{}/signature", entry(store_name, alias))
}

/// Make a key pair in the token, for an entry that a certificate will complete.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    /// Alias of the entry.
    pub alias: String,
    /// Kind of the key.
    pub algorithm: KeyAlgorithm,
    /// Subject of the request: DER of a name.
    pub subject: Octets,
    /// Alternative names of the request.
    pub alternative_names: AlternativeNames,
}

/// A key that waits for its certificate.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    /// Names the key until it is an entry; for its maker alone, and for a while.
    pub ticket: String,
    /// PKCS#10 request, PEM, signed in the token.
    pub csr: String,
    /// Seconds until the key is destroyed if nobody completes it.
    pub seconds: i64,
}

/// Make the entry of a pending key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Complete {
    /// Certificates, PEM: that of the pending key first.
    pub certificates: String,
}

/// What a signature is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignaturePurpose {
    /// A file or whatever else its owner wants signed.
    Content,
    /// The handshake of a TLS server; recorded in sum.
    Tls,
}

/// Sign with the key of an entry, in the token.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sign {
    /// What for.
    pub purpose: SignaturePurpose,
    /// How; absent: as is usual for the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<SignatureScheme>,
    /// What: not its digest.
    pub message: Octets,
    /// SHA-256 of the SubjectPublicKeyInfo of the key that is meant; absent: whichever the entry has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key_sha256: Option<Octets>,
}

/// A signature.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// How it was made.
    pub scheme: SignatureScheme,
    /// ECDSA: DER; RSA: as long as the modulus.
    pub signature: Octets,
}
