//! What an operator can ask of the job. A wish is in the records before the answer; the job finds it
//! there, also after a restart.

use serde_json::json;

use super::{Inventory, Phase, REWRAP, RewrapRow};
use crate::access::{ChangeKeys, Permit};
use crate::journal::Outcome;
use crate::store::Transaction;
use crate::vecs::stores::Note;
use crate::vecs::{Error, Vecs, records};

impl Vecs {
    /// Begins a change of keys, or joins the one that is under way: then `keep_old` can only be added.
    /// One that waits for an operator is tried again. The job must be woken afterwards.
    ///
    /// # Errors
    /// [`Error::NoKeys`] where there are no keys yet; [`Error::Exists`] while the old keys of the last
    /// change are kept.
    pub fn begin_rewrap(&self, permit: &Permit<ChangeKeys>, keep_old: bool) -> Result<(), Error> {
        let (actor, at) = (permit.actor().clone(), self.clock.now());
        self.store.write(move |tx| {
            let last = records::last_rewrap(tx)?;
            match last {
                None | Some(RewrapRow { phase: Phase::Done, .. }) => {
                    let from = records::active_generation(tx)?.ok_or(Error::NoKeys)?.number;
                    records::insert_rewrap(tx, from, keep_old, at)?;
                }
                Some(RewrapRow { phase: Phase::Kept, from, .. }) => {
                    return Err(Error::Exists(format!(
                        "the keys of generation {from} are kept from the last change; destroy them \
                         first: sealwright rewrap --destroy-old"
                    )));
                }
                Some(RewrapRow { phase: Phase::Destroying, .. }) => {
                    return if keep_old { Err(too_late()) } else { Ok(()) };
                }
                Some(row @ RewrapRow { phase: Phase::Blocked, .. }) => {
                    begin_again(tx, &row)?;
                    records::set_keep_old(tx, row.id, keep_old)?;
                }
                Some(row) if keep_old && !row.keep_old => {
                    records::set_keep_old(tx, row.id, true)?;
                }
                Some(_) => return Ok(()),
            }
            intend(tx, |reference| Note::new(at, actor, REWRAP, reference))
        })
    }

    /// Has the old keys of the present change destroyed: those that are kept, after one more look at
    /// every entry, or those that were to be kept. Where they are destroyed already it does nothing.
    /// The job must be woken afterwards.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there never was a change of keys; [`Error::Invalid`] while entries need
    /// the old keys and an operator has to do something.
    pub fn destroy_old_keys(&self, permit: &Permit<ChangeKeys>) -> Result<(), Error> {
        let (actor, at) = (permit.actor().clone(), self.clock.now());
        self.store.write(move |tx| {
            let row = records::last_rewrap(tx)?.ok_or_else(|| {
                Error::NotFound(
                    "the keys were never changed, so there are no old ones; `sealwright rewrap` \
                     changes them"
                        .to_owned(),
                )
            })?;
            match row.phase {
                Phase::Done | Phase::Destroying => return Ok(()),
                Phase::Blocked => {
                    return Err(Error::Invalid(format!(
                        "the old keys are still needed: {}",
                        row.complaint.unwrap_or_default()
                    )));
                }
                Phase::Kept => begin_again(tx, &row)?,
                Phase::MakingKeys | Phase::Resealing if !row.keep_old => return Ok(()),
                Phase::MakingKeys | Phase::Resealing => {}
            }
            records::set_keep_old(tx, row.id, false)?;
            intend(tx, |reference| Note::new(at, actor, REWRAP, reference))
        })
    }
}

/// Looks at every entry once more. Numbers that did not add up were put down in the journal when it
/// was found out; from here on they are counted from what is there.
fn begin_again(tx: &mut Transaction<'_>, row: &RewrapRow) -> Result<(), Error> {
    let inventory = Inventory::take(tx, row.to)?;
    if !row.entries.fit(&inventory) {
        let new = inventory.total() - inventory.left;
        records::count_anew(tx, row.id, inventory.left, new)?;
    }
    records::set_damaged(tx, &[])?;
    Ok(records::set_phase(tx, row.id, Phase::Resealing, None, None)?)
}

fn intend(tx: &mut Transaction<'_>, note: impl FnOnce(String) -> Note) -> Result<(), Error> {
    if let Some(row) = records::last_rewrap(tx)? {
        let details = json!({"from": row.from, "to": row.to, "keep_old": row.keep_old});
        note(row.reference()).append(tx, Outcome::Intended, details)?;
    }
    Ok(())
}

fn too_late() -> Error {
    Error::Invalid(
        "every entry is sealed anew and the old keys are being destroyed: it is too late to keep \
         them"
            .to_owned(),
    )
}
