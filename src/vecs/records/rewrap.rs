//! SQL of a change of keys: how far it is, and what became of the entries meanwhile.

use super::{content, generation};
use crate::base::UnixTime;
use crate::store::{Error, Row, Transaction, Value};
use crate::vecs::generations::GenerationRow;
use crate::vecs::rewrap::{Damaged, Entries, Phase, RewrapRow};

/// One row for each change of keys; the one with the highest number is the present one, or the last.
/// Its counters go on until the next one begins, so that they can be compared with the entries that
/// are there at any moment.
pub(in crate::vecs) const REWRAP: &str = "
CREATE TABLE rewrap (
    id BIGINT PRIMARY KEY,
    from_generation BIGINT NOT NULL,
    to_generation BIGINT,
    phase TEXT NOT NULL,
    keep_old BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    entries_before BIGINT NOT NULL,
    resealed BIGINT NOT NULL,
    deleted_old BIGINT NOT NULL,
    created BIGINT NOT NULL,
    deleted_new BIGINT NOT NULL,
    complaint TEXT,
    evidence TEXT
);
CREATE TABLE rewrap_damaged (
    entry_id BIGINT PRIMARY KEY,
    store TEXT NOT NULL,
    alias TEXT NOT NULL,
    reason TEXT NOT NULL
)";

/// The present change of keys, or the last one.
pub(in crate::vecs) fn last_rewrap(tx: &mut Transaction<'_>) -> Result<Option<RewrapRow>, Error> {
    tx.query(
        "SELECT id, from_generation, to_generation, phase, keep_old, started_at, ended_at,
                entries_before, resealed, deleted_old, created, deleted_new, complaint, evidence
         FROM rewrap ORDER BY id DESC LIMIT 1",
        &[],
    )?
    .first()
    .map(|row| {
        let optional = |at: usize| match row.is_null(at)? {
            true => Ok::<_, Error>(None),
            false => row.text(at).map(|text| Some(text.to_owned())),
        };
        Ok(RewrapRow {
            id: row.integer(0)?,
            from: number(row, 1)?,
            to: if row.is_null(2)? { None } else { Some(number(row, 2)?) },
            phase: Phase::from_word(row.text(3)?)?,
            keep_old: row.boolean(4)?,
            started_at: row.integer(5)?,
            ended_at: if row.is_null(6)? { None } else { Some(row.integer(6)?) },
            entries: Entries {
                before: count(row, 7)?,
                resealed: count(row, 8)?,
                deleted_old: count(row, 9)?,
                created: count(row, 10)?,
                deleted_new: count(row, 11)?,
            },
            complaint: optional(12)?,
            evidence: optional(13)?,
        })
    })
    .transpose()
}

pub(in crate::vecs) fn insert_rewrap(
    tx: &mut Transaction<'_>,
    from: u32,
    keep_old: bool,
    at: UnixTime,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO rewrap (id, from_generation, phase, keep_old, started_at, entries_before,
                             resealed, deleted_old, created, deleted_new)
         VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM rewrap), $1, $2, $3, $4, 0, 0, 0, 0, 0)",
        &[i64::from(from).into(), Phase::MakingKeys.word().into(), keep_old.into(), at.into()],
    )?;
    Ok(())
}

/// The new keys have just taken over: everything that is sealed is under older ones.
pub(in crate::vecs) fn begin_resealing(
    tx: &mut Transaction<'_>,
    id: i64,
    to: u32,
) -> Result<(), Error> {
    tx.execute(
        "UPDATE rewrap SET to_generation = $1, phase = $2,
                entries_before = (SELECT COUNT(*) FROM entry WHERE sealed_key IS NOT NULL)
         WHERE id = $3",
        &[i64::from(to).into(), Phase::Resealing.word().into(), id.into()],
    )?;
    Ok(())
}

/// Counts anew from what is there: so many entries under older keys, and so many under the new ones.
pub(in crate::vecs) fn count_anew(
    tx: &mut Transaction<'_>,
    id: i64,
    left: u64,
    new: u64,
) -> Result<(), Error> {
    tx.execute(
        "UPDATE rewrap SET entries_before = $1, created = $2, resealed = 0, deleted_old = 0,
                deleted_new = 0
         WHERE id = $3",
        &[integer(left)?, integer(new)?, id.into()],
    )?;
    Ok(())
}

