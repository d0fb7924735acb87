//! What the workshop does with CA certificates: sign one for the key itself, and write down which ones
//! the policy of the serving token may believe.

use crate::base::{Clock, Layout, SystemClock, sentences};
use crate::config::TokenRole;
use crate::policy::{self, Issuers, Mode, Refusal};

/// The policy of administrative mode.
pub(super) fn judge_ca_certificate(
    layout: &Layout,
    role: TokenRole,
    key: &hsm::KeyReference,
    tbs: &[u8],
) -> Result<(), hsm::Error> {
    let issuers = Issuers::open(layout.issuers(role.name()));
    let purpose = hsm::Purpose::CaCertificate;
    policy::judge(Mode::Administration, purpose, key, tbs, &issuers, SystemClock.now())
        .map_err(refused)
}

/// Writes down a CA certificate of a key that the token was seen to hold.
pub(super) fn record(
    layout: &Layout,
    role: TokenRole,
    key: &hsm::KeyReference,
    certificate: &[u8],
) -> Result<(), hsm::Error> {
    policy::record(&layout.issuers(role.name()), key, certificate).map_err(refused)
}

fn refused(refusal: Refusal) -> hsm::Error {
    hsm::Error::Refused(sentences(&refusal).into())
}
