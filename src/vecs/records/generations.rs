//! SQL of the registry of key generations.

use super::content;
use crate::base::UnixTime;
use crate::store::{Error, Row, Transaction};
use crate::vecs::generations::{GenerationRow, GenerationState};

/// The registry, from version 3 of the schema on. Exactly one row is active once there is one.
///
/// An appliance of a former version has one key, named in its configuration and in the head of its
/// check value (octets 8..40, docs/FORMATS.md); that key becomes the sealing key of generation 1,
/// which has no wrapping key. Every entry that was ever made counts as one use of it.
pub(in crate::vecs) const GENERATIONS: &str = "
CREATE TABLE key_generation (
    number BIGINT PRIMARY KEY,
    sealing_id BLOB NOT NULL UNIQUE,
    wrapping_id BLOB UNIQUE,
    state TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    retired_at BIGINT,
    destroyed_at BIGINT,
    seals BIGINT NOT NULL,
    check_value BLOB
);
CREATE UNIQUE INDEX one_active_generation ON key_generation (state) WHERE state = 'active';
INSERT INTO key_generation (number, sealing_id, state, created_at, seals, check_value)
    SELECT 1, SUBSTR(sealed, 9, 32), 'active',
           (SELECT COALESCE(MIN(at), 0) FROM journal),
           (SELECT COUNT(*) + 1 FROM journal WHERE act = 'entry.create'),
           sealed
    FROM wrapping_key_check WHERE id = 1;
DROP TABLE wrapping_key_check";

const COLUMNS: &str =
    "number, sealing_id, wrapping_id, state, created_at, retired_at, destroyed_at, seals";

fn read(row: &Row) -> Result<GenerationRow, Error> {
    let number = |at: usize| {
        let number = row.integer(at)?;
        u32::try_from(number).map_err(|_| content("the number of a key generation"))
    };
    let time = |at: usize| match row.is_null(at)? {
        true => Ok(None),
        false => row.integer(at).map(Some),
    };
    Ok(GenerationRow {
        number: number(0)?,
        sealing: key_id(row, 1)?,
        wrapping: match row.is_null(2)? {
            true => None,
            false => Some(key_id(row, 2)?),
        },
        state: GenerationState::from_word(row.text(3)?)?,
        created_at: row.integer(4)?,
        retired_at: time(5)?,
        destroyed_at: time(6)?,
        seals: u64::try_from(row.integer(7)?).map_err(|_| content("a number of uses"))?,
    })
}

fn key_id(row: &Row, at: usize) -> Result<hsm::KeyId, Error> {
    row.blob(at)?.try_into().map(hsm::KeyId).map_err(|_| content("the id of a sealing key"))
}

/// Every generation that ever was, the first one first.
pub(in crate::vecs) fn generations(tx: &mut Transaction<'_>) -> Result<Vec<GenerationRow>, Error> {
    tx.query(&format!("SELECT {COLUMNS} FROM key_generation ORDER BY number"), &[])?
        .iter()
        .map(read)
        .collect()
}

pub(in crate::vecs) fn generation(
    tx: &mut Transaction<'_>,
    number: u32,
) -> Result<Option<GenerationRow>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM key_generation WHERE number = $1");
    tx.query(&sql, &[i64::from(number).into()])?.first().map(read).transpose()
}

/// The generation under which new data is sealed.
pub(in crate::vecs) fn active_generation(
    tx: &mut Transaction<'_>,
) -> Result<Option<GenerationRow>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM key_generation WHERE state = 'active'");
    tx.query(&sql, &[])?.first().map(read).transpose()
}

/// Puts a generation on record, active and unused. The active one must have been retired before, in
/// the same transaction; two active ones are refused (`Error::Conflict`).
pub(in crate::vecs) fn insert_generation(
    tx: &mut Transaction<'_>,
    number: u32,
    sealing: hsm::KeyId,
    wrapping: Option<hsm::KeyId>,
    at: UnixTime,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO key_generation (number, sealing_id, wrapping_id, state, created_at, seals)
         VALUES ($1, $2, $3, 'active', $4, 0)",
        &[
            i64::from(number).into(),
            sealing.0.to_vec().into(),
            wrapping.map(|id| id.0.to_vec()).into(),
            at.into(),
        ],
    )?;
    Ok(())
}

