//! All SQL of the directory, beside the rows it fills.

use super::TrustedRoot;
use crate::store::{Error, Row, Transaction};

/// The schema. A certificate is kept as PEM text, which is how it is asked for. Several may share
/// an identifier: a CA that got a new certificate for the key it has.
pub(super) const SCHEMA: &str = "CREATE TABLE trusted_root (
    position BIGINT PRIMARY KEY,
    id TEXT NOT NULL,
    subject TEXT NOT NULL,
    certificate TEXT NOT NULL UNIQUE,
    crl TEXT
)";

/// Every published certificate, in the order of publication.
pub(super) fn trusted_roots(tx: &mut Transaction<'_>) -> Result<Vec<TrustedRoot>, Error> {
    tx.query("SELECT id, subject, certificate, crl FROM trusted_root ORDER BY position", &[])?
        .iter()
        .map(read)
        .collect()
}

pub(super) fn trusted_root(
    tx: &mut Transaction<'_>,
    certificate: &str,
) -> Result<Option<TrustedRoot>, Error> {
    let sql = "SELECT id, subject, certificate, crl FROM trusted_root WHERE certificate = $1";
    tx.query(sql, &[certificate.into()])?.first().map(read).transpose()
}

pub(super) fn insert(tx: &mut Transaction<'_>, root: &TrustedRoot) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO trusted_root (position, id, subject, certificate, crl)
         VALUES ((SELECT COALESCE(MAX(position), 0) + 1 FROM trusted_root), $1, $2, $3, $4)",
        &[
            root.id.as_str().into(),
            root.subject.as_str().into(),
            root.certificate.as_str().into(),
            root.crl.as_deref().into(),
        ],
    )?;
    Ok(())
}

pub(super) fn replace_crl(
    tx: &mut Transaction<'_>,
    certificate: &str,
    crl: &str,
) -> Result<(), Error> {
    tx.execute(
        "UPDATE trusted_root SET crl = $1 WHERE certificate = $2",
        &[crl.into(), certificate.into()],
    )?;
    Ok(())
}

fn read(row: &Row) -> Result<TrustedRoot, Error> {
    Ok(TrustedRoot {
        id: row.text(0)?.to_owned(),
        subject: row.text(1)?.to_owned(),
        certificate: row.text(2)?.to_owned(),
        crl: if row.is_null(3)? { None } else { Some(row.text(3)?.to_owned()) },
    })
}
