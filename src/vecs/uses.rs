//! How often a key has sealed. A key that seals with random initialisation vectors may do so 2^32
//! times (SP 800-38D section 8.3).
//!
//! Uses are counted in the database in blocks, before they are made, and a block is used up in
//! memory. A crash loses what is left of a block, so the count may be too high and is never too low.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::{Error, records};
use crate::store::Store;

/// SP 800-38D section 8.3.
const STANDARD: u64 = 1 << 32;
/// Set aside for uses that are counted nowhere: the proofs of a key when it is made, and when doctor
/// or a backup looks at it.
const PROOFS: u64 = 1 << 16;
/// The most uses that one block has.
const LARGEST_BLOCK: u64 = 1024;

/// Uses that were counted and not made yet.
pub(super) struct Uses {
    bound: u64,
    left: Mutex<BTreeMap<u32, u64>>,
}

impl Uses {
    /// `policy`: a bound below that of the standard.
    pub(super) fn up_to(policy: Option<u64>) -> Self {
        let bound = STANDARD - PROOFS;
        Self { bound: policy.map_or(bound, |policy| policy.min(bound)), left: Mutex::default() }
    }

    /// Takes so many uses of a generation's sealing key.
    ///
    /// # Errors
    /// [`Error::Limit`] when that would be more than there may be.
    pub(super) fn spend(&self, store: &Store, generation: u32, uses: u64) -> Result<(), Error> {
        let mut all = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let left = all.entry(generation).or_default();
        if *left < uses {
            let (bound, needed) = (self.bound, uses - *left);
            // A low bound is not to be used up by a few starts.
            let block = (bound / 1024).clamp(1, LARGEST_BLOCK);
            let counted = store.write(move |tx| {
                records::reserve_seals(tx, generation, needed, needed.max(block), bound)
                    .map_err(Error::from)
            })?;
            if counted == 0 {
                return Err(exhausted(generation, bound));
            }
            *left += counted;
        }
        *left -= uses;
        Ok(())
    }

    /// What an operator should know about a key that has been used so often.
    pub(super) fn warning(&self, generation: u32, seals: u64) -> Option<String> {
        (seals >= self.bound / 5 * 4).then(|| {
            format!(
                "the sealing key of generation {generation} has sealed {seals} times of the {} it may; run \
                 `sealwright rewrap` before it seals no more",
                self.bound
            )
        })
    }
}

fn exhausted(generation: u32, bound: u64) -> Error {
    Error::Limit(format!(
        "the sealing key of generation {generation} has sealed as often as a key may ({bound} times), so \
         nothing more is sealed; run `sealwright rewrap` for new keys. What is stored can still be read"
    ))
}
