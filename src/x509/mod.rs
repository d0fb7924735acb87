//! Floor 1: X.509 values, pure: no files, no network, no token, no clock.
//!
//! What comes from outside is kept octet for octet and parsed once, strictly. What goes out is a
//! [`Draft`]: exact octets that were compared with what was asked for before anybody signs them.

mod alternative_names;
mod asn1;
mod bundle;
mod certificate;
mod chain;
mod crl;
mod csr;
mod draft;
mod error;
mod extension;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod general_name;
mod hash_name;
mod name;
pub(crate) mod oid;
mod pem;
mod private_key;
mod public_key;
mod signature;
mod signed;
mod subject;
mod tbs;
#[cfg(test)]
pub(crate) mod tests;
mod text;
mod time;
mod well_formed;

pub use alternative_names::AlternativeNames;
pub use bundle::certificates_from_pem;
pub use certificate::Certificate;
pub use chain::{Chain, NameConstraints};
pub use crl::Crl;
pub use csr::{Csr, RequestedExtensions};
pub use draft::{
    CaTemplate, CrlTemplate, CsrTemplate, Draft, LeafIssuer, LeafTemplate, RevokedEntry, csr_pem,
    draft_crl, draft_csr, draft_leaf, draft_self_signed_ca, serial_from_random,
};
pub use error::{ChainError, Error, Refusal};
pub use extension::{Extension, KeyUsage};
pub use name::Name;
pub use private_key::PrivateKey;
pub use public_key::PublicKey;
pub use subject::SubjectFields;
pub use tbs::{RequestInfo, TbsCertList, TbsCertificate};
pub use well_formed::{check_names, check_url};
