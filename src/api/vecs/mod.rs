//! Words of `vmafdd`.

mod keys;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

pub use keys::{
    Complete, Generate, LARGEST_MESSAGE, Pending, Sign, Signature, SignaturePurpose, completion,
    pending, signature,
};

use super::KeyText;
use crate::base::UnixTime;

/// `GET`: `Vec<String>`, names in creation order. `POST` [`NewStore`]: nothing.
pub const STORES: &str = "/v1/stores";
/// `GET`: `Vec<`[`Generation`]`>`: every generation of sealing keys, the first one first. `POST`: the
/// same, after the first one was made where it was due.
pub const GENERATIONS: &str = "/v1/sealing-keys";
/// `POST`: wakes the trusted-root refresh and answers when it has run.
pub const REFRESH: &str = "/v1/refresh";

/// `DELETE`: nothing.
pub fn store(name: &str) -> String {
    format!("{STORES}/{}", segment(name))
}

/// `GET`: [`Permissions`]. `POST` [`ChangePermission`]: nothing.
pub fn permissions(store_name: &str) -> String {
    format!("{}/permissions", store(store_name))
}

/// `GET`: `Vec<`[`Entry`]`>`, in insertion order. `POST` [`NewEntry`]: [`Created`].
pub fn entries(store_name: &str) -> String {
    format!("{}/entries", store(store_name))
}

/// `GET`: [`Entry`]. `DELETE`: [`Deleted`].
pub fn entry(store_name: &str, alias: &str) -> String {
    format!("{}/{}", entries(store_name), segment(alias))
}

/// `POST`: [`EntryKey`]. A `POST` because reading a private key leaves a record.
pub fn entry_key(store_name: &str, alias: &str) -> String {
    format!("{}/key", entry(store_name, alias))
}

fn segment(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// A generation of the two keys that protect what is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generation {
    /// 1 for the first.
    pub number: u32,
    /// `active`, `retiring` (it opens what it sealed) or `destroyed`.
    pub state: String,
    /// `CKA_ID` of the sealing key, hex.
    pub sealing: String,
    /// `CKA_ID` of the wrapping key, hex; none for keys that a former version made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrapping: Option<String>,
    /// When it was made.
    pub created_at: UnixTime,
    /// When another took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<UnixTime>,
    /// When its keys were destroyed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destroyed_at: Option<UnixTime>,
    /// How often the sealing key was used to seal, at most.
    pub seals: u64,
}

/// Create a store.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewStore {
    /// Name: 1 to 128 characters, unique without regard to ASCII case.
    pub name: String,
}

/// Rights on a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// List entries and read certificates.
    Read,
    /// Add and delete entries.
    Write,
    /// Read private keys. The original gives this with `read`; here it is a right of its own.
    ReadKey,
}

/// Who may do what with a store.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permissions {
    /// Owner's user name.
    pub owner: String,
    /// Grants, in the order in which they were made.
    pub grants: Vec<Grant>,
}

/// The rights of one user, or of `EVERYONE`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// User name or `EVERYONE`.
    pub user: String,
    /// The rights.
    pub rights: Vec<Right>,
}

/// Grant or revoke a right.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangePermission {
    /// User name or `EVERYONE`.
    pub user: String,
    /// The right.
    pub right: Right,
    /// Grant it, or take it away.
    pub grant: bool,
}

/// Kind of an entry; the labels are those of `vecs-cli entry list`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryType {
    /// A private key with its certificate chain.
    #[serde(rename = "Private Key")]
    PrivateKey,
    /// A secret without a certificate.
    #[serde(rename = "Secret Key")]
    SecretKey,
    /// A certificate without a key.
    #[serde(rename = "Trusted Cert")]
    TrustedCert,
    /// A certificate revocation list.
    #[serde(rename = "Certification Revocation List")]
    Crl,
}

impl EntryType {
    /// The label that `vecs-cli` prints.
    pub const fn label(self) -> &'static str {
        match self {
            Self::PrivateKey => "Private Key",
            Self::SecretKey => "Secret Key",
            Self::TrustedCert => "Trusted Cert",
            Self::Crl => "Certification Revocation List",
        }
    }
}

/// Create an entry.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewEntry {
    /// Alias; absent: SHA-1 of the first certificate in lower-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Certificates, PEM, in the order of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificates: Option<String>,
    /// Private key or secret, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyText>,
}

/// An entry was created under this alias.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Created {
    /// The alias, given or derived.
    pub alias: String,
}

/// What deleting did.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deleted {
    /// False where no entry had that alias: the original reports success for it.
    pub existed: bool,
}

/// An entry without its key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Alias, as it was given.
    pub alias: String,
    /// Kind.
    pub entry_type: EntryType,
    /// Certificates or revocation list, PEM text; empty for a secret key.
    pub pem: String,
}

/// The private key of an entry.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryKey {
    /// PKCS#8 PEM, or the secret as it was stored.
    pub key: KeyText,
}
