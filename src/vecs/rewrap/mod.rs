//! Changing the sealing and wrapping keys while everything goes on.
//!
//! 1. Somebody asks for it ([`Vecs::begin_rewrap`]): a row in the records, and an intent in the journal.
//! 2. The job of the service ([`Vecs::go_on_with_rewrap`]) has new keys made. In the transaction that
//!    puts them on record they become active, the old ones retire, and the entries are counted.
//!    From then on nothing can be stored under the old keys: what was sealed under them meanwhile is
//!    sealed once more (`records::insert_entry`).
//! 3. Each entry is sealed anew in the token, for the same place with the next version, and put in the
//!    place of exactly what was read, in a transaction of its own (`rows.rs`). Keys that wait for their
//!    certificate have had their turn before (`waiting.rs`).
//! 4. When the last one is done, all headers are read again, and the numbers must add up
//!    (`conclusion.rs`). Then the old keys are destroyed, with evidence (`destruction.rs`).
//!
//! Every step is in the records before the next one begins, so that the job goes on where it was
//! after any crash. What does not open is named, stops nothing but the destruction, and waits for an
//! operator.

mod conclusion;
mod destruction;
mod job;
mod rows;
mod waiting;
mod wishes;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::generations::GenerationRow;
use super::{Error, Vecs, records};
use crate::base::{Actor, UnixTime};
use crate::store::{self, Transaction};

/// Who does it, after somebody has asked for it.
const JOB: Actor = Actor::Job("re-wrap");
/// The act in the journal: from the wish to its end.
const REWRAP: &str = "sealing-keys.rewrap";

/// How far a change of keys is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// New keys are to be made.
    MakingKeys,
    /// Entries are sealed anew.
    Resealing,
    /// No entry is under the old keys any more, and they are to be destroyed.
    Destroying,
    /// An operator has to do something first.
    Blocked,
    /// No entry is under the old keys any more; they stay because that was asked for.
    Kept,
    /// The old keys are destroyed.
    Done,
}

impl Phase {
    const ALL: [Self; 6] = [
        Self::MakingKeys,
        Self::Resealing,
        Self::Destroying,
        Self::Blocked,
        Self::Kept,
        Self::Done,
    ];

    /// The word in the records.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::MakingKeys => "making-keys",
            Self::Resealing => "resealing",
            Self::Destroying => "destroying",
            Self::Blocked => "blocked",
            Self::Kept => "kept",
            Self::Done => "done",
        }
    }

    pub(super) fn from_word(word: &str) -> Result<Self, store::Error> {
        Self::ALL
            .into_iter()
            .find(|phase| phase.word() == word)
            .ok_or_else(|| store::Error::Content("an unknown phase of a re-wrap".to_owned()))
    }

    /// Whether the job has nothing to do until somebody asks for it.
    const fn is_at_rest(self) -> bool {
        matches!(self, Self::Blocked | Self::Kept | Self::Done)
    }
}

/// What became of the entries with a key since the new keys took over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    /// How many there were then, all under older keys.
    pub before: u64,
    /// Of those: sealed anew.
    pub resealed: u64,
    /// Of those: deleted before it was their turn.
    pub deleted_old: u64,
    /// Created under the new keys.
    pub created: u64,
    /// Deleted when they were under the new keys.
    pub deleted_new: u64,
}

impl Entries {
    /// Entries that must be under older keys if nothing happened behind our back.
    pub fn left(&self) -> u64 {
        self.before.saturating_sub(self.resealed).saturating_sub(self.deleted_old)
    }

    /// Whether the inventory is what these numbers say.
    fn fit(&self, inventory: &Inventory) -> bool {
        self.resealed + self.deleted_old + inventory.left == self.before
            && inventory.total() + self.deleted_old + self.deleted_new == self.before + self.created
    }
}

/// A row of the table `rewrap`.
#[derive(Clone, Debug)]
pub(super) struct RewrapRow {
    pub(super) id: i64,
    pub(super) from: u32,
    /// `None` until the new keys are on record.
    pub(super) to: Option<u32>,
    pub(super) phase: Phase,
    pub(super) keep_old: bool,
    pub(super) started_at: UnixTime,
    pub(super) ended_at: Option<UnixTime>,
    pub(super) entries: Entries,
    /// What an operator has to do first.
    pub(super) complaint: Option<String>,
    /// [`Evidence`], JSON.
    pub(super) evidence: Option<String>,
}

impl RewrapRow {
    /// The same in the intent and in its outcome.
    fn reference(&self) -> String {
        format!("rewrap:{}", self.id)
    }
}

/// An entry that does not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    pub(super) entry: i64,
    /// Store.
    pub store: String,
    /// Alias.
    pub alias: String,
    /// Why, and what to do.
    pub reason: String,
}

/// What shows that keys are no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// When the token was told.
    pub at: UnixTime,
    /// Serial number of the token.
    pub token_serial: String,
    /// One for each key.
    pub keys: Vec<KeyEvidence>,
    /// What this service was answered when it tried to open something under them afterwards.
    pub service_answer: String,
}

/// What became of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEvidence {
    /// `CKA_ID`, hex.
    pub id: String,
    /// The token's answer to the destruction.
    pub destroyed: String,
    /// Objects with this id that the token had afterwards.
    pub found_afterwards: u64,
    /// The token's answer when the key was to be used once more.
    pub later_use: String,
}

