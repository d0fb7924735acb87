//! Stores: which there are, making one, and the doors through which one is opened.

use super::entries::{ReadableStore, WritableStore};
use super::grants::{OwnedStore, Right, Wanted, allowed};
use super::keys::{KeyAtWork, ReadableKey};
use super::limits::NewStoreOf;
use super::names::{Alias, StoreName};
use super::{Error, Principal, Vecs, records};
use crate::access::Caller;
use crate::base::{Actor, UnixTime};
use crate::journal::{self, Event, Outcome};
use crate::store::{self, Transaction};

/// Number of TRUSTED_ROOTS; the first three stores are made first and never deleted.
pub(super) const TRUSTED_ROOTS: i64 = 2;
/// Number of TRUSTED_ROOT_CRLS.
pub(super) const TRUSTED_ROOT_CRLS: i64 = 3;

/// The default stores in the order in which vCenter 8 lists them, and whether everyone may read.
const DEFAULT: [(&str, bool); 12] = [
    ("MACHINE_SSL_CERT", false),
    ("TRUSTED_ROOTS", true),
    ("TRUSTED_ROOT_CRLS", true),
    ("machine", false),
    ("vsphere-webclient", false),
    ("vpxd", false),
    ("vpxd-extension", false),
    ("hvc", false),
    ("data-encipherment", false),
    ("SMS", false),
    ("APPLMGMT_PASSWORD", false),
    ("wcp", false),
];

/// Whether a store is one of the three that cannot be deleted.
pub(super) const fn is_system(store: i64) -> bool {
    store >= 1 && store <= TRUSTED_ROOT_CRLS
}

impl Vecs {
    /// Names of all stores, in the order of creation. Every local user may know them.
    pub fn stores(&self) -> Result<Vec<StoreName>, Error> {
        let rows = self.store.read(records::stores)?;
        Ok(rows.into_iter().map(|row| row.name).collect())
    }

    /// Makes a store that belongs to the caller. Every local user may, as in the original.
    ///
    /// # Errors
    /// [`Error::Exists`] when a store has that name, in whatever case; [`Error::Limit`] when there
    /// are, or the caller owns, as many as there may be.
    pub fn create_store(&self, caller: &Caller, name: &StoreName) -> Result<(), Error> {
        let note = self.note(caller.actor(), "store.create", name.to_string());
        let (name, owner, room) = (name.clone(), caller.uid(), NewStoreOf::caller(caller));
        self.store.write(move |tx| {
            if let Some(found) = records::store_by_name(tx, &name)? {
                return Err(Error::Exists(format!(
                    "there is a store {} already; names are compared without regard to case",
                    found.name
                )));
            }
            room.check(tx)?;
            records::insert_store(tx, &name, owner)?;
            note.append(tx, Outcome::Done, serde_json::json!({"owner": owner}))?;
            Ok(())
        })
    }

