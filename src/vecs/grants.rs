//! Who may do what with a store.
//!
//! Administrators and the store's owner may do everything. Everyone else needs a grant, made to
//! the user or to `EVERYONE`. Where the original gives private keys to every reader, reading keys
//! is a right of its own here, and neither right implies the other.

use super::limits::Additions;
use super::stores::OpenStore;
use super::{Error, records};
use crate::access::Caller;
use crate::journal::Outcome;
use crate::store;

/// A right on a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// List entries and read certificates.
    Read,
    /// Add and delete entries.
    Write,
    /// Read private keys and secrets.
    ReadKey,
}

impl Right {
    /// The word in the database and in the journal.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::ReadKey => "readkey",
        }
    }

    pub(super) fn from_word(word: &str) -> Result<Self, store::Error> {
        [Self::Read, Self::Write, Self::ReadKey]
            .into_iter()
            .find(|right| right.word() == word)
            .ok_or_else(|| store::Error::Content("an unknown right".to_owned()))
    }
}

/// Someone who can be granted a right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Principal {
    /// Every local user: the original's group `EVERYONE`.
    Everyone,
    /// The user with this id.
    User(u32),
}

impl Principal {
    /// The number in the database; no user has a negative id.
    pub(super) fn number(self) -> i64 {
        match self {
            Self::Everyone => -1,
            Self::User(uid) => i64::from(uid),
        }
    }

    pub(super) fn from_number(number: i64) -> Result<Self, store::Error> {
        if number == -1 {
            return Ok(Self::Everyone);
        }
        u32::try_from(number)
            .map(Self::User)
            .map_err(|_| store::Error::Content("a user id out of range".to_owned()))
    }
}

/// Owner and grants of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// User id of the owner.
    pub owner: u32,
    /// Rights by principal; principals and rights in the order in which they were granted.
    pub grants: Vec<(Principal, Vec<Right>)>,
}

/// What a door of the room asks for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    /// One of the rights that can be granted.
    Right(Right),
    /// To sign with a private key. It comes with the right to read it: who has the key can sign.
    Signature,
    /// To manage the store; cannot be granted.
    Ownership,
}

impl Wanted {
    /// What is being done, for a refusal.
    pub(super) const fn phrase(self) -> &'static str {
        match self {
            Self::Right(Right::Read) => "read",
            Self::Right(Right::Write) => "change entries of",
            Self::Right(Right::ReadKey) => "read private keys from",
            Self::Signature => "sign with private keys of",
            Self::Ownership => "delete or see and change the permissions of",
        }
    }

    /// How the way in can be had, for a refusal.
    pub(super) const fn way_out(self) -> &'static str {
        match self {
            Self::Signature => "ask its owner or an administrator to grant the right readkey",
            Self::Right(_) => "ask its owner or an administrator to grant the right",
            Self::Ownership => "only its owner and administrators can",
        }
    }

    /// The act in the journal when it is refused; reading what is public in nature leaves none.
    pub(super) const fn refused_act(self) -> Option<&'static str> {
        match self {
            Self::Right(Right::Read) => None,
            Self::Right(Right::Write) => Some("entry.change"),
            Self::Right(Right::ReadKey) => Some("entry.read-key"),
            Self::Signature => Some("entry.sign"),
            Self::Ownership => Some("store.manage"),
        }
    }
}

/// The rule of this file.
pub(super) fn allowed(caller: &Caller, owner: u32, granted: bool, wanted: Wanted) -> bool {
    caller.is_administrator()
        || caller.uid() == owner
        || match wanted {
            Wanted::Right(_) | Wanted::Signature => granted,
            Wanted::Ownership => false,
        }
}

/// A store whose owner, or an administrator, is asking.
pub struct OwnedStore<'a>(pub(super) OpenStore<'a>);

impl OwnedStore<'_> {
    /// Owner and grants.
    pub fn permissions(&self) -> Result<Permissions, Error> {
        let id = self.0.id;
        self.0.vecs.store.read(move |tx| {
            Ok(Permissions {
                owner: records::store_by_id(tx, id)?.ok_or_else(|| self.0.gone())?.owner,
                grants: records::grants(tx, id)?,
            })
        })
    }

    /// Grants a right or takes it away. What is so already stays so, without a record.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the store has been deleted meanwhile; [`Error::Limit`] when it has
    /// as many grants as this caller can make.
    pub fn change(&self, principal: Principal, right: Right, grant: bool) -> Result<(), Error> {
        let (id, gone, room) = (self.0.id, self.0.gone(), Additions::to(&self.0));
        let note = self.0.note("store.permission", self.0.name.to_string());
        self.0.vecs.store.write(move |tx| {
            if records::store_by_id(tx, id)?.is_none() {
                return Err(gone);
            }
            let changed = if grant {
                room.check_grant(tx)?;
                records::insert_grant(tx, id, principal, right)?
            } else {
                records::delete_grant(tx, id, principal, right)?
            };
            if changed {
                let user = match principal {
                    Principal::Everyone => serde_json::json!("EVERYONE"),
                    Principal::User(uid) => serde_json::json!(uid),
                };
                note.append(
                    tx,
                    Outcome::Done,
                    serde_json::json!({"user": user, "right": right.word(), "granted": grant}),
                )?;
            }
            Ok(())
        })
    }

    /// Deletes the store with everything in it.
    ///
    /// # Errors
    /// [`Error::Denied`] for the three stores of the system, whoever asks.
    pub fn delete(self) -> Result<(), Error> {
        let (id, gone) = (self.0.id, self.0.gone());
        let note = self.0.note("store.delete", self.0.name.to_string());
        if super::stores::is_system(id) {
            let refusal = Error::Denied(format!(
                "store {} belongs to the system and cannot be deleted; delete its entries instead",
                self.0.name
            ));
            self.0.vecs.store.write(move |tx| {
                note.append(tx, Outcome::Refused, serde_json::json!({}))?;
                Ok::<_, Error>(())
            })?;
            return Err(refusal);
        }
        let actor = self.0.actor.clone();
        self.0.vecs.store.write(move |tx| {
            if records::store_by_id(tx, id)?.is_none() {
                return Err(gone);
            }
            super::pending::end_all_of(tx, id, note.at, &actor)?;
            let entries = records::delete_store(tx, id)?;
            note.append(tx, Outcome::Done, serde_json::json!({"entries": entries}))?;
            Ok(())
        })
    }
}
