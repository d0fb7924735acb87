//! What a copy of `vmcad`'s database says about the keys that it needs.

use crate::store::{Error, Transaction};

/// Keys that may still have to sign something, the oldest first: those of retired CAs are left out.
pub(super) fn keys_in_use(tx: &mut Transaction<'_>) -> Result<Vec<hsm::KeyReference>, Error> {
    tx.query(
        "SELECT key_id, public_key FROM ca_keys
         WHERE NOT EXISTS (SELECT 1 FROM authorities WHERE authorities.key_id = ca_keys.key_id)
         OR EXISTS (SELECT 1 FROM authorities WHERE authorities.key_id = ca_keys.key_id
                    AND state NOT IN ('retired', 'abandoned'))
         ORDER BY created_at, key_id",
        &[],
    )?
    .iter()
    .map(|row| {
        let id = row
            .text(0)?
            .parse()
            .map_err(|_| Error::Content("a CKA_ID is not 64 hex digits".to_owned()))?;
        Ok(hsm::KeyReference { id, public_key: row.blob(1)?.to_vec() })
    })
    .collect()
}
