//! A CA certificate: for the key itself, signed by itself, in administrative mode.

use super::Refusal;
use super::certificate;
use crate::base::UnixTime;
use crate::x509::{KeyUsage, PublicKey, oid};

/// basicConstraints with cA TRUE and no path length, in DER.
const CA_TRUE: [u8; 5] = [0x30, 0x03, 0x01, 0x01, 0xff];

/// Judges a TBSCertificate of a CA that is to be signed by its own key.
pub(super) fn judge(key: &hsm::KeyReference, message: &[u8], now: UnixTime) -> Result<(), Refusal> {
    let tbs = certificate::read(message, now)?;
    if tbs.public_key_der() != key.public_key {
        return Err(
            "a CA certificate is signed only for the key itself; a CA below this one is not made here".into()
        );
    }
    if tbs.subject().is_empty() || tbs.issuer() != tbs.subject() {
        return Err(
            "a CA certificate that is signed here must be its own issuer, and have a name".into()
        );
    }
    let public_key = PublicKey::from_spki_der(&key.public_key)
        .map_err(|cause| Refusal::because("no CA certificate is signed for this key", cause))?;
    if tbs.signature_algorithm() != public_key.signature_algorithm() {
        return Err("another signature algorithm is named than the one that the key signs with; report this".into());
    }
    let mut is_ca = false;
    for extension in tbs.extensions() {
        let critical = match extension.kind {
            oid::BASIC_CONSTRAINTS if extension.value == CA_TRUE => {
                is_ca = true;
                true
            }
            oid::KEY_USAGE if tbs.key_usage() == Some(KeyUsage::CA) => true,
            oid::SUBJECT_ALT_NAME | oid::SUBJECT_KEY_IDENTIFIER => false,
            other => {
                return Err(format!(
                    "the extension {other}, or its content, is not what a CA certificate has that is signed here"
                )
                .into());
            }
        };
        if extension.critical != critical {
            return Err(format!(
                "the extension {} is critical or not where it must be",
                extension.kind
            )
            .into());
        }
    }
    if !is_ca || tbs.key_usage().is_none() {
        return Err("a CA certificate needs CA:TRUE and the key usage of a CA; report this".into());
    }
    tbs.alternative_names()
        .map(drop)
        .map_err(|cause| Refusal::because("no CA certificate is signed with these names", cause))
}
