//! All SQL of VECS, beside the rows it fills.
//!
//! Names are compared in a folded column, because a collation without case is not the same thing
//! in every database. Parameters are numbered in the order of their first use.

mod generations;
mod pending;
mod rewrap;

use super::entries::{Entry, EntryKind};
use super::envelope::Sealed;
use super::grants::{Principal, Right};
use super::names::{Alias, StoreName};
use crate::base::UnixTime;
use crate::store::{Error, Row, Transaction};

pub(super) use generations::{
    GENERATIONS, active_generation, any_sealed, any_sealed_under, check_value, generation,
    generations, insert_check_value, insert_generation, mark_destroyed, reserve_seals, retire,
};
pub(super) use rewrap::{
    REWRAP, SealedRow, begin_resealing, count_anew, count_resealed, damaged, forget_check_value,
    insert_rewrap, is_under, last_rewrap, replace_sealed, sealed_row, sealed_rows, set_damaged,
    set_evidence, set_keep_old, set_phase,
};
use rewrap::{count_created, count_deleted, count_deleted_by_id};

pub(super) use pending::{
    PENDING, PENDING_VERSION, PendingRow, count_pending, delete_pending, expired_pending,
    insert_pending, pending, pending_of_store, pending_under_others, replace_pending,
    set_pending_key,
};

/// The schema. A store's number is never given out again: what was opened by number before the
/// store was deleted must not reach another store afterwards.
pub(super) const SCHEMA: &str = "
CREATE TABLE store (
    id BIGINT PRIMARY KEY,
    name TEXT NOT NULL,
    name_folded TEXT NOT NULL UNIQUE,
    owner BIGINT NOT NULL
);
CREATE TABLE last_store (id BIGINT NOT NULL);
INSERT INTO last_store (id) VALUES (0);
CREATE TABLE store_grant (
    id BIGINT PRIMARY KEY,
    store_id BIGINT NOT NULL REFERENCES store (id),
    principal BIGINT NOT NULL,
    permission TEXT NOT NULL,
    UNIQUE (store_id, principal, permission)
);
CREATE TABLE entry (
    id BIGINT PRIMARY KEY,
    store_id BIGINT NOT NULL REFERENCES store (id),
    alias TEXT NOT NULL,
    alias_folded TEXT NOT NULL,
    kind BIGINT NOT NULL,
    pem TEXT NOT NULL,
    auto_refresh BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    sealed_id BLOB UNIQUE,
    sealed_version BIGINT,
    sealed_key BLOB,
    UNIQUE (store_id, alias_folded)
);
CREATE TABLE wrapping_key_check (
    id BIGINT PRIMARY KEY,
    sealed BLOB NOT NULL
)";

/// A row of `store`.
#[derive(Debug)]
pub(super) struct StoreRow {
    pub(super) id: i64,
    pub(super) name: StoreName,
    pub(super) owner: u32,
}

impl StoreRow {
    fn read(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.integer(0)?,
            name: StoreName::new(row.text(1)?).map_err(|_| content("a store name"))?,
            owner: u32::try_from(row.integer(2)?).map_err(|_| content("an owner"))?,
        })
    }
}

/// Every store, in the order of creation.
pub(super) fn stores(tx: &mut Transaction<'_>) -> Result<Vec<StoreRow>, Error> {
    tx.query("SELECT id, name, owner FROM store ORDER BY id", &[])?
        .iter()
        .map(StoreRow::read)
        .collect()
}

pub(super) fn store_by_name(
    tx: &mut Transaction<'_>,
    name: &StoreName,
) -> Result<Option<StoreRow>, Error> {
    tx.query("SELECT id, name, owner FROM store WHERE name_folded = $1", &[name.folded().into()])?
        .first()
        .map(StoreRow::read)
        .transpose()
}

pub(super) fn store_by_id(tx: &mut Transaction<'_>, id: i64) -> Result<Option<StoreRow>, Error> {
    tx.query("SELECT id, name, owner FROM store WHERE id = $1", &[id.into()])?
        .first()
        .map(StoreRow::read)
        .transpose()
}

/// Whether no store was ever made.
pub(super) fn is_new(tx: &mut Transaction<'_>) -> Result<bool, Error> {
    Ok(tx.query("SELECT id FROM last_store WHERE id = 0", &[])?.len() == 1)
}

/// Makes a store and returns its number.
pub(super) fn insert_store(
    tx: &mut Transaction<'_>,
    name: &StoreName,
    owner: u32,
) -> Result<i64, Error> {
    tx.execute("UPDATE last_store SET id = id + 1", &[])?;
    tx.execute(
        "INSERT INTO store (id, name, name_folded, owner)
         VALUES ((SELECT id FROM last_store), $1, $2, $3)",
        &[name.as_str().into(), name.folded().into(), i64::from(owner).into()],
    )?;
    tx.query("SELECT id FROM last_store", &[])?
        .first()
        .ok_or_else(|| content("no last store"))?
        .integer(0)
}

