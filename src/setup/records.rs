//! What `vmafdd`'s database says about its sealing keys, where the service cannot be asked.

use crate::store::{Error, Transaction};

/// A generation of sealing keys, as far as a token is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GenerationRecord {
    pub(super) number: u32,
    pub(super) sealing: hsm::KeyId,
    pub(super) wrapping: Option<hsm::KeyId>,
    /// `active`, `retiring` or `destroyed`.
    pub(super) state: String,
}

impl GenerationRecord {
    /// Whether its keys must be in the token.
    pub(super) fn is_in_use(&self) -> bool {
        self.state != "destroyed"
    }

    /// The keys; where there is no wrapping key the sealing key stands in its place.
    pub(super) fn keys(&self) -> hsm::KeyGeneration {
        hsm::KeyGeneration {
            number: self.number,
            sealing: self.sealing,
            wrapping: self.wrapping.unwrap_or(self.sealing),
        }
    }
}

/// Every generation that ever was, the first one first; none where a former version wrote the
/// database.
pub(super) fn generations(tx: &mut Transaction<'_>) -> Result<Vec<GenerationRecord>, Error> {
    let table = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'key_generation'";
    if tx.query(table, &[])?.is_empty() {
        return Ok(Vec::new());
    }
    let key_id = |octets: &[u8]| {
        octets
            .try_into()
            .map(hsm::KeyId)
            .map_err(|_| Error::Content("a CKA_ID has not 32 octets".to_owned()))
    };
    tx.query(
        "SELECT number, sealing_id, wrapping_id, state FROM key_generation ORDER BY number",
        &[],
    )?
    .iter()
    .map(|row| {
        Ok(GenerationRecord {
            number: u32::try_from(row.integer(0)?)
                .map_err(|_| Error::Content("a generation with an odd number".to_owned()))?,
            sealing: key_id(row.blob(1)?)?,
            wrapping: match row.is_null(2)? {
                true => None,
                false => Some(key_id(row.blob(2)?)?),
            },
            state: row.text(3)?.to_owned(),
        })
    })
    .collect()
}
