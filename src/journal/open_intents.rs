//! Intents that have no outcome yet: what is in flight, and after a crash what was.
//!
//! The journal itself says the same, but only to who reads all of it; a service that starts must not. So they stand in a
//! table of their own, which is as long as what is in flight and is written in the transaction of the record.

use super::{Event, Outcome};
use crate::store::{Error, Transaction};

/// The table, for a room's list of migrations; filled with what the journal has by then.
///
/// An intent is open where no record of the same act and reference with an outcome comes after it. The index that finds
/// them is used once more here and goes: it was two entries more for every certificate. Of a large journal it is dropped
/// without overwriting its pages, which SQLite would all hold in memory; nothing in it is secret.
pub const OPEN_INTENTS: &str = "CREATE TABLE journal_open (
    reference TEXT NOT NULL,
    act TEXT NOT NULL,
    PRIMARY KEY (reference, act)
);
INSERT INTO journal_open (reference, act)
    SELECT DISTINCT reference, act FROM journal AS intent WHERE outcome = 'intended' AND NOT EXISTS
    (SELECT 1 FROM journal AS later WHERE later.reference = intent.reference
     AND later.act = intent.act AND later.outcome <> 'intended' AND later.sequence > intent.sequence);
PRAGMA secure_delete = OFF;
DROP INDEX journal_outcomes;
PRAGMA secure_delete = ON";

/// Keeps the table in step with a record that was just appended.
pub(super) fn note(tx: &mut Transaction<'_>, event: &Event<'_>) -> Result<(), Error> {
    let sql = match event.outcome {
        Outcome::Intended => {
            "INSERT INTO journal_open (reference, act) VALUES ($1, $2) ON CONFLICT DO NOTHING"
        }
        Outcome::Done | Outcome::Refused | Outcome::Failed => {
            "DELETE FROM journal_open WHERE reference = $1 AND act = $2"
        }
    };
    tx.execute(sql, &[event.reference.into(), event.act.into()])?;
    Ok(())
}

/// References of intents that have no outcome: what was in flight when a process died.
pub fn unfinished(tx: &mut Transaction<'_>) -> Result<Vec<String>, Error> {
    tx.query("SELECT reference FROM journal_open ORDER BY reference, act", &[])?
        .iter()
        .map(|row| row.text(0).map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{OPEN_INTENTS, unfinished};
    use crate::base::Actor;
    use crate::journal::{Event, MIGRATION, Outcome, append};
    use crate::store::{Error, Store};

    /// Two acts on the same things, some of them tried twice; open at the end are "c", "d" and the second act on "b".
    const STORY: [(&str, &str, Outcome); 13] = [
        ("key.make", "a", Outcome::Intended),
        ("key.make", "b", Outcome::Intended),
        ("key.make", "a", Outcome::Done),
        ("key.lose", "b", Outcome::Intended),
        ("key.make", "c", Outcome::Intended),
        ("key.make", "b", Outcome::Refused),
        ("key.make", "c", Outcome::Failed),
        ("key.make", "c", Outcome::Intended),
        ("key.make", "d", Outcome::Intended),
        ("key.make", "d", Outcome::Intended),
        ("key.make", "e", Outcome::Intended),
        ("key.make", "e", Outcome::Intended),
        ("key.make", "e", Outcome::Done),
    ];
    const OPEN: [&str; 3] = ["b", "c", "d"];

    #[test]
    fn an_intent_without_outcome_is_found_and_one_with_outcome_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("j.db"), &[MIGRATION, OPEN_INTENTS]).unwrap();
        for (act, reference, outcome) in STORY {
            let event = Event {
                at: 1,
                actor: &Actor::Job("test"),
                act,
                reference,
                outcome,
                details: serde_json::json!({}),
            };
            store.write::<_, Error>(move |tx| append(tx, &event)).unwrap();
        }
        assert_eq!(store.read(unfinished).unwrap(), OPEN);
    }

    #[test]
    fn a_journal_of_a_former_version_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j.db");
        let former = Store::open(&path, &[MIGRATION]).unwrap();
        for (sequence, (act, reference, outcome)) in (1_i64..).zip(STORY) {
            let values = [sequence.into(), act.into(), reference.into(), outcome.word().into()];
            former
                .write::<_, Error>(move |tx| {
                    tx.execute(
                        "INSERT INTO journal (sequence, at, actor, act, reference, outcome, details)
                         VALUES ($1, 1, 'job:test', $2, $3, $4, '{}')",
                        &values,
                    )
                })
                .unwrap();
        }
        drop(former);
        let store = Store::open(&path, &[MIGRATION, OPEN_INTENTS]).unwrap();
        assert_eq!(store.read(unfinished).unwrap(), OPEN);
    }
}