/// Goes to another phase. `ended_at` and `complaint` become what is given.
pub(in crate::vecs) fn set_phase(
    tx: &mut Transaction<'_>,
    id: i64,
    phase: Phase,
    ended_at: Option<UnixTime>,
    complaint: Option<&str>,
) -> Result<(), Error> {
    tx.execute(
        "UPDATE rewrap SET phase = $1, ended_at = $2, complaint = $3 WHERE id = $4",
        &[phase.word().into(), ended_at.into(), complaint.map(str::to_owned).into(), id.into()],
    )?;
    Ok(())
}

pub(in crate::vecs) fn set_keep_old(
    tx: &mut Transaction<'_>,
    id: i64,
    keep_old: bool,
) -> Result<(), Error> {
    tx.execute("UPDATE rewrap SET keep_old = $1 WHERE id = $2", &[keep_old.into(), id.into()])?;
    Ok(())
}

pub(in crate::vecs) fn set_evidence(
    tx: &mut Transaction<'_>,
    id: i64,
    evidence: Option<&str>,
) -> Result<(), Error> {
    let evidence = evidence.map_or(Value::Null, Value::from);
    tx.execute("UPDATE rewrap SET evidence = $1 WHERE id = $2", &[evidence, id.into()])?;
    Ok(())
}

/// Of a generation that is destroyed nothing is left to be opened.
pub(in crate::vecs) fn forget_check_value(
    tx: &mut Transaction<'_>,
    generation: u32,
) -> Result<(), Error> {
    tx.execute(
        "UPDATE key_generation SET check_value = NULL WHERE number = $1",
        &[i64::from(generation).into()],
    )?;
    Ok(())
}

pub(in crate::vecs) fn set_damaged(
    tx: &mut Transaction<'_>,
    damaged: &[Damaged],
) -> Result<(), Error> {
    tx.execute("DELETE FROM rewrap_damaged", &[])?;
    for one in damaged {
        tx.execute(
            "INSERT INTO rewrap_damaged (entry_id, store, alias, reason) VALUES ($1, $2, $3, $4)",
            &[
                one.entry.into(),
                one.store.as_str().into(),
                one.alias.as_str().into(),
                one.reason.as_str().into(),
            ],
        )?;
    }
    Ok(())
}

pub(in crate::vecs) fn damaged(tx: &mut Transaction<'_>) -> Result<Vec<Damaged>, Error> {
    tx.query("SELECT entry_id, store, alias, reason FROM rewrap_damaged ORDER BY entry_id", &[])?
        .iter()
        .map(|row| {
            Ok(Damaged {
                entry: row.integer(0)?,
                store: row.text(1)?.to_owned(),
                alias: row.text(2)?.to_owned(),
                reason: row.text(3)?.to_owned(),
            })
        })
        .collect()
}

/// An entry was created under the new keys.
pub(in crate::vecs) fn count_created(tx: &mut Transaction<'_>) -> Result<(), Error> {
    add(tx, "created", 1)
}

/// An entry was sealed anew.
pub(in crate::vecs) fn count_resealed(tx: &mut Transaction<'_>) -> Result<(), Error> {
    add(tx, "resealed", 1)
}

/// To be asked before entries of a store go: of one alias (folded), or all.
pub(in crate::vecs) fn count_deleted(
    tx: &mut Transaction<'_>,
    store: i64,
    alias: Option<&str>,
) -> Result<(), Error> {
    const ALL: &str =
        "SELECT id, sealed_key FROM entry WHERE store_id = $1 AND sealed_key IS NOT NULL";
    let rows = match alias {
        None => tx.query(ALL, &[store.into()])?,
        Some(alias) => {
            tx.query(&format!("{ALL} AND alias_folded = $2"), &[store.into(), alias.into()])?
        }
    };
    count_gone(tx, &rows)
}

/// The same for one entry that is known by its number.
pub(in crate::vecs) fn count_deleted_by_id(
    tx: &mut Transaction<'_>,
    entry: i64,
) -> Result<(), Error> {
    let rows = tx.query(
        "SELECT id, sealed_key FROM entry WHERE id = $1 AND sealed_key IS NOT NULL",
        &[entry.into()],
    )?;
    count_gone(tx, &rows)
}

