//! The job: from phase to phase.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{JOB, Phase, RewrapRow, rows};
use crate::store;
use crate::vecs::{Error, Vecs, records};

impl Vecs {
    /// Goes on with the change of keys until it rests or `stop` is set. Without one it does nothing.
    /// To be called by one thread only.
    ///
    /// # Errors
    /// What is in the way now: to be called again after a while. It is remembered for
    /// [`Self::rewrap`] and for the health of the service.
    pub fn go_on_with_rewrap(&self, stop: &AtomicBool) -> Result<(), Error> {
        let outcome = self.advance(stop);
        if let Err(failure) = &outcome {
            self.look_into(failure);
        }
        let fault = outcome.as_ref().err().map(Error::sentence);
        *self.rewrap_fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
        outcome
    }

    /// What was in the way of the job when it tried last.
    pub(super) fn rewrap_fault(&self) -> Option<String> {
        self.rewrap_fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn advance(&self, stop: &AtomicBool) -> Result<(), Error> {
        while !stop.load(Ordering::Relaxed) {
            let Some(row) = self.store.read(records::last_rewrap)? else { return Ok(()) };
            match row.phase {
                Phase::MakingKeys => self.make_new_keys(&row)?,
                Phase::Resealing => self.reseal_entries(&row, stop)?,
                Phase::Destroying => self.destroy_generation(&row)?,
                Phase::Blocked | Phase::Kept | Phase::Done => return Ok(()),
            }
            // Whatever was in the way is over.
            *self.rewrap_fault.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        Ok(())
    }

    /// If this process dies before the keys are on record they stay in the token and seal nothing;
    /// others are made next time.
    fn make_new_keys(&self, row: &RewrapRow) -> Result<(), Error> {
        let id = row.id;
        let took_over =
            move |tx: &mut store::Transaction<'_>, number| records::begin_resealing(tx, id, number);
        self.envelope.generations.take_over(&JOB, took_over).map(drop)
    }

    fn reseal_entries(&self, row: &RewrapRow, stop: &AtomicBool) -> Result<(), Error> {
        let to = self.envelope.generations.active_row()?;
        if row.to != Some(to.number) {
            return Err(store::Error::Content(
                "a change of keys to others than those that are active".to_owned(),
            )
            .into());
        }
        self.envelope.generations.make_visible(&to)?;
        self.reseal_all_waiting(&to)?;
        match rows::reseal_all(self, &to, stop)? {
            Some(damaged) => self.conclude(row.id, &damaged),
            None => Ok(()),
        }
    }
}