/// Entries with a key, by what their headers say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// By generation; `None` for headers that name no keys on record.
    pub generations: BTreeMap<Option<u32>, u64>,
    /// Those that are not under the keys of the newest change.
    left: u64,
    /// Keys that wait for their certificate, no entries yet, and are not under them either.
    waiting: u64,
}

impl Inventory {
    /// All entries with a key.
    pub fn total(&self) -> u64 {
        self.generations.values().sum()
    }

    /// Reads the header of every sealed key. In one transaction, so that it is the state of a moment.
    fn take(tx: &mut Transaction<'_>, to: Option<u32>) -> Result<Self, store::Error> {
        const PAGE: i64 = 512;
        let known = records::generations(tx)?;
        let (mut found, mut after) = (Self::default(), 0);
        loop {
            let page = records::sealed_rows(tx, after, PAGE)?;
            let Some(last) = page.last() else { break };
            after = last.entry;
            for row in &page {
                let named = known.iter().find(|keys| records::is_under(&row.octets, Some(keys)));
                let number = named.map(|keys: &GenerationRow| keys.number);
                *found.generations.entry(number).or_default() += 1;
                found.left += u64::from(number.is_none() || number != to);
            }
        }
        let newest = known.iter().find(|keys| Some(keys.number) == to);
        found.waiting = records::pending_under_others(tx, newest)?.len() as u64;
        Ok(found)
    }
}

/// How the present change of keys stands, or the last one.
#[derive(Clone, Debug)]
pub struct Rewrap {
    /// How far it is.
    pub phase: Phase,
    /// The generation that is left behind.
    pub from: u32,
    /// The one that takes its place, once it is made.
    pub to: Option<u32>,
    /// When it was asked for.
    pub started_at: UnixTime,
    /// When it came to rest.
    pub ended_at: Option<UnixTime>,
    /// Whether the old keys are to stay.
    pub keep_old: bool,
    /// What became of the entries.
    pub entries: Entries,
    /// Why it does not get on, and what to do. While it is not at rest it tries again by itself.
    pub fault: Option<String>,
    /// What does not open.
    pub damaged: Vec<Damaged>,
    /// That the old keys are no more.
    pub evidence: Option<Evidence>,
}

impl Rewrap {
    /// Whether nothing happens until somebody asks for it.
    pub const fn is_at_rest(&self) -> bool {
        self.phase.is_at_rest()
    }
}

impl Vecs {
    /// How the present change of keys stands, or the last one; `None` if there never was one. Where
    /// it is at rest, with every header counted: while it is not, that would only slow it down.
    ///
    /// # Errors
    /// [`Error::Store`] when the records cannot be read.
    pub fn rewrap(&self) -> Result<(Option<Rewrap>, Option<Inventory>), Error> {
        let (row, damaged, inventory) = self.store.read(|tx| {
            let row = records::last_rewrap(tx)?;
            let inventory = match &row {
                Some(row) if !row.phase.is_at_rest() => None,
                _ => Some(Inventory::take(tx, row.as_ref().and_then(|row| row.to))?),
            };
            Ok::<_, store::Error>((row, records::damaged(tx)?, inventory))
        })?;
        let Some(row) = row else { return Ok((None, inventory)) };
        let fault = if row.phase.is_at_rest() { row.complaint } else { self.rewrap_fault() };
        let rewrap = Rewrap {
            phase: row.phase,
            from: row.from,
            to: row.to,
            started_at: row.started_at,
            ended_at: row.ended_at,
            keep_old: row.keep_old,
            entries: row.entries,
            fault,
            damaged,
            evidence: row.evidence.as_deref().map(evidence).transpose()?,
        };
        Ok((Some(rewrap), inventory))
    }

    /// What an operator should know about the change of keys, where something is in its way.
    pub(super) fn rewrap_complaint(&self) -> Option<String> {
        let row = self.store.read(records::last_rewrap).ok()??;
        match row.phase {
            Phase::Blocked => {
                Some(format!("the change of keys is not finished: {}", row.complaint?))
            }
            phase if phase.is_at_rest() => None,
            _ => Some(format!(
                "the change of keys waits and tries again by itself: {}",
                self.rewrap_fault()?
            )),
        }
    }
}

fn evidence(text: &str) -> Result<Evidence, store::Error> {
    serde_json::from_str(text)
        .map_err(|_| store::Error::Content("evidence that cannot be".to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Entries, Inventory, Phase};

    #[test]
    fn phases_survive_the_records() {
        for phase in Phase::ALL {
            assert_eq!(Phase::from_word(phase.word()).unwrap(), phase);
        }
        assert!(Phase::from_word("over").is_err());
    }

    #[test]
    fn an_inventory_fits_only_its_numbers() {
        let entries =
            Entries { before: 9, resealed: 5, deleted_old: 3, created: 4, deleted_new: 2 };
        assert_eq!(entries.left(), 1);
        let inventory = |old, new| Inventory {
            generations: [(Some(1), old), (Some(2), new)].into(),
            left: old,
            waiting: 0,
        };
        assert!(entries.fit(&inventory(1, 7)));
        for (old, new) in [(0, 7), (0, 8), (1, 6), (2, 6), (1, 8)] {
            assert!(!entries.fit(&inventory(old, new)), "{old} {new}");
        }
    }
}
