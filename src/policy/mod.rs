//! Floor 2: what a key signs. Compiled in beside the key, so that whoever asks for a signature, a
//! compromised service too, gets only what this key is for.
//!
//! A judgement reads the exact octets that are to be signed and says yes or no. It knows nothing
//! else but the CA certificates of the key, which the key workshop writes into a folder, and the
//! time. Octets that are to be one thing are read as that thing whole, so octets of one kind never
//! pass as another.

mod ca_certificate;
mod certificate;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod issuers;
mod possession;
mod revocation_list;
mod stored_key;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use crate::base::{Clock, UnixTime, sentences};

pub use crate::x509::Refusal;
pub use issuers::{Issuers, is_recorded, record};
pub use stored_key::{SealingPolicy, judge_stored};

/// In which process a key of a CA signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// For a service, which parses requests: never a certificate of a CA.
    Service,
    /// For the key workshop: a CA certificate for the key itself, too.
    Administration,
}

/// Judges what a key of a CA is asked to sign.
///
/// # Errors
/// Which rule says no, and what to do.
pub fn judge(
    mode: Mode,
    purpose: hsm::Purpose,
    key: &hsm::KeyReference,
    message: &[u8],
    issuers: &Issuers,
    now: UnixTime,
) -> Result<(), Refusal> {
    match purpose {
        hsm::Purpose::Certificate => certificate::judge(key, message, issuers, now),
        hsm::Purpose::Crl => revocation_list::judge(key, message, issuers, now),
        hsm::Purpose::Possession => possession::judge(&key.public_key, message),
        hsm::Purpose::CaCertificate => match mode {
            Mode::Administration => ca_certificate::judge(key, message, now),
            Mode::Service => Err(
                "the key of a CA signs no CA certificate for a service: this is the work of the key workshop \
                 (certool --selfca)"
                    .into(),
            ),
        },
        hsm::Purpose::Ocsp | hsm::Purpose::Journal => {
            Err("OCSP answers and checkpoints of the journal are not signed yet by this version".into())
        }
        hsm::Purpose::Tls | hsm::Purpose::Content => Err(
            "the key of a CA signs certificates, revocation lists and requests, and nothing else: use another key"
                .into(),
        ),
    }
}

/// The policy of the keys in a CA token. Certificates of issuers are parsed once, so it is cheap to
/// ask before every signature.
pub struct CaPolicy {
    mode: Mode,
    issuers: Issuers,
    clock: Arc<dyn Clock>,
}

impl CaPolicy {
    /// `issuers`: the folder that [`record`] writes into. It may be empty or absent today.
    pub fn new(mode: Mode, issuers: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Self { mode, issuers: Issuers::open(issuers), clock }
    }

    /// As [`judge`]; the refusal in one line.
    ///
    /// # Errors
    /// Which rule says no, and what to do.
    pub fn judge(
        &self,
        purpose: hsm::Purpose,
        key: &hsm::KeyReference,
        message: &[u8],
    ) -> Result<(), String> {
        judge(self.mode, purpose, key, message, &self.issuers, self.clock.now())
            .map_err(|refusal| sentences(&refusal))
    }
}