/// Number of all stores, and of those that a user owns.
pub(super) fn count_stores(tx: &mut Transaction<'_>, owner: u32) -> Result<(i64, i64), Error> {
    let counts = tx.query(
        "SELECT COUNT(*), COUNT(CASE WHEN owner = $1 THEN 1 END) FROM store",
        &[i64::from(owner).into()],
    )?;
    let row = counts.first().ok_or_else(|| content("no count"))?;
    Ok((row.integer(0)?, row.integer(1)?))
}

/// Number of entries of a store, and octets of their PEM text and sealed keys.
pub(super) fn size_of_store(tx: &mut Transaction<'_>, store: i64) -> Result<(i64, i64), Error> {
    let sums = tx.query(
        "SELECT COUNT(*), COALESCE(SUM(LENGTH(pem) + COALESCE(LENGTH(sealed_key), 0)), 0)
         FROM entry WHERE store_id = $1",
        &[store.into()],
    )?;
    let row = sums.first().ok_or_else(|| content("no count"))?;
    Ok((row.integer(0)?, row.integer(1)?))
}

/// Number of grants on a store.
pub(super) fn count_grants(tx: &mut Transaction<'_>, store: i64) -> Result<i64, Error> {
    tx.query("SELECT COUNT(*) FROM store_grant WHERE store_id = $1", &[store.into()])?
        .first()
        .ok_or_else(|| content("no count"))?
        .integer(0)
}

/// Deletes a store with its entries and grants; returns how many entries went with it.
pub(super) fn delete_store(tx: &mut Transaction<'_>, id: i64) -> Result<u64, Error> {
    count_deleted(tx, id, None)?;
    let entries = tx.execute("DELETE FROM entry WHERE store_id = $1", &[id.into()])?;
    tx.execute("DELETE FROM store_grant WHERE store_id = $1", &[id.into()])?;
    tx.execute("DELETE FROM store WHERE id = $1", &[id.into()])?;
    Ok(entries)
}

/// Whether the user holds the right by a grant of its own or one to everyone.
pub(super) fn is_granted(
    tx: &mut Transaction<'_>,
    store: i64,
    uid: u32,
    right: Right,
) -> Result<bool, Error> {
    Ok(!tx
        .query(
            "SELECT id FROM store_grant
             WHERE store_id = $1 AND permission = $2 AND principal IN ($3, $4)",
            &[
                store.into(),
                right.word().into(),
                Principal::User(uid).number().into(),
                Principal::Everyone.number().into(),
            ],
        )?
        .is_empty())
}

/// Grants of a store by principal, in the order in which they were made.
pub(super) fn grants(
    tx: &mut Transaction<'_>,
    store: i64,
) -> Result<Vec<(Principal, Vec<Right>)>, Error> {
    let mut grants: Vec<(Principal, Vec<Right>)> = Vec::new();
    for row in tx.query(
        "SELECT principal, permission FROM store_grant WHERE store_id = $1 ORDER BY id",
        &[store.into()],
    )? {
        let principal = Principal::from_number(row.integer(0)?)?;
        let right = Right::from_word(row.text(1)?)?;
        match grants.iter_mut().find(|(known, _)| *known == principal) {
            Some((_, rights)) => rights.push(right),
            None => grants.push((principal, vec![right])),
        }
    }
    Ok(grants)
}

/// Returns whether anything changed.
pub(super) fn insert_grant(
    tx: &mut Transaction<'_>,
    store: i64,
    principal: Principal,
    right: Right,
) -> Result<bool, Error> {
    tx.execute(
        "INSERT INTO store_grant (id, store_id, principal, permission)
         VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM store_grant), $1, $2, $3)
         ON CONFLICT (store_id, principal, permission) DO NOTHING",
        &[store.into(), principal.number().into(), right.word().into()],
    )
    .map(|rows| rows > 0)
}

/// Returns whether anything changed.
pub(super) fn delete_grant(
    tx: &mut Transaction<'_>,
    store: i64,
    principal: Principal,
    right: Right,
) -> Result<bool, Error> {
    tx.execute(
        "DELETE FROM store_grant WHERE store_id = $1 AND principal = $2 AND permission = $3",
        &[store.into(), principal.number().into(), right.word().into()],
    )
    .map(|rows| rows > 0)
}

/// What a new row of `entry` holds.
#[derive(Debug)]
pub(super) struct NewRow<'a> {
    pub(super) store: i64,
    pub(super) alias: &'a Alias,
    pub(super) kind: EntryKind,
    pub(super) pem: &'a str,
    /// Whether the refresh of trusted roots may delete it again.
    pub(super) auto_refresh: bool,
    pub(super) created_at: UnixTime,
    pub(super) sealed: Option<&'a Sealed>,
}

/// What became of a new row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Inserted {
    /// It is there.
    Yes,
    /// It is not, because its key was sealed under keys that are not active any more: seal it again.
    Superseded,
}

