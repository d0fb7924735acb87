//! Proof of possession: a certificate request for the key that signs it (RFC 2986).

use super::Refusal;
use crate::x509::RequestInfo;

/// Judges a CertificationRequestInfo that is to be signed by this key (SubjectPublicKeyInfo, DER).
pub(super) fn judge(public_key: &[u8], message: &[u8]) -> Result<(), Refusal> {
    let request = RequestInfo::from_der(message)
        .map_err(|cause| Refusal::because("this is no certificate request", cause))?;
    if request.public_key_der() == public_key {
        return Ok(());
    }
    Err("the certificate request is for another key than the one that is to sign it: ask for it with its own key".into())
}
