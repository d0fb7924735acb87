//! Floor 2: the record of every act, appended inside the transaction that makes the change.
//!
//! A plain table for now: sequence, time, actor, act, subject, outcome, details. An intent and its
//! outcome are two records that share a reference. Never in it: PINs, private keys, sealed blobs.

use std::fmt;

use crate::base::{Actor, UnixTime};
use crate::store::{Error, Transaction};

/// The table, for a room's list of migrations. The index finds the outcome of an intent; without it
/// the search for unfinished ones at every start would grow with the square of the journal.
pub const MIGRATION: &str = "CREATE TABLE journal (
    sequence BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    act TEXT NOT NULL,
    reference TEXT NOT NULL,
    outcome TEXT NOT NULL,
    details TEXT NOT NULL
);
CREATE INDEX journal_outcomes ON journal (reference, act, outcome)";

/// How an act stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is about to be done; a second record with the same reference says how it ended.
    Intended,
    /// It was done.
    Done,
    /// It was refused by a rule.
    Refused,
    /// It was tried and failed.
    Failed,
}

impl Outcome {
    /// The word in the table.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One record.
#[derive(Debug)]
pub struct Event<'a> {
    /// When, by the service's clock.
    pub at: UnixTime,
    /// Who.
    pub actor: &'a Actor,
    /// What, as `noun.verb`: `certificate.issue`, `entry.read-key`.
    pub act: &'static str,
    /// What it was about; the same text in an intent and in its outcome.
    pub reference: &'a str,
    /// How it stands.
    pub outcome: Outcome,
    /// More, as a JSON object; hashes instead of contents.
    pub details: serde_json::Value,
}

/// Appends a record. It becomes durable with the transaction it is part of, or not at all.
///
/// The next sequence number is the greatest one and one more. That is safe because a store has one
/// writer; on a backend with several the primary key refuses the second of two equal numbers.
pub fn append(tx: &mut Transaction<'_>, event: &Event<'_>) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO journal (sequence, at, actor, act, reference, outcome, details)
         VALUES ((SELECT COALESCE(MAX(sequence), 0) + 1 FROM journal), $1, $2, $3, $4, $5, $6)",
        &[
            event.at.into(),
            event.actor.to_string().into(),
            event.act.into(),
            event.reference.into(),
            event.outcome.word().into(),
            event.details.to_string().into(),
        ],
    )?;
    Ok(())
}

const UNFINISHED: &str = "SELECT reference FROM journal AS intent
    WHERE outcome = 'intended' AND NOT EXISTS
    (SELECT 1 FROM journal AS later WHERE later.reference = intent.reference
     AND later.act = intent.act AND later.outcome <> 'intended')
    ORDER BY sequence";

/// References of intents that have no outcome: what was in flight when a process died.
pub fn unfinished(tx: &mut Transaction<'_>) -> Result<Vec<String>, Error> {
    tx.query(UNFINISHED, &[])?.iter().map(|row| row.text(0).map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Event, MIGRATION, Outcome, UNFINISHED, append, unfinished};
    use crate::base::Actor;
    use crate::store::{Error, Store};

    #[test]
    fn an_intent_without_outcome_is_found_and_one_with_outcome_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("j.db"), &[MIGRATION]).unwrap();
        store
            .write::<_, Error>(|tx| {
                let steps =
                    [("a", Outcome::Intended), ("b", Outcome::Intended), ("a", Outcome::Done)];
                for (reference, outcome) in steps {
                    append(
                        tx,
                        &Event {
                            at: 1,
                            actor: &Actor::Job("test"),
                            act: "certificate.issue",
                            reference,
                            outcome,
                            details: serde_json::json!({}),
                        },
                    )?;
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(store.read(unfinished).unwrap(), ["b"]);
    }

    #[test]
    fn the_search_for_unfinished_intents_looks_outcomes_up() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("j.db"), &[MIGRATION]).unwrap();
        let plan: Vec<String> = store
            .read::<_, Error>(|tx| {
                tx.query(&format!("EXPLAIN QUERY PLAN {UNFINISHED}"), &[])?
                    .iter()
                    .map(|row| row.text(3).map(str::to_owned))
                    .collect()
            })
            .unwrap();
        let looked_up = |step: &String| step.starts_with("SEARCH later USING COVERING INDEX");
        assert!(plan.iter().any(looked_up), "{plan:?}");
    }
}
