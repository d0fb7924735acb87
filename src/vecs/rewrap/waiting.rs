//! Sealing keys anew that wait for their certificate.
//!
//! They are few, and none waits for long; but an old key is not destroyed while one of them needs it, and a
//! change of keys takes nobody's key away between its request and its certificate.

use serde_json::json;

use super::JOB;
use super::rows::is_about_the_row;
use crate::journal::Outcome;
use crate::vecs::generations::GenerationRow;
use crate::vecs::records::{self, PendingRow};
use crate::vecs::stores::Note;
use crate::vecs::{Error, Vecs, pending};

impl Vecs {
    /// Seals every key that waits under other keys than these anew.
    ///
    /// # Errors
    /// What is not the fault of one key: the token, the new key, the database.
    pub(super) fn reseal_all_waiting(&self, to: &GenerationRow) -> Result<(), Error> {
        self.end_pending()?;
        let rows = self.store.read(|tx| records::pending_under_others(tx, Some(to)))?;
        rows.iter().try_for_each(|row| self.reseal_waiting(row))
    }

    /// Seals one anew under the active keys, if it is still what was read. One that does not open ends: nobody
    /// has a certificate for it yet, and its maker can have another. Must not be called inside a transaction.
    ///
    /// # Errors
    /// What is not the fault of this key.
    pub(in crate::vecs) fn reseal_waiting(&self, row: &PendingRow) -> Result<(), Error> {
        let Some((sealed, _)) = &row.key else { return Ok(()) };
        let keys = self.envelope.generations.to_seal(1)?;
        let place = (sealed.id, sealed.version);
        let outcome = self.envelope.reseal(&keys, row.store.0, &row.alias, place, &sealed.octets);
        let (row, sealed, at) = (row.clone(), sealed.clone(), self.clock.now());
        match outcome {
            Ok((octets, from)) => {
                let to = keys.generation().number;
                let note = Note::new(at, JOB, "entry.rewrap", pending::reference(&row));
                self.store.write(move |tx| {
                    // Keys that were changed once more meanwhile: whoever asked finds it so, and asks again.
                    if !records::is_superseded(tx, &octets)?
                        && records::replace_pending(tx, &sealed, &octets)?
                    {
                        note.append(tx, Outcome::Done, json!({"from": from, "to": to}))?;
                    }
                    Ok(())
                })
            }
            Err(cause) if is_about_the_row(&cause) => {
                // Unless it is the token after all: the check values know.
                self.envelope.generations.prove_all()?;
                let why = cause.sentence();
                self.store.write(move |tx| {
                    let now = records::pending(tx, &row.number)?;
                    if now.and_then(|now| now.key).is_some_and(|(now, _)| now == sealed) {
                        pending::end(tx, &row, at, JOB, &why)?;
                    }
                    Ok(())
                })
            }
            Err(cause) => Err(cause),
        }
    }
}
