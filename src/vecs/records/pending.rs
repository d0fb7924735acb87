//! SQL of keys that were made in the token and wait for their certificate.

use super::{content, is_under};
use crate::base::UnixTime;
use crate::store::{Error, Row, Transaction};
use crate::vecs::envelope::Sealed;
use crate::vecs::generations::GenerationRow;
use crate::vecs::names::{Alias, StoreName};

/// Keys without a certificate, from version 4 of the schema on. A row is there before its key is: one that
/// never gets a key ends as one that never gets a certificate does.
pub(in crate::vecs) const PENDING: &str = "
CREATE TABLE pending_key (
    id BIGINT PRIMARY KEY,
    store_id BIGINT NOT NULL REFERENCES store (id),
    alias TEXT NOT NULL,
    maker BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    sealed_id BLOB NOT NULL UNIQUE,
    sealed_key BLOB,
    public_key BLOB
)";

/// From version 6 of the schema on a key that waits is sealed anew like that of an entry.
pub(in crate::vecs) const PENDING_VERSION: &str =
    "ALTER TABLE pending_key ADD COLUMN sealed_version BIGINT NOT NULL DEFAULT 1";

/// A row of `pending_key`.
#[derive(Clone, Debug)]
pub(in crate::vecs) struct PendingRow {
    /// Number of the store, and its name.
    pub(in crate::vecs) store: (i64, StoreName),
    /// Alias of the entry to be.
    pub(in crate::vecs) alias: Alias,
    /// User id of who had it made.
    pub(in crate::vecs) maker: u32,
    /// From when on it can no longer be completed.
    pub(in crate::vecs) expires_at: UnixTime,
    /// Number of the sealed key.
    pub(in crate::vecs) number: [u8; 16],
    /// The key and its public half (SubjectPublicKeyInfo, DER), once it is made.
    pub(in crate::vecs) key: Option<(Sealed, Vec<u8>)>,
}

const SELECT: &str =
    "SELECT store_id, store.name, alias, maker, expires_at, sealed_id, sealed_key, public_key,
            sealed_version
     FROM pending_key JOIN store ON store.id = store_id";

fn read(row: &Row) -> Result<PendingRow, Error> {
    let number = row.blob(5)?.try_into().map_err(|_| content("the number of a sealed key"))?;
    Ok(PendingRow {
        store: (
            row.integer(0)?,
            StoreName::new(row.text(1)?).map_err(|_| content("a store name"))?,
        ),
        alias: Alias::new(row.text(2)?).map_err(|_| content("an alias"))?,
        maker: u32::try_from(row.integer(3)?).map_err(|_| content("a maker"))?,
        expires_at: row.integer(4)?,
        number,
        key: match row.is_null(6)? {
            true => None,
            false => Some((
                Sealed { id: number, version: row.integer(8)?, octets: row.blob(6)?.to_vec() },
                row.blob(7)?.to_vec(),
            )),
        },
    })
}

/// Adds a row without a key.
pub(in crate::vecs) fn insert_pending(
    tx: &mut Transaction<'_>,
    new: &PendingRow,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO pending_key (id, store_id, alias, maker, expires_at, sealed_id)
         VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM pending_key), $1, $2, $3, $4, $5)",
        &[
            new.store.0.into(),
            new.alias.as_str().into(),
            i64::from(new.maker).into(),
            new.expires_at.into(),
            new.number.to_vec().into(),
        ],
    )?;
    Ok(())
}

/// Puts the key into its row; returns whether the row is still there and had none.
pub(in crate::vecs) fn set_pending_key(
    tx: &mut Transaction<'_>,
    sealed: &Sealed,
    public_key: &[u8],
) -> Result<bool, Error> {
    tx.execute(
        "UPDATE pending_key SET sealed_key = $1, public_key = $2
         WHERE sealed_id = $3 AND sealed_key IS NULL",
        &[sealed.octets.clone().into(), public_key.into(), sealed.id.to_vec().into()],
    )
    .map(|rows| rows > 0)
}

/// Every row whose key is not sealed under exactly these keys.
pub(in crate::vecs) fn pending_under_others(
    tx: &mut Transaction<'_>,
    keys: Option<&GenerationRow>,
) -> Result<Vec<PendingRow>, Error> {
    let mut rows = tx
        .query(&format!("{SELECT} WHERE sealed_key IS NOT NULL ORDER BY pending_key.id"), &[])?
        .iter()
        .map(read)
        .collect::<Result<Vec<_>, _>>()?;
    rows.retain(|row| row.key.as_ref().is_some_and(|(sealed, _)| !is_under(&sealed.octets, keys)));
    Ok(rows)
}

/// Puts a key that was sealed anew in the place of the one that was read. Returns whether that one
/// was still there.
pub(in crate::vecs) fn replace_pending(
    tx: &mut Transaction<'_>,
    read: &Sealed,
    octets: &[u8],
) -> Result<bool, Error> {
    tx.execute(
        "UPDATE pending_key SET sealed_version = sealed_version + 1, sealed_key = $1
         WHERE sealed_id = $2 AND sealed_version = $3",
        &[octets.into(), read.id.to_vec().into(), read.version.into()],
    )
    .map(|rows| rows == 1)
}

/// Number of all rows, and of those that a user had made.
pub(in crate::vecs) fn count_pending(
    tx: &mut Transaction<'_>,
    maker: u32,
) -> Result<(i64, i64), Error> {
    let counts = tx.query(
        "SELECT COUNT(*), COUNT(CASE WHEN maker = $1 THEN 1 END) FROM pending_key",
        &[i64::from(maker).into()],
    )?;
    let row = counts.first().ok_or_else(|| content("no count"))?;
    Ok((row.integer(0)?, row.integer(1)?))
}

/// One row.
pub(in crate::vecs) fn pending(
    tx: &mut Transaction<'_>,
    number: &[u8; 16],
) -> Result<Option<PendingRow>, Error> {
    tx.query(&format!("{SELECT} WHERE sealed_id = $1"), &[number.to_vec().into()])?
        .first()
        .map(read)
        .transpose()
}

/// Every row whose time is over.
pub(in crate::vecs) fn expired_pending(
    tx: &mut Transaction<'_>,
    now: UnixTime,
) -> Result<Vec<PendingRow>, Error> {
    tx.query(&format!("{SELECT} WHERE expires_at <= $1 ORDER BY pending_key.id"), &[now.into()])?
        .iter()
        .map(read)
        .collect()
}

/// Every row of a store.
pub(in crate::vecs) fn pending_of_store(
    tx: &mut Transaction<'_>,
    store: i64,
) -> Result<Vec<PendingRow>, Error> {
    tx.query(&format!("{SELECT} WHERE store_id = $1 ORDER BY pending_key.id"), &[store.into()])?
        .iter()
        .map(read)
        .collect()
}

/// Returns whether there was such a row.
pub(in crate::vecs) fn delete_pending(
    tx: &mut Transaction<'_>,
    number: &[u8; 16],
) -> Result<bool, Error> {
    tx.execute("DELETE FROM pending_key WHERE sealed_id = $1", &[number.to_vec().into()])
        .map(|rows| rows > 0)
}
