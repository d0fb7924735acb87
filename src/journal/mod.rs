//! Floor 2: the record of every act, appended inside the transaction that makes the change.
//!
//! A plain table for now: sequence, time, actor, act, subject, outcome, details. An intent and its
//! outcome are two records that share a reference. Never in it: PINs, private keys, sealed blobs.

mod open_intents;
mod token_alarm;

use std::fmt;

pub use open_intents::{OPEN_INTENTS, unfinished};
pub use token_alarm::TokenAlarm;

use crate::base::{Actor, UnixTime};
use crate::store::{Error, Transaction};

/// The table, for a room's list of migrations; [`OPEN_INTENTS`] belongs to it, and drops the index.
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

const APPEND: &str = "INSERT INTO journal (sequence, at, actor, act, reference, outcome, details)
    VALUES ((SELECT COALESCE(MAX(sequence), 0) + 1 FROM journal), $1, $2, $3, $4, $5, $6)";

/// Appends a record. It becomes durable with the transaction it is part of, or not at all.
///
/// The next sequence number is the greatest one and one more. That is safe because a store has one
/// writer; on a backend with several the primary key refuses the second of two equal numbers.
pub fn append(tx: &mut Transaction<'_>, event: &Event<'_>) -> Result<(), Error> {
    tx.execute(
        APPEND,
        &[
            event.at.into(),
            event.actor.to_string().into(),
            event.act.into(),
            event.reference.into(),
            event.outcome.word().into(),
            event.details.to_string().into(),
        ],
    )?;
    open_intents::note(tx, event)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{APPEND, MIGRATION, OPEN_INTENTS};
    use crate::store::{Store, Value};

    #[test]
    fn the_next_sequence_number_is_looked_up() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("j.db"), &[MIGRATION, OPEN_INTENTS]).unwrap();
        let nothing = [const { Value::Null }; 6];
        let plan = store.query_plan(APPEND, &nothing).unwrap();
        let looked_up = |step: &String| step.starts_with("SEARCH journal");
        assert!(plan.iter().any(looked_up), "{plan:?}");
        assert!(!plan.iter().any(|step| step.starts_with("SCAN journal")), "{plan:?}");
    }
}
