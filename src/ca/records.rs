//! What the CA writes down: keys, authorities and their chains, drafts, certificates, revocation
//! lists. All SQL of the room, in the subset that SQLite and PostgreSQL share.

use super::authority_state::AuthorityState;
use super::hex::hex;
use crate::base::{KeyAlgorithm, UnixTime};
use crate::store::{Error, Row, Transaction, Value};
use crate::x509::{Certificate, Crl, PublicKey};

/// Schema of `vmcad`, one step an element; only ever appended to.
pub const MIGRATIONS: &[&str] =
    &[crate::journal::MIGRATION, SCHEMA, crate::journal::OPEN_INTENTS, CERTIFICATES_BY_DRAFT];

// A draft holds the octets that the token was asked to sign; its serial number and its list number
// are unique over all authorities, so that no two signatures can claim the same one. A partial index is what
// makes "one active CA" a fact instead of an intention; another one keeps leaves out of the index of list numbers
// (former versions had them in it, as so many nulls).
const SCHEMA: &str = "
CREATE TABLE ca_keys (
    key_id TEXT PRIMARY KEY,
    public_key BYTEA NOT NULL UNIQUE,
    label TEXT NOT NULL,
    imported BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE TABLE authorities (
    id BIGINT PRIMARY KEY,
    state TEXT NOT NULL,
    key_id TEXT NOT NULL REFERENCES ca_keys (key_id),
    installed_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX one_active_authority ON authorities (state) WHERE state = 'active';
CREATE TABLE authority_certificates (
    authority BIGINT NOT NULL REFERENCES authorities (id),
    position BIGINT NOT NULL,
    certificate BYTEA NOT NULL,
    PRIMARY KEY (authority, position)
);
CREATE TABLE drafts (
    id BIGINT PRIMARY KEY,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    key_id TEXT NOT NULL REFERENCES ca_keys (key_id),
    authority BIGINT REFERENCES authorities (id),
    serial TEXT UNIQUE,
    crl_number BIGINT,
    tbs BYTEA NOT NULL,
    signature_algorithm BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX one_crl_number ON drafts (crl_number) WHERE crl_number IS NOT NULL;
CREATE TABLE certificates (
    serial TEXT PRIMARY KEY,
    draft BIGINT NOT NULL UNIQUE REFERENCES drafts (id),
    authority BIGINT NOT NULL REFERENCES authorities (id),
    subject TEXT NOT NULL,
    not_before BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    certificate BYTEA NOT NULL,
    issued_at BIGINT NOT NULL
);
CREATE TABLE crls (
    number BIGINT PRIMARY KEY,
    draft BIGINT NOT NULL UNIQUE REFERENCES drafts (id),
    authority BIGINT NOT NULL REFERENCES authorities (id),
    this_update BIGINT NOT NULL,
    next_update BIGINT NOT NULL,
    crl BYTEA NOT NULL
);
CREATE INDEX crls_of_authority ON crls (authority, number)";

// Serial numbers are random, so an index of them costs a page of its own for every certificate: read, written to the
// log and written to its place, once the index does not fit into memory. That was the greatest difference between an
// empty table and one of a million rows (44 us of processor for each certificate with two such indexes, 19 us with
// one). The one of `drafts` is what keeps two signatures from one number; a second one here said nothing more, because
// a draft has one certificate. Whoever looks for a serial number goes by way of its draft. Without overwriting the
// dropped pages, which SQLite would all hold in memory: certificates are no secret.
const CERTIFICATES_BY_DRAFT: &str = "
CREATE TABLE certificates_by_draft (
    draft BIGINT PRIMARY KEY REFERENCES drafts (id),
    serial TEXT NOT NULL,
    authority BIGINT NOT NULL REFERENCES authorities (id),
    subject TEXT NOT NULL,
    not_before BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    certificate BYTEA NOT NULL,
    issued_at BIGINT NOT NULL
);
INSERT INTO certificates_by_draft (draft, serial, authority, subject, not_before, not_after, sha256, certificate,
        issued_at)
    SELECT draft, serial, authority, subject, not_before, not_after, sha256, certificate, issued_at
    FROM certificates ORDER BY draft;
PRAGMA secure_delete = OFF;
DROP TABLE certificates;
PRAGMA secure_delete = ON;
ALTER TABLE certificates_by_draft RENAME TO certificates";

/// A key of ours in the CA token.
#[derive(Clone, Debug)]
pub(super) struct CaKey {
    pub(super) reference: hsm::KeyReference,
    pub(super) public_key: PublicKey,
    /// Whether it once lay in a file; never unset.
    pub(super) imported: bool,
}

impl CaKey {
    pub(super) fn algorithm(&self) -> KeyAlgorithm {
        self.public_key.algorithm()
    }

    fn from_row(row: &Row) -> Result<Self, Error> {
        let id = row
            .text(0)?
            .parse()
            .map_err(|_| Error::Content("a CKA_ID is not 64 hex digits".to_owned()))?;
        let der = row.blob(1)?;
        Ok(Self {
            reference: hsm::KeyReference { id, public_key: der.to_vec() },
            public_key: PublicKey::from_spki_der(der)
                .map_err(|_| Error::Content("a CA key is not a public key".to_owned()))?,
            imported: row.boolean(2)?,
        })
    }
}

/// A CA of ours, with its chain: VMCA first, root last.
#[derive(Clone, Debug)]
pub(super) struct AuthorityRow {
    pub(super) id: i64,
    pub(super) state: AuthorityState,
    pub(super) key: CaKey,
    pub(super) chain: Vec<Certificate>,
    pub(super) installed_at: UnixTime,
}

/// A signed revocation list.
#[derive(Clone, Debug)]
pub(super) struct CrlRow {
    pub(super) number: i64,
    pub(super) this_update: UnixTime,
    pub(super) next_update: UnixTime,
    pub(super) crl: Crl,
}

/// The octets that the token is going to sign, before they have a number.
#[derive(Debug)]
pub(super) struct NewDraft {
    pub(super) kind: &'static str,
    pub(super) key_id: hsm::KeyId,
    pub(super) authority: Option<i64>,
    pub(super) serial: Option<String>,
    pub(super) crl_number: Option<i64>,
    pub(super) tbs: Vec<u8>,
    pub(super) signature_algorithm: Vec<u8>,
    pub(super) at: UnixTime,
}

fn next_id(tx: &mut Transaction<'_>, sql: &str) -> Result<i64, Error> {
    tx.query(sql, &[])?
        .first()
        .ok_or_else(|| Error::Content("a count without a row".to_owned()))?
        .integer(0)
}

/// Writes down a key that has just been made or brought in.
pub(super) fn insert_key(
    tx: &mut Transaction<'_>,
    key: &CaKey,
    label: &str,
    at: UnixTime,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO ca_keys (key_id, public_key, label, imported, created_at)
         VALUES ($1, $2, $3, $4, $5)",
        &[
            key.reference.id.to_string().into(),
            key.reference.public_key.as_slice().into(),
            label.into(),
            key.imported.into(),
            at.into(),
        ],
    )?;
    Ok(())
}

/// How many keys there have been.
pub(super) fn count_keys(tx: &mut Transaction<'_>) -> Result<i64, Error> {
    next_id(tx, "SELECT COUNT(*) FROM ca_keys")
}

/// Every key of ours, used or not, the oldest first.
pub(super) fn keys(tx: &mut Transaction<'_>) -> Result<Vec<CaKey>, Error> {
    tx.query("SELECT key_id, public_key, imported FROM ca_keys ORDER BY created_at, key_id", &[])?
        .iter()
        .map(CaKey::from_row)
        .collect()
}

/// The key of ours with this public key (SubjectPublicKeyInfo, DER).
pub(super) fn key_of(
    tx: &mut Transaction<'_>,
    public_key: &PublicKey,
) -> Result<Option<CaKey>, Error> {
    tx.query(
        "SELECT key_id, public_key, imported FROM ca_keys WHERE public_key = $1",
        &[public_key.as_der().into()],
    )?
    .first()
    .map(CaKey::from_row)
    .transpose()
}

/// Keys made in the token that no CA has used yet, the newest first.
pub(super) fn unused_keys(tx: &mut Transaction<'_>) -> Result<Vec<CaKey>, Error> {
    tx.query(
        "SELECT key_id, public_key, imported FROM ca_keys WHERE imported = 0 AND NOT EXISTS
         (SELECT 1 FROM authorities WHERE authorities.key_id = ca_keys.key_id)
         ORDER BY created_at DESC, key_id",
        &[],
    )?
    .iter()
    .map(CaKey::from_row)
    .collect()
}

/// Every CA that is or was active, in the order of installation.
pub(super) fn authorities(tx: &mut Transaction<'_>) -> Result<Vec<AuthorityRow>, Error> {
    let rows = tx.query(
        "SELECT ca_keys.key_id, public_key, imported, id, state, installed_at
         FROM authorities JOIN ca_keys ON ca_keys.key_id = authorities.key_id
         WHERE state IN ('active', 'superseded', 'retired') ORDER BY id",
        &[],
    )?;
    rows.iter()
        .map(|row| {
            let id = row.integer(3)?;
            let word = row.text(4)?;
            Ok(AuthorityRow {
                id,
                state: AuthorityState::from_word(word)
                    .ok_or_else(|| Error::Content(format!("the authority state '{word}'")))?,
                key: CaKey::from_row(row)?,
                chain: chain_of(tx, id)?,
                installed_at: row.integer(5)?,
            })
        })
        .collect()
}

fn chain_of(tx: &mut Transaction<'_>, authority: i64) -> Result<Vec<Certificate>, Error> {
    tx.query(
        "SELECT certificate FROM authority_certificates WHERE authority = $1 ORDER BY position",
        &[authority.into()],
    )?
    .iter()
    .map(|row| {
        Certificate::from_der(row.blob(0)?)
            .map_err(|_| Error::Content("a CA certificate that does not parse".to_owned()))
    })
    .collect()
}

/// Writes down a CA that is being set up, and gives it its number.
pub(super) fn insert_pending(
    tx: &mut Transaction<'_>,
    key_id: hsm::KeyId,
    chain: &[Certificate],
    at: UnixTime,
) -> Result<i64, Error> {
    let id = next_id(tx, "SELECT COALESCE(MAX(id), 0) + 1 FROM authorities")?;
    tx.execute(
        "INSERT INTO authorities (id, state, key_id, installed_at) VALUES ($1, 'pending', $2, $3)",
        &[id.into(), key_id.to_string().into(), at.into()],
    )?;
    for (position, certificate) in (0_i64..).zip(chain) {
        tx.execute(
            "INSERT INTO authority_certificates (authority, position, certificate)
             VALUES ($1, $2, $3)",
            &[id.into(), position.into(), certificate.as_der().into()],
        )?;
    }
    Ok(id)
}

/// Moves a CA from one state to another; false when it was not in the first one.
pub(super) fn change_state(
    tx: &mut Transaction<'_>,
    id: i64,
    from: AuthorityState,
    to: AuthorityState,
) -> Result<bool, Error> {
    tx.execute(
        "UPDATE authorities SET state = $1 WHERE id = $2 AND state = $3",
        &[to.word().into(), id.into(), from.word().into()],
    )
    .map(|changed| changed == 1)
}

/// Makes a CA the active one in place of whichever is; false when it was not in the state `from`.
pub(super) fn activate(
    tx: &mut Transaction<'_>,
    id: i64,
    from: AuthorityState,
) -> Result<bool, Error> {
    tx.execute("UPDATE authorities SET state = 'superseded' WHERE state = 'active'", &[])?;
    change_state(tx, id, from, AuthorityState::Active)
}

/// Gives up every CA whose setting up was cut short; returns how many there were.
pub(super) fn abandon_pending(tx: &mut Transaction<'_>) -> Result<u64, Error> {
    tx.execute("UPDATE authorities SET state = 'abandoned' WHERE state = 'pending'", &[])
}

pub(super) const NEXT_DRAFT: &str = "SELECT COALESCE(MAX(id), 0) + 1 FROM drafts";

/// Writes down what is going to be signed, and gives it its number.
pub(super) fn insert_draft(tx: &mut Transaction<'_>, draft: &NewDraft) -> Result<i64, Error> {
    let id = next_id(tx, NEXT_DRAFT)?;
    tx.execute(
        "INSERT INTO drafts (id, kind, state, key_id, authority, serial, crl_number, tbs,
             signature_algorithm, created_at)
         VALUES ($1, $2, 'intended', $3, $4, $5, $6, $7, $8, $9)",
        &[
            id.into(),
            draft.kind.into(),
            draft.key_id.to_string().into(),
            draft.authority.map_or(Value::Null, Value::from),
            draft.serial.as_deref().map_or(Value::Null, Value::from),
            draft.crl_number.map_or(Value::Null, Value::from),
            draft.tbs.as_slice().into(),
            draft.signature_algorithm.as_slice().into(),
            draft.at.into(),
        ],
    )?;
    Ok(id)
}

/// Ends a draft once; false when it had ended before.
pub(super) fn conclude_draft(
    tx: &mut Transaction<'_>,
    id: i64,
    signed: bool,
) -> Result<bool, Error> {
    let state = if signed { "done" } else { "failed" };
    tx.execute(
        "UPDATE drafts SET state = $1 WHERE id = $2 AND state = 'intended'",
        &[state.into(), id.into()],
    )
    .map(|changed| changed == 1)
}

/// Writes down an issued certificate.
pub(super) fn insert_certificate(
    tx: &mut Transaction<'_>,
    draft: i64,
    authority: i64,
    serial: &str,
    certificate: &Certificate,
    at: UnixTime,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO certificates (serial, draft, authority, subject, not_before, not_after,
             sha256, certificate, issued_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &[
            serial.into(),
            draft.into(),
            authority.into(),
            certificate.subject().to_text().into(),
            certificate.not_before().into(),
            certificate.not_after().into(),
            hex(&certificate.sha256()).into(),
            certificate.as_der().into(),
            at.into(),
        ],
    )?;
    Ok(())
}

/// Of the certificates that follow a draft, in the order of their drafts: draft, and length of the certificate.
pub(super) fn certificate_sizes(
    tx: &mut Transaction<'_>,
    after: i64,
    limit: u32,
) -> Result<Vec<(i64, i64)>, Error> {
    tx.query(CERTIFICATE_SIZES, &[after.into(), i64::from(limit).into()])?
        .iter()
        .map(|row| Ok((row.integer(0)?, row.integer(1)?)))
        .collect()
}

pub(super) const CERTIFICATE_SIZES: &str = "SELECT draft, LENGTH(certificate) FROM certificates
    WHERE draft > $1 ORDER BY draft LIMIT $2";

/// The certificates of the drafts after one up to another, in their order.
pub(super) fn certificates_between(
    tx: &mut Transaction<'_>,
    after: i64,
    last: i64,
) -> Result<Vec<Certificate>, Error> {
    tx.query(CERTIFICATES_BETWEEN, &[after.into(), last.into()])?
        .iter()
        .map(|row| {
            Certificate::from_der(row.blob(0)?)
                .map_err(|_| Error::Content("a certificate that does not parse".to_owned()))
        })
        .collect()
}

pub(super) const CERTIFICATES_BETWEEN: &str = "SELECT certificate FROM certificates
    WHERE draft > $1 AND draft <= $2 ORDER BY draft";

/// The number for the next revocation list. One sequence serves every CA, so that it also grows
/// for a name and key that were installed twice; a list that could not be signed uses its number up.
pub(super) fn next_crl_number(tx: &mut Transaction<'_>) -> Result<i64, Error> {
    next_id(tx, NEXT_CRL_NUMBER)
}

pub(super) const NEXT_CRL_NUMBER: &str =
    "SELECT COALESCE(MAX(crl_number), 0) + 1 FROM drafts WHERE crl_number IS NOT NULL";

/// Writes down a signed revocation list.
pub(super) fn insert_crl(
    tx: &mut Transaction<'_>,
    draft: i64,
    authority: i64,
    row: &CrlRow,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO crls (number, draft, authority, this_update, next_update, crl)
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            row.number.into(),
            draft.into(),
            authority.into(),
            row.this_update.into(),
            row.next_update.into(),
            row.crl.as_der().into(),
        ],
    )?;
    Ok(())
}

/// The newest revocation list of a CA.
pub(super) fn latest_crl(
    tx: &mut Transaction<'_>,
    authority: i64,
) -> Result<Option<CrlRow>, Error> {
    tx.query(
        "SELECT number, this_update, next_update, crl FROM crls WHERE authority = $1
         ORDER BY number DESC LIMIT 1",
        &[authority.into()],
    )?
    .first()
    .map(|row| {
        Ok(CrlRow {
            number: row.integer(0)?,
            this_update: row.integer(1)?,
            next_update: row.integer(2)?,
            crl: Crl::from_der(row.blob(3)?)
                .map_err(|_| Error::Content("a revocation list that does not parse".to_owned()))?,
        })
    })
    .transpose()
}