    /// A store whose entries and certificates the caller may read.
    ///
    /// # Errors
    /// [`Error::NotFound`] and [`Error::Denied`], as for the other doors.
    pub fn readable(&self, caller: &Caller, name: &StoreName) -> Result<ReadableStore<'_>, Error> {
        self.enter(caller, name, None, Wanted::Right(Right::Read)).map(ReadableStore)
    }

    /// A store in which the caller may add and delete entries.
    pub fn writable(&self, caller: &Caller, name: &StoreName) -> Result<WritableStore<'_>, Error> {
        self.enter(caller, name, None, Wanted::Right(Right::Write)).map(WritableStore)
    }

    /// The private key of an entry, which the caller may read. The alias is named here so that a
    /// refusal in the journal says which key was asked for.
    pub fn readable_key(
        &self,
        caller: &Caller,
        name: &StoreName,
        alias: &Alias,
    ) -> Result<ReadableKey<'_>, Error> {
        self.enter(caller, name, Some(alias), Wanted::Right(Right::ReadKey))
            .map(|store| ReadableKey { store, alias: alias.clone() })
    }

    /// The private key of an entry, with which the caller may sign: whoever may read it.
    pub fn key_at_work(
        &self,
        caller: &Caller,
        name: &StoreName,
        alias: &Alias,
    ) -> Result<KeyAtWork<'_>, Error> {
        self.enter(caller, name, Some(alias), Wanted::Signature)
            .map(|store| KeyAtWork { store, alias: alias.clone() })
    }

    /// A store that the caller may manage: its owner or an administrator.
    pub fn owned(&self, caller: &Caller, name: &StoreName) -> Result<OwnedStore<'_>, Error> {
        self.enter(caller, name, None, Wanted::Ownership).map(OwnedStore)
    }

    fn enter(
        &self,
        caller: &Caller,
        name: &StoreName,
        alias: Option<&Alias>,
        wanted: Wanted,
    ) -> Result<OpenStore<'_>, Error> {
        let found = self.store.read(|tx| {
            let Some(row) = records::store_by_name(tx, name)? else {
                return Ok(None);
            };
            let granted = match wanted {
                Wanted::Right(right) => records::is_granted(tx, row.id, caller.uid(), right)?,
                Wanted::Signature => records::is_granted(tx, row.id, caller.uid(), Right::ReadKey)?,
                Wanted::Ownership => false,
            };
            Ok::<_, store::Error>(Some((row, granted)))
        })?;
        let (row, granted) = found.ok_or_else(|| no_store(name))?;
        if allowed(caller, row.owner, granted, wanted) {
            return Ok(OpenStore {
                vecs: self,
                id: row.id,
                name: row.name,
                actor: caller.actor(),
                uid: caller.uid(),
                bounded: !caller.is_administrator(),
            });
        }
        if let Some(act) = wanted.refused_act() {
            let reference = match alias {
                Some(alias) => format!("{}/{alias}", row.name),
                None => row.name.to_string(),
            };
            self.note(caller.actor(), act, reference).record(self, Outcome::Refused)?;
        }
        Err(Error::Denied(format!(
            "user {} may not {} store {}; {}",
            caller.name(),
            wanted.phrase(),
            row.name,
            wanted.way_out()
        )))
    }

    pub(super) fn make_default_stores(&self, owner: u32) -> Result<(), Error> {
        let note =
            self.note(Actor::Job("first start"), "store.create", "default stores".to_owned());
        self.store.write(move |tx| {
            if !records::is_new(tx)? {
                return Ok(());
            }
            for (name, for_everyone) in DEFAULT {
                let id = records::insert_store(tx, &StoreName::new(name)?, owner)?;
                if for_everyone {
                    records::insert_grant(tx, id, Principal::Everyone, Right::Read)?;
                }
            }
            note.append(tx, Outcome::Done, serde_json::json!({"owner": owner}))?;
            Ok(())
        })
    }

    pub(super) fn note(&self, actor: Actor, act: &'static str, reference: String) -> Note {
        Note::new(self.clock.now(), actor, act, reference)
    }
}

/// A store that was opened for somebody; what may be done with it is said by the type around it.
pub(super) struct OpenStore<'a> {
    pub(super) vecs: &'a Vecs,
    pub(super) id: i64,
    pub(super) name: StoreName,
    pub(super) actor: Actor,
    pub(super) uid: u32,
    /// Whether `limits.rs` applies to what the caller adds.
    pub(super) bounded: bool,
}

impl OpenStore<'_> {
    pub(super) fn note(&self, act: &'static str, reference: String) -> Note {
        self.vecs.note(self.actor.clone(), act, reference)
    }

    /// The refusal when the store was deleted after it was opened.
    pub(super) fn gone(&self) -> Error {
        no_store(&self.name)
    }
}

fn no_store(name: &StoreName) -> Error {
    Error::NotFound(format!(
        "there is no store {name}; `vecs-cli store list` shows those there are"
    ))
}

/// A record for the journal, prepared before the transaction it goes into.
#[derive(Clone)]
pub(super) struct Note {
    pub(super) at: UnixTime,
    actor: Actor,
    act: &'static str,
    reference: String,
}

impl Note {
    pub(super) const fn new(
        at: UnixTime,
        actor: Actor,
        act: &'static str,
        reference: String,
    ) -> Self {
        Self { at, actor, act, reference }
    }

    /// Appends it, as a part of a transaction.
    pub(super) fn append(
        &self,
        tx: &mut Transaction<'_>,
        outcome: Outcome,
        details: serde_json::Value,
    ) -> Result<(), store::Error> {
        journal::append(
            tx,
            &Event {
                at: self.at,
                actor: &self.actor,
                act: self.act,
                reference: &self.reference,
                outcome,
                details,
            },
        )
    }

    /// Writes it alone, durably.
    pub(super) fn record(self, vecs: &Vecs, outcome: Outcome) -> Result<(), Error> {
        vecs.store.write(move |tx| {
            self.append(tx, outcome, serde_json::json!({}))?;
            Ok(())
        })
    }
}