/// Nothing comes to lie under keys that retire, or they could never be destroyed.
pub(super) fn insert_entry(tx: &mut Transaction<'_>, new: &NewRow<'_>) -> Result<Inserted, Error> {
    if let Some(sealed) = new.sealed {
        if is_superseded(tx, &sealed.octets)? {
            return Ok(Inserted::Superseded);
        }
        count_created(tx)?;
    }
    tx.execute(
        "INSERT INTO entry (id, store_id, alias, alias_folded, kind, pem, auto_refresh, created_at,
                            sealed_id, sealed_version, sealed_key)
         VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM entry),
                 $1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            new.store.into(),
            new.alias.as_str().into(),
            new.alias.folded().into(),
            new.kind.number().into(),
            new.pem.into(),
            new.auto_refresh.into(),
            new.created_at.into(),
            new.sealed.map(|sealed| sealed.id.to_vec()).into(),
            new.sealed.map(|sealed| sealed.version).into(),
            new.sealed.map(|sealed| sealed.octets.clone()).into(),
        ],
    )?;
    Ok(Inserted::Yes)
}

/// Whether sealed data names a generation that is not the active one.
pub(super) fn is_superseded(tx: &mut Transaction<'_>, octets: &[u8]) -> Result<bool, Error> {
    let active = active_generation(tx)?;
    let header = hsm::Header::read(octets);
    Ok(active.zip(header).is_some_and(|(active, header)| header.generation != active.number))
}

/// Every entry of a store, in the order of insertion.
pub(super) fn entries(tx: &mut Transaction<'_>, store: i64) -> Result<Vec<Entry>, Error> {
    tx.query("SELECT alias, kind, pem FROM entry WHERE store_id = $1 ORDER BY id", &[store.into()])?
        .iter()
        .map(read_entry)
        .collect()
}

pub(super) fn entry(
    tx: &mut Transaction<'_>,
    store: i64,
    alias: &Alias,
) -> Result<Option<Entry>, Error> {
    tx.query(
        "SELECT alias, kind, pem FROM entry WHERE store_id = $1 AND alias_folded = $2",
        &[store.into(), alias.folded().into()],
    )?
    .first()
    .map(read_entry)
    .transpose()
}

fn read_entry(row: &Row) -> Result<Entry, Error> {
    Ok(Entry {
        alias: Alias::new(row.text(0)?).map_err(|_| content("an alias"))?,
        kind: EntryKind::from_number(row.integer(1)?)?,
        pem: row.text(2)?.to_owned(),
    })
}

/// The sealed key of an entry, where it has one.
pub(super) fn sealed_key(
    tx: &mut Transaction<'_>,
    store: i64,
    alias: &Alias,
) -> Result<Option<Sealed>, Error> {
    tx.query(
        "SELECT sealed_id, sealed_version, sealed_key FROM entry
         WHERE store_id = $1 AND alias_folded = $2 AND sealed_key IS NOT NULL",
        &[store.into(), alias.folded().into()],
    )?
    .first()
    .map(|row| {
        Ok(Sealed {
            id: row.blob(0)?.try_into().map_err(|_| content("the number of a sealed key"))?,
            version: row.integer(1)?,
            octets: row.blob(2)?.to_vec(),
        })
    })
    .transpose()
}

/// Returns whether there was such an entry.
pub(super) fn delete_entry(
    tx: &mut Transaction<'_>,
    store: i64,
    alias: &Alias,
) -> Result<bool, Error> {
    count_deleted(tx, store, Some(&alias.folded()))?;
    tx.execute(
        "DELETE FROM entry WHERE store_id = $1 AND alias_folded = $2",
        &[store.into(), alias.folded().into()],
    )
    .map(|rows| rows > 0)
}

/// An entry as the refresh of trusted roots sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Present {
    pub(super) id: i64,
    pub(super) alias_folded: String,
    pub(super) auto_refresh: bool,
}

pub(super) fn present(tx: &mut Transaction<'_>, store: i64) -> Result<Vec<Present>, Error> {
    tx.query(
        "SELECT id, alias_folded, auto_refresh FROM entry WHERE store_id = $1 ORDER BY id",
        &[store.into()],
    )?
    .iter()
    .map(|row| {
        Ok(Present {
            id: row.integer(0)?,
            alias_folded: row.text(1)?.to_owned(),
            auto_refresh: row.boolean(2)?,
        })
    })
    .collect()
}

pub(super) fn set_auto_refresh(tx: &mut Transaction<'_>, entry: i64) -> Result<(), Error> {
    tx.execute("UPDATE entry SET auto_refresh = 1 WHERE id = $1", &[entry.into()])?;
    Ok(())
}

pub(super) fn delete_by_id(tx: &mut Transaction<'_>, entry: i64) -> Result<(), Error> {
    count_deleted_by_id(tx, entry)?;
    tx.execute("DELETE FROM entry WHERE id = $1", &[entry.into()])?;
    Ok(())
}

fn content(what: &str) -> Error {
    Error::Content(format!("{what} that cannot be"))
}

/// Acts, references and outcomes in the journal, for the room's tests.
#[cfg(test)]
pub(super) fn journalled(tx: &mut Transaction<'_>) -> Result<Vec<(String, String, String)>, Error> {
    tx.query("SELECT act, reference, outcome FROM journal ORDER BY sequence", &[])?
        .iter()
        .map(|row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned(), row.text(2)?.to_owned())))
        .collect()
}
