//! After the last entry: the proof that none is left under the old keys, and that the numbers add up.

use serde_json::json;

use super::{Damaged, Inventory, JOB, Phase, REWRAP, RewrapRow, destruction};
use crate::journal::Outcome;
use crate::store;
use crate::vecs::stores::Note;
use crate::vecs::{Error, Vecs, records};

/// What is done next.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Some keys changed under our hands, and have their turn again.
    LookAgain,
    /// The old keys stay, and an operator has to do something.
    Blocked(String),
    /// The old keys are needed no more.
    Clear,
}

fn judge(row: &RewrapRow, inventory: &Inventory, damaged: usize) -> Verdict {
    let damaged = u64::try_from(damaged).unwrap_or(u64::MAX);
    if inventory.left > damaged || inventory.waiting > 0 {
        return Verdict::LookAgain;
    }
    if !row.entries.fit(inventory) {
        return Verdict::Blocked(format!(
            "the numbers do not add up ({:?}, and {} entries by their headers, {} of them under older \
             keys): entries were changed behind the back of vmafdd. Keep a copy of its database, find \
             out who changed it, then run `sealwright rewrap` again; it counts anew",
            row.entries,
            inventory.total(),
            inventory.left
        ));
    }
    if inventory.left > 0 {
        return Verdict::Blocked(format!(
            "{} entries do not open, so the old keys are kept (`sealwright rewrap --status` names them). \
             Delete each and create it again, find out who changed the database, then run `sealwright \
             rewrap` again",
            inventory.left
        ));
    }
    Verdict::Clear
}

impl Vecs {
    /// Reads all headers in one transaction and decides. Nothing can come to lie under the old keys
    /// afterwards, because they are not active.
    pub(super) fn conclude(&self, id: i64, damaged: &[Damaged]) -> Result<(), Error> {
        let (row, inventory) = self.store.read(|tx| {
            let row = records::last_rewrap(tx)?
                .filter(|row| row.id == id)
                .ok_or_else(|| store::Error::Content("a change of keys that is gone".to_owned()))?;
            let inventory = Inventory::take(tx, row.to)?;
            Ok::<_, store::Error>((row, inventory))
        })?;
        let verdict = judge(&row, &inventory, damaged.len());
        if verdict == Verdict::LookAgain {
            return Ok(());
        }
        let (at, damaged) = (self.clock.now(), damaged.to_vec());
        let details = json!({
            "from": row.from,
            "to": row.to,
            "before": row.entries.before,
            "resealed": row.entries.resealed,
            "deleted_old": row.entries.deleted_old,
            "created": row.entries.created,
            "deleted_new": row.entries.deleted_new,
            "left": inventory.left,
            "waiting_left": inventory.waiting,
            "by_generation": by_generation(&inventory),
            "damaged": damaged.iter().map(|one| format!("{}/{}", one.store, one.alias)).collect::<Vec<_>>(),
        });
        self.store.write(move |tx| {
            let note = Note::new(at, JOB, REWRAP, row.reference());
            if let Verdict::Blocked(complaint) = &verdict {
                records::set_damaged(tx, &damaged)?;
                records::set_phase(tx, id, Phase::Blocked, Some(at), Some(complaint))?;
                note.append(tx, Outcome::Failed, details)?;
                return Ok(());
            }
            // Once more where nothing can come between: no key is destroyed on the word of a reader.
            if records::any_sealed_under(tx, row.from)? {
                return Ok(());
            }
            records::set_damaged(tx, &[])?;
            note.append(tx, Outcome::Done, details)?;
            // It may have been changed since the row was read.
            let keep_old = records::last_rewrap(tx)?.is_none_or(|row| row.keep_old);
            if keep_old {
                records::set_phase(tx, id, Phase::Kept, Some(at), None)?;
            } else {
                records::set_phase(tx, id, Phase::Destroying, None, None)?;
                destruction::note(at, row.from).append(tx, Outcome::Intended, json!({}))?;
            }
            Ok(())
        })
    }
}

fn by_generation(inventory: &Inventory) -> serde_json::Value {
    let named = inventory.generations.iter().map(|(number, entries)| {
        let name = number.map_or("unknown".to_owned(), |number| number.to_string());
        (name, json!(entries))
    });
    serde_json::Value::Object(named.collect())
}

#[cfg(test)]
mod tests {
    use super::{Verdict, judge};
    use crate::vecs::rewrap::{Entries, Inventory, Phase, RewrapRow};

    fn verdict(resealed: u64, old: u64, new: u64, damaged: usize) -> Verdict {
        verdict_with(resealed, old, new, damaged, 0)
    }

    fn verdict_with(resealed: u64, old: u64, new: u64, damaged: usize, waiting: u64) -> Verdict {
        let row = RewrapRow {
            id: 1,
            from: 1,
            to: Some(2),
            phase: Phase::Resealing,
            keep_old: false,
            started_at: 0,
            ended_at: None,
            entries: Entries { before: 5, resealed, deleted_old: 1, created: 2, deleted_new: 0 },
            complaint: None,
            evidence: None,
        };
        let inventory =
            Inventory { generations: [(Some(1), old), (Some(2), new)].into(), left: old, waiting };
        judge(&row, &inventory, damaged)
    }

    #[test]
    fn keys_are_given_up_only_when_nothing_needs_them_and_the_numbers_add_up() {
        assert_eq!(verdict(4, 0, 6, 0), Verdict::Clear);
        assert_eq!(verdict(3, 1, 5, 0), Verdict::LookAgain);
        assert_eq!(verdict_with(4, 0, 6, 0, 1), Verdict::LookAgain);
        let blocked = |verdict, word: &str| match verdict {
            Verdict::Blocked(why) => assert!(why.contains(word), "{why}"),
            other => panic!("{other:?}"),
        };
        blocked(verdict(3, 1, 5, 1), "1 entries do not open");
        blocked(verdict(4, 0, 7, 0), "do not add up");
        blocked(verdict(3, 0, 6, 0), "do not add up");
    }
}