/// From now on the generation opens what it sealed and seals nothing. Returns whether it was active.
pub(in crate::vecs) fn retire(
    tx: &mut Transaction<'_>,
    number: u32,
    at: UnixTime,
) -> Result<bool, Error> {
    tx.execute(
        "UPDATE key_generation SET state = 'retiring', retired_at = $1
         WHERE number = $2 AND state = 'active'",
        &[at.into(), i64::from(number).into()],
    )
    .map(|rows| rows == 1)
}

/// From now on the generation opens nothing. Returns whether it was retiring and no key is sealed
/// under it any more; otherwise nothing changed.
pub(in crate::vecs) fn mark_destroyed(
    tx: &mut Transaction<'_>,
    number: u32,
    at: UnixTime,
) -> Result<bool, Error> {
    if any_sealed_under(tx, number)? {
        return Ok(false);
    }
    tx.execute(
        "UPDATE key_generation SET state = 'destroyed', destroyed_at = $1
         WHERE number = $2 AND state = 'retiring'",
        &[at.into(), i64::from(number).into()],
    )
    .map(|rows| rows == 1)
}

/// Counts uses before they are made: `wanted` of them where there is room, else as many as there is
/// room for, but no fewer than `needed`. Returns how many were counted; 0 where there is no room.
pub(in crate::vecs) fn reserve_seals(
    tx: &mut Transaction<'_>,
    number: u32,
    needed: u64,
    wanted: u64,
    bound: u64,
) -> Result<u64, Error> {
    let Some(found) = generation(tx, number)? else { return Ok(0) };
    let room = bound.saturating_sub(found.seals);
    if room < needed {
        return Ok(0);
    }
    let counted = wanted.clamp(needed, room);
    let columns = |count: u64| i64::try_from(count).map_err(|_| content("a number of uses"));
    let changed = tx.execute(
        "UPDATE key_generation SET seals = seals + $1 WHERE number = $2 AND seals = $3",
        &[columns(counted)?.into(), i64::from(number).into(), columns(found.seals)?.into()],
    )?;
    match changed {
        1 => Ok(counted),
        _ => Err(content("a number of uses that changed meanwhile")),
    }
}

/// The check value of a generation, where one was sealed already.
pub(in crate::vecs) fn check_value(
    tx: &mut Transaction<'_>,
    number: u32,
) -> Result<Option<Vec<u8>>, Error> {
    tx.query(
        "SELECT check_value FROM key_generation WHERE number = $1 AND check_value IS NOT NULL",
        &[i64::from(number).into()],
    )?
    .first()
    .map(|row| row.blob(0).map(<[u8]>::to_vec))
    .transpose()
}

/// Keeps a check value, unless another thread has just kept one, or has destroyed the keys.
pub(in crate::vecs) fn insert_check_value(
    tx: &mut Transaction<'_>,
    number: u32,
    sealed: &[u8],
) -> Result<(), Error> {
    tx.execute(
        "UPDATE key_generation SET check_value = $1 WHERE number = $2 AND check_value IS NULL AND state <> 'destroyed'",
        &[sealed.into(), i64::from(number).into()],
    )?;
    Ok(())
}

/// Whether any entry has a sealed key, or any key waits for its certificate.
pub(in crate::vecs) fn any_sealed(tx: &mut Transaction<'_>) -> Result<bool, Error> {
    tx.query(
        "SELECT 1 FROM entry WHERE sealed_key IS NOT NULL
         UNION ALL SELECT 1 FROM pending_key WHERE sealed_key IS NOT NULL LIMIT 1",
        &[],
    )
    .map(|rows| !rows.is_empty())
}

/// Whether any key, of an entry or one that waits for its certificate, is sealed under this
/// generation: octets 4..8 of sealed data say which one it is (docs/FORMATS.md).
pub(in crate::vecs) fn any_sealed_under(
    tx: &mut Transaction<'_>,
    number: u32,
) -> Result<bool, Error> {
    tx.query(
        "SELECT 1 FROM entry WHERE sealed_key IS NOT NULL AND SUBSTR(sealed_key, 5, 4) = $1
         UNION ALL
         SELECT 1 FROM pending_key
         WHERE sealed_key IS NOT NULL AND SUBSTR(sealed_key, 5, 4) = $1
         LIMIT 1",
        &[number.to_be_bytes().to_vec().into()],
    )
    .map(|rows| !rows.is_empty())
}
