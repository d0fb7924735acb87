//! Words of `vmafdd` about changing the sealing and wrapping keys.

use serde::{Deserialize, Serialize};

/// `GET`: [`Rewrap`]. `POST` [`Start`]: the same, after a change of keys was begun or joined.
pub const REWRAP: &str = "/v1/rewrap";
/// `POST`: [`Rewrap`], after the job was told to destroy the keys that were kept.
pub const DESTROY_OLD: &str = "/v1/rewrap/destroy-old";

/// Begin a change of keys, or join the one that is under way.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// Keep the old keys when no entry needs them any more.
    pub keep_old: bool,
}

/// How far a change of keys is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The keys were never changed.
    Never,
    /// New keys are made in the token.
    MakingKeys,
    /// Entries are sealed anew, one after the other.
    Resealing,
    /// Every entry is sealed anew; the old keys are destroyed.
    Destroying,
    /// Some entries do not open, so the old keys stay.
    Blocked,
    /// Every entry is sealed anew; the old keys stay because that was asked for.
    Kept,
    /// Every entry is sealed anew, and the old keys are destroyed.
    Done,
}

impl Phase {
    /// Whether the job has nothing to do until somebody asks for it.
    pub const fn is_at_rest(self) -> bool {
        matches!(self, Self::Never | Self::Blocked | Self::Kept | Self::Done)
    }
}

/// The present change of keys, or the last one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rewrap {
    /// How far it is.
    pub phase: Phase,
    /// Number of the generation that is left behind; absent while the keys were never changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u32>,
    /// Number of the generation that takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u32>,
    /// When it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<i64>,
    /// When it came to rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<i64>,
    /// Whether the old keys are to stay.
    pub keep_old: bool,
    /// What became of the entries.
    pub entries: Entries,
    /// Entries with a key in the database now, by the generation in the header of each. Absent while
    /// entries are being sealed anew: reading every header for each question would slow that down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Vec<Sealed>>,
    /// Why it does not get on, and what to do. Unless it is blocked it tries again by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Entries that do not open.
    pub damaged: Vec<Damaged>,
    /// What shows that the old keys are no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

/// What became of the entries that have a key. Two sums must hold whenever nothing is under way:
/// `before = resealed + deleted_old + left`, and
/// `before + created - deleted_old - deleted_new` is the number of entries in the inventory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entries {
    /// Entries with a key at the moment when the new keys took over; all under older keys.
    pub before: u64,
    /// Of those, the ones that were sealed anew.
    pub resealed: u64,
    /// Of those, the ones that were deleted before it was their turn.
    pub deleted_old: u64,
    /// Of those, the ones that are still under older keys: damaged ones, or not yet their turn.
    pub left: u64,
    /// Entries with a key that were created since, under the new keys.
    pub created: u64,
    /// Entries under the new keys that were deleted since.
    pub deleted_new: u64,
}

impl Entries {
    /// Whether both sums hold, with so many entries in the inventory.
    pub fn add_up(&self, inventory: u64) -> bool {
        let sum = |parts: &[u64]| parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(*part));
        sum(&[self.resealed, self.deleted_old, self.left]) == Some(self.before)
            && sum(&[self.before, self.created])
                == sum(&[inventory, self.deleted_old, self.deleted_new])
    }
}

/// How many entries are sealed under the keys of one generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// Its number; absent for entries whose header names no keys on record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// Entries.
    pub entries: u64,
}

/// An entry whose key does not open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Damaged {
    /// Store.
    pub store: String,
    /// Alias.
    pub alias: String,
    /// Why.
    pub reason: String,
}

/// What shows that keys were destroyed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// When.
    pub at: i64,
    /// Serial number of the token.
    pub token_serial: String,
    /// The keys, one by one.
    pub keys: Vec<DestroyedKey>,
    /// What `vmafdd`, which had used them, was answered when it tried to open something under them.
    pub service_answer: String,
}

/// One destroyed key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DestroyedKey {
    /// `CKA_ID`, hex.
    pub id: String,
    /// The token's answer when it was told to destroy it.
    pub destroyed: String,
    /// Objects with this id that it had afterwards.
    pub found_afterwards: u64,
    /// The token's answer when the key was to be used once more.
    pub later_use: String,
}

#[cfg(test)]
mod tests {
    use super::Entries;

    #[test]
    fn the_sums_hold_or_they_do_not() {
        let entries = Entries {
            before: 10,
            resealed: 6,
            deleted_old: 3,
            left: 1,
            created: 5,
            deleted_new: 2,
        };
        assert!(entries.add_up(10));
        assert!(!entries.add_up(11) && !entries.add_up(9));
        assert!(!Entries { left: 0, ..entries }.add_up(10));
        assert!(!Entries { resealed: u64::MAX, ..entries }.add_up(10));
        assert!(Entries::default().add_up(0));
    }
}