fn count_gone(tx: &mut Transaction<'_>, rows: &[Row]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let Some(to) = last_rewrap(tx)?.and_then(|last| last.to) else { return Ok(()) };
    let to = generation(tx, to)?;
    let (mut old, mut new) = (0, 0);
    for row in rows {
        match is_under(row.blob(1).unwrap_or_default(), to.as_ref()) {
            true => new += 1,
            false => old += 1,
        }
        tx.execute("DELETE FROM rewrap_damaged WHERE entry_id = $1", &[row.integer(0)?.into()])?;
    }
    add(tx, "deleted_old", old)?;
    add(tx, "deleted_new", new)
}

/// Counts once the new keys have taken over; before that nothing is counted.
fn add(tx: &mut Transaction<'_>, column: &'static str, number: i64) -> Result<(), Error> {
    let sql = format!(
        "UPDATE rewrap SET {column} = {column} + $1
         WHERE id = (SELECT MAX(id) FROM rewrap) AND to_generation IS NOT NULL"
    );
    tx.execute(&sql, &[number.into()])?;
    Ok(())
}

/// Whether the header of sealed data names exactly these keys.
pub(in crate::vecs) fn is_under(octets: &[u8], keys: Option<&GenerationRow>) -> bool {
    keys.is_some_and(|keys| {
        hsm::Header::read(octets).is_some_and(|header| {
            header.generation == keys.number && header.sealing == keys.sealing
        })
    })
}

/// A row with a sealed key, as it lies there: what was damaged by hand must not stop the reading.
#[derive(Clone, Debug)]
pub(in crate::vecs) struct SealedRow {
    pub(in crate::vecs) entry: i64,
    pub(in crate::vecs) store: i64,
    pub(in crate::vecs) store_name: String,
    pub(in crate::vecs) alias: String,
    pub(in crate::vecs) id: Option<[u8; 16]>,
    pub(in crate::vecs) version: Option<i64>,
    pub(in crate::vecs) octets: Vec<u8>,
}

const SEALED: &str = "SELECT entry.id, entry.store_id, store.name, entry.alias, entry.sealed_id,
        entry.sealed_version, entry.sealed_key
    FROM entry JOIN store ON store.id = entry.store_id
    WHERE entry.sealed_key IS NOT NULL";

fn sealed(row: &Row) -> Result<SealedRow, Error> {
    Ok(SealedRow {
        entry: row.integer(0)?,
        store: row.integer(1)?,
        store_name: row.text(2).unwrap_or_default().to_owned(),
        alias: row.text(3).unwrap_or_default().to_owned(),
        id: row.blob(4).ok().and_then(|id| id.try_into().ok()),
        version: row.integer(5).ok(),
        octets: row.blob(6).unwrap_or_default().to_vec(),
    })
}

/// Some rows with sealed keys, in the order of their numbers, after one of them.
pub(in crate::vecs) fn sealed_rows(
    tx: &mut Transaction<'_>,
    after: i64,
    most: i64,
) -> Result<Vec<SealedRow>, Error> {
    tx.query(
        &format!("{SEALED} AND entry.id > $1 ORDER BY entry.id LIMIT $2"),
        &[after.into(), most.into()],
    )?
    .iter()
    .map(sealed)
    .collect()
}

pub(in crate::vecs) fn sealed_row(
    tx: &mut Transaction<'_>,
    entry: i64,
) -> Result<Option<SealedRow>, Error> {
    tx.query(&format!("{SEALED} AND entry.id = $1"), &[entry.into()])?
        .first()
        .map(sealed)
        .transpose()
}

/// Puts a key that was sealed anew in the place of the one that was read. Returns whether that one
/// was still there.
pub(in crate::vecs) fn replace_sealed(
    tx: &mut Transaction<'_>,
    entry: i64,
    (id, version): ([u8; 16], i64),
    octets: &[u8],
) -> Result<bool, Error> {
    tx.execute(
        "UPDATE entry SET sealed_version = sealed_version + 1, sealed_key = $1
         WHERE id = $2 AND sealed_id = $3 AND sealed_version = $4",
        &[octets.into(), entry.into(), id.to_vec().into(), version.into()],
    )
    .map(|rows| rows == 1)
}

fn number(row: &Row, at: usize) -> Result<u32, Error> {
    u32::try_from(row.integer(at)?).map_err(|_| content("the number of a key generation"))
}

fn count(row: &Row, at: usize) -> Result<u64, Error> {
    u64::try_from(row.integer(at)?).map_err(|_| content("a number of entries"))
}

fn integer(count: u64) -> Result<Value, Error> {
    i64::try_from(count).map(Value::from).map_err(|_| content("a number of entries"))
}
