//! Words of `vmcad`.

use serde::{Deserialize, Serialize};

use super::KeyText;
use crate::base::{KeyAlgorithm, UnixTime};

/// `GET`: [`Version`].
pub const VERSION: &str = "/v1/version";
/// `GET`: [`Node`].
pub const NODE: &str = "/v1/node";
/// `POST` [`Issue`]: [`Issued`]. `GET`, with the query of [`page`]: [`Page`].
pub const CERTIFICATES: &str = "/v1/certificates";
/// `GET`: [`Chain`], the active CA first. `POST` [`InstallChain`]: [`Chain`].
pub const CHAIN: &str = "/v1/ca/chain";
/// `POST` [`SelfSign`]: [`Chain`].
pub const SELF_SIGNED: &str = "/v1/ca/self-signed";
/// `POST` [`RequestCa`]: [`CaRequest`].
pub const REQUEST: &str = "/v1/ca/request";
/// `GET`: `Vec<`[`Authority`]`>`.
pub const AUTHORITIES: &str = "/v1/ca/authorities";
/// `GET`: `Vec<`[`Key`]`>`: every key of ours in the CA token, used or not.
pub const KEYS: &str = "/v1/ca/keys";
/// `POST` [`Retire`]: nothing.
pub const RETIRE: &str = "/v1/ca/retire";
/// `GET`: [`Crl`], of the active CA. `POST`: the same, freshly signed for every CA not retired.
pub const CRL: &str = "/v1/crl";

/// Product name and version.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// Product name.
    pub product: String,
    /// Version of the interface that VMCA clients expect.
    pub version: String,
}

/// What the configuration calls this machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Primary network identifier: the organization of a self-signed CA.
    pub name: String,
    /// Directory domain: the domain components of a self-signed CA where nothing is said.
    pub domain: String,
}

/// Ask for a certificate.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issue {
    /// PKCS#10 request, PEM (RFC 2986, RFC 7468).
    pub csr: String,
    /// Start of validity; absent: ten minutes ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<UnixTime>,
    /// End of validity; absent: as the profile says. Cut to the CA's own end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<UnixTime>,
}

/// An issued certificate.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issued {
    /// Leaf, VMCA, intermediates: PEM, one certificate an element.
    pub chain: Vec<String>,
    /// Serial number in upper-case hex.
    pub serial: String,
}

/// The most certificates of a page.
pub const LARGEST_PAGE: u32 = 100;

/// Which issued certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// Every one.
    All,
    /// Those that are not revoked; one that has expired is among them.
    Active,
    /// Those that are revoked.
    Revoked,
}

/// The query of a page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Which certificates.
    pub filter: Filter,
    /// The `next` of the page before; absent: from the beginning.
    #[serde(default)]
    pub after: Option<i64>,
    /// How many at most, 1 to [`LARGEST_PAGE`]; absent: that many.
    #[serde(default)]
    pub limit: Option<u32>,
}

/// Path and query of a page: [`Page`].
pub fn page(filter: Filter, after: Option<i64>) -> String {
    let word = match filter {
        Filter::All => "all",
        Filter::Active => "active",
        Filter::Revoked => "revoked",
    };
    let after = after.map_or_else(String::new, |after| format!("&after={after}"));
    format!("{CERTIFICATES}?filter={word}{after}")
}

/// Issued certificates, in the order in which they were asked for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// PEM, one certificate an element. May be empty where a next page follows.
    pub certificates: Vec<String>,
    /// What the next page is asked for with; absent after the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// A CA chain.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// VMCA first, then its issuers up to the root: PEM, one certificate an element.
    pub chain: Vec<String>,
}

/// Which key a CA certificate or request is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyChoice {
    /// The active CA's key; a new one where there is no CA yet.
    Present,
    /// A new key of the active kind, or of the configured kind where there is no CA yet.
    New,
    /// A new key of this kind.
    NewOf(KeyAlgorithm),
}

/// Become a self-signed CA with a key made in the token.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelfSign {
    /// Subject name, DER of an X.501 `Name`, in hex.
    pub subject: String,
    /// Subject alternative names: e-mail and IP address, as the original allows.
    #[serde(default)]
    pub alternative_names: AlternativeNames,
    /// Minutes by which the start of validity lies in the past.
    pub predate_minutes: u32,
    /// The key to use.
    pub key: KeyChoice,
}

/// Ask for a request that an enterprise CA can sign.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestCa {
    /// Subject name, DER of an X.501 `Name`, in hex.
    pub subject: String,
    /// Subject alternative names.
    #[serde(default)]
    pub alternative_names: AlternativeNames,
    /// The key to use.
    pub key: KeyChoice,
}

/// A request signed in the token.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaRequest {
    /// PKCS#10 request, PEM.
    pub csr: String,
}

/// Values of a subjectAltName extension (RFC 5280, 4.2.1.6), as typed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlternativeNames {
    /// rfc822Name.
    #[serde(default)]
    pub email: Vec<String>,
    /// iPAddress, textual.
    #[serde(default)]
    pub ip: Vec<String>,
    /// dNSName.
    #[serde(default)]
    pub dns: Vec<String>,
}

/// Install a signing chain.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstallChain {
    /// PEM text: VMCA, intermediates, self-signed root, in this order.
    pub chain: String,
    /// A CA key in the clear; refused unless the configuration allows imported CA keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<KeyText>,
}

/// One CA that this appliance is or was.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authority {
    /// Number in the order of installation.
    pub id: i64,
    /// Subject, RFC 4514 text.
    pub subject: String,
    /// `active`, `superseded` or `retired`.
    pub state: String,
    /// `CKA_ID` of the key in the token, hex.
    pub key_id: String,
    /// Kind of the key.
    pub algorithm: KeyAlgorithm,
    /// Whether the key was brought in from outside.
    pub imported: bool,
    /// End of validity.
    pub not_after: UnixTime,
    /// SHA-256 of the certificate, hex.
    pub sha256: String,
}

/// A key in the CA token, as the records have it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// `CKA_ID`, hex.
    pub key_id: String,
    /// SHA-256 of the SubjectPublicKeyInfo (DER), lower-case hex.
    pub public_key_sha256: String,
    /// Kind of the key.
    pub algorithm: KeyAlgorithm,
    /// Whether the key was brought in from outside.
    pub imported: bool,
}

/// Stop signing revocation lists for a superseded CA.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retire {
    /// Number of the CA.
    pub id: i64,
}

/// A revocation list.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crl {
    /// PEM text (`X509 CRL`).
    pub crl: String,
}
