//! Words of `vmdird`.

use serde::{Deserialize, Serialize};

/// `GET`: `Vec<`[`TrustedRoot`]`>`. `POST` [`Publish`]: nothing.
pub const TRUSTED_ROOTS: &str = "/v1/trusted-roots";
/// `GET`: `Vec<`[`Node`]`>`.
pub const NODES: &str = "/v1/nodes";

/// A published CA certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedRoot {
    /// Subject key identifier, upper-case hex; SHA-1 of the key where the certificate has none.
    pub id: String,
    /// Subject, RFC 4514 text.
    pub subject: String,
    /// Certificate, PEM.
    pub certificate: String,
    /// Its latest revocation list, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crl: Option<String>,
}

/// Publish a CA certificate, or the revocation list of one already published.
///
/// A certificate that is already there is kept as it is; one that shares its identifier is kept
/// beside it. The revocation list is replaced by a later one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// Certificate, PEM: exactly one.
    pub certificate: String,
    /// Its latest revocation list, PEM; the issuer's signature is verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crl: Option<String>,
}

/// A node of the deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Host name: the primary network identifier.
    pub name: String,
    /// `Management`.
    pub node_type: String,
}
