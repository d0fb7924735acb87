//! Which CAs the policy of the token knows.
//!
//! The token signs only below CA certificates that the key workshop has written down. That is done
//! before a CA becomes active. For CAs of an older version, or of a restored database, it is done at
//! start, or as soon as the token is back.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::authority::{Authority, Ca};
use super::error::Error;
use crate::base::sentences;

/// Numbers of the CAs that this process knows to be written down.
#[derive(Default)]
pub(super) struct RecordedIssuers(Mutex<BTreeSet<i64>>);

impl RecordedIssuers {
    /// A CA whose certificate has just been written down.
    pub(super) fn add(&self, id: i64) {
        self.lock().insert(id);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<i64>> {
        // A set of numbers is whole after every step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Authority {
    /// Sees to it that the token's policy knows a CA before its key is asked to sign. Everybody who
    /// needs the same CA waits for the one attempt.
    ///
    /// # Errors
    /// [`Error::Token`] when the certificate cannot be written down now; nothing was signed then.
    pub(super) fn known_to_policy(&self, ca: &Ca) -> Result<(), Error> {
        let mut recorded = self.issuers.lock();
        if !recorded.contains(&ca.id) {
            self.record_issuer(ca)?;
            recorded.insert(ca.id);
        }
        Ok(())
    }

    /// Has the workshop write a CA's certificate down.
    pub(super) fn record_issuer(&self, ca: &Ca) -> Result<(), Error> {
        self.workshop
            .record_issuer(ca.key.reference(), ca.chain.ca().as_der())
            .map_err(Error::Token)
    }

    /// The same for every CA in service. What fails is tried again before the next signature of that
    /// CA, and with the next refresh of revocation lists.
    pub(super) fn record_issuers_in_service(&self) {
        let rows = match self.rows() {
            Ok(rows) => rows,
            Err(cause) => {
                tracing::warn!(cause = sentences(&cause), "the CAs in service cannot be read");
                return;
            }
        };
        for row in rows {
            let id = row.id;
            if !row.state.is_in_service() || self.issuers.lock().contains(&id) {
                continue;
            }
            if let Err(cause) = self.ca(row).and_then(|ca| self.known_to_policy(&ca)) {
                tracing::warn!(
                    id,
                    cause = sentences(&cause),
                    "the token's policy does not know this CA yet, so nothing is signed for it; trying on"
                );
            }
        }
    }
}
