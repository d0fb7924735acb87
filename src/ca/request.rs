//! What someone asks the CA for.

use super::Error;
use crate::base::UnixTime;
use crate::x509::Csr;

/// A request for an end-entity certificate: well formed, signed by the key it names, and not yet
/// judged by a profile.
pub struct Request {
    /// The PKCS#10 request.
    pub(super) csr: Csr,
    /// When validity shall start, where the requester cares.
    pub(super) not_before: Option<UnixTime>,
    /// When validity shall end, where the requester cares.
    pub(super) not_after: Option<UnixTime>,
}

impl Request {
    /// Reads a PKCS#10 request (RFC 2986) in PEM and checks that its key signed it.
    ///
    /// # Errors
    /// [`Error::Request`] when it cannot be decoded, its signature does not verify, or its key is
    /// too weak or of a kind that is not accepted.
    pub fn parse(
        csr: &str,
        not_before: Option<UnixTime>,
        not_after: Option<UnixTime>,
    ) -> Result<Self, Error> {
        Ok(Self { csr: Csr::from_pem(csr).map_err(Error::Request)?, not_before, not_after })
    }
}
