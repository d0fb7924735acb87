//! How much there may be. Every local user may make stores, so without a bound any of them could
//! fill the disk. Administrators are bound by the number of stores alone.

use super::stores::OpenStore;
use super::{Error, records};
use crate::access::Caller;
use crate::store::Transaction;

/// The most stores, as in the original.
const STORES: i64 = 1024;
/// The most stores that a user can own who does not administer the appliance.
const STORES_OF_ONE: i64 = 32;
/// The most entries in a store to which such a user can add one.
const ENTRIES: i64 = 1024;
/// The most octets of PEM text and sealed keys in such a store, together with what is added.
const OCTETS: i64 = 8 * 1024 * 1024;
/// The most grants on a store to which such a user can add one.
const GRANTS: i64 = 256;

/// The most keys that wait for a certificate.
const PENDING: i64 = 256;
/// The most of them that a user can have who does not administer the appliance.
const PENDING_OF_ONE: i64 = 8;

/// Whether there is room for one more store of this owner.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewStoreOf {
    owner: u32,
    bounded: bool,
}

impl NewStoreOf {
    pub(super) fn caller(caller: &Caller) -> Self {
        Self { owner: caller.uid(), bounded: !caller.is_administrator() }
    }

    pub(super) fn check(self, tx: &mut Transaction<'_>) -> Result<(), Error> {
        let (all, own) = records::count_stores(tx, self.owner)?;
        if all >= STORES {
            return Err(Error::Limit(format!(
                "there are {all} stores, which is as many as there can be; delete some that \
                 nobody needs"
            )));
        }
        if self.bounded && own >= STORES_OF_ONE {
            return Err(Error::Limit(format!(
                "you own {own} stores, which is as many as one user can; delete one, or have an \
                 administrator make this one"
            )));
        }
        Ok(())
    }
}

/// Whether one more key of this maker may wait for its certificate.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewPendingOf {
    maker: u32,
    bounded: bool,
}

impl NewPendingOf {
    pub(super) const fn maker(maker: u32, bounded: bool) -> Self {
        Self { maker, bounded }
    }

    pub(super) fn check(self, tx: &mut Transaction<'_>) -> Result<(), Error> {
        let (all, own) = records::count_pending(tx, self.maker)?;
        if self.bounded && (own >= PENDING_OF_ONE || all >= PENDING) {
            return Err(Error::Limit(format!(
                "{own} keys of yours and {all} in all wait for their certificates, which is as many as may; \
                 complete them, or wait a quarter of an hour"
            )));
        }
        Ok(())
    }
}

/// Whether a caller may add to a store that is this full.
#[derive(Clone, Copy, Debug)]
pub(super) struct Additions {
    store: i64,
    bounded: bool,
}

impl Additions {
    pub(super) const fn to(store: &OpenStore<'_>) -> Self {
        Self { store: store.id, bounded: store.bounded }
    }

    pub(super) fn check_entry(self, tx: &mut Transaction<'_>, new: usize) -> Result<(), Error> {
        if !self.bounded {
            return Ok(());
        }
        let (entries, octets) = records::size_of_store(tx, self.store)?;
        let new = i64::try_from(new).unwrap_or(i64::MAX);
        if entries < ENTRIES && octets.saturating_add(new) <= OCTETS {
            return Ok(());
        }
        Err(Error::Limit(format!(
            "the store has {entries} entries with {octets} octets; only an administrator \
             can add more than {ENTRIES} entries or {OCTETS} octets. Delete what nobody \
             needs"
        )))
    }

    pub(super) fn check_grant(self, tx: &mut Transaction<'_>) -> Result<(), Error> {
        let grants = if self.bounded { records::count_grants(tx, self.store)? } else { 0 };
        if grants < GRANTS {
            return Ok(());
        }
        Err(Error::Limit(format!(
            "the store has {grants} grants; only an administrator can add more. Revoke what nobody \
             needs, or grant the right to EVERYONE"
        )))
    }
}
