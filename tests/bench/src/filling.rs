//! A database with many certificates in it, made in a minute instead of an hour.
//!
//! One certificate was really issued. Its rows are copied, each copy with numbers of its own: serial numbers (as random
//! as those of the token, so that indexes look as they would) stand in the certificate, the draft and the journal, the
//! digests are those of the changed octets. The journal is written by the room's own code. Only the signatures are those
//! of the one certificate.

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use sealwright::base::Actor;
use sealwright::ca::MIGRATIONS;
use sealwright::journal::{self, Event, Outcome as Stage};
use sealwright::store::{Error, Store, Transaction, Value, read_file};
use serde_json::{Map, json};

use crate::fault::{Outcome, While};

/// Certificates in one transaction. Serial numbers are spread over whole indexes, and each transaction writes every page
/// that it touched.
const BATCH: usize = 50_000;
/// KiB of the database that are kept in memory meanwhile.
const CACHE: &str = "PRAGMA cache_size = -500000";
/// Octets of a serial number.
const SERIAL: usize = 16;

type Details = Map<String, serde_json::Value>;

/// Adds so many certificates to a database that nobody uses and that holds one at least.
pub(crate) fn fill(database: &Path, count: usize) -> Outcome<()> {
    let template = read_file(database, Template::read).when("the certificate to copy")?;
    let store = Store::open(database, MIGRATIONS)?;
    let mut random = Random(0x5ea1_0000_0000_0001);
    let mut left = count;
    while left > 0 {
        let batch = left.min(BATCH);
        let (template, mut own) = (template.clone(), Random(random.next()));
        store.write(move |tx| -> Result<(), Error> {
            tx.query(CACHE, &[])?;
            let first = number(tx, "SELECT MAX(id) + 1 FROM drafts")?;
            (first..).take(batch).try_for_each(|id| template.copy(tx, id, own.serial()))
        })?;
        left -= batch;
    }
    Ok(())
}

/// What is copied.
#[derive(Clone)]
struct Template {
    draft: Copied,
    certificate: Copied,
    /// Journal details of the intent and of its outcome.
    intent: Details,
    outcome: Details,
    /// Its serial number.
    serial: [u8; SERIAL],
}

impl Template {
    fn read(tx: &mut Transaction<'_>) -> Result<Self, Error> {
        let id = number(tx, "SELECT MIN(draft) FROM certificates")?;
        let certificate = Copied::read(tx, "certificates", "draft", id)?;
        let serial = match certificate.value("serial") {
            Some(Value::Text(text)) => u128::from_str_radix(text, 16),
            _ => return Err(content("a certificate without a serial number")),
        };
        Ok(Self {
            draft: Copied::read(tx, "drafts", "id", id)?,
            certificate,
            intent: details(tx, id, Stage::Intended)?,
            outcome: details(tx, id, Stage::Done)?,
            serial: serial.map_err(|_| content("a serial number that is not hex"))?.to_be_bytes(),
        })
    }

    fn copy(&self, tx: &mut Transaction<'_>, id: i64, serial: [u8; SERIAL]) -> Result<(), Error> {
        let (mut draft, mut certificate) = (self.draft.clone(), self.certificate.clone());
        let tbs_sha256 = draft.renumber("tbs", self.serial, serial)?;
        let sha256 = certificate.renumber("certificate", self.serial, serial)?;
        let text = format!("{:032X}", u128::from_be_bytes(serial));
        draft.set("id", id.into());
        draft.set("serial", text.as_str().into());
        certificate.set("draft", id.into());
        certificate.set("serial", text.as_str().into());
        certificate.set("sha256", sha256.as_str().into());
        let (mut intent, mut outcome) = (self.intent.clone(), self.outcome.clone());
        for details in [&mut intent, &mut outcome] {
            details.insert("serial".to_owned(), json!(text));
            details.insert("tbs_sha256".to_owned(), json!(tbs_sha256));
        }
        outcome.insert("sha256".to_owned(), json!(sha256));
        draft.insert(tx)?;
        append(tx, id, Stage::Intended, intent)?;
        append(tx, id, Stage::Done, outcome)?;
        certificate.insert(tx)
    }
}

/// A row of a table, whatever its columns are.
#[derive(Clone)]
struct Copied {
    insert: String,
    columns: Vec<String>,
    values: Vec<Value>,
}

impl Copied {
    fn read(tx: &mut Transaction<'_>, table: &str, key: &str, id: i64) -> Result<Self, Error> {
        let names = tx.query("SELECT name, type FROM pragma_table_info($1)", &[table.into()])?;
        let mut columns = Vec::new();
        let mut kinds = Vec::new();
        for name in &names {
            columns.push(name.text(0)?.to_owned());
            kinds.push(name.text(1)?.to_owned());
        }
        let list = columns.join(", ");
        let sql = format!("SELECT {list} FROM {table} WHERE {key} = $1");
        let rows = tx.query(&sql, &[id.into()])?;
        let row = rows.first().ok_or_else(|| content("no row to copy"))?;
        let mut values = Vec::new();
        for (index, kind) in kinds.iter().enumerate() {
            values.push(match kind.as_str() {
                _ if row.is_null(index)? => Value::Null,
                "BIGINT" | "INTEGER" => row.integer(index)?.into(),
                "TEXT" => row.text(index)?.into(),
                _ => row.blob(index)?.into(),
            });
        }
        let places: Vec<String> = (1..=columns.len()).map(|place| format!("${place}")).collect();
        let insert = format!("INSERT INTO {table} ({list}) VALUES ({})", places.join(", "));
        Ok(Self { insert, columns, values })
    }

    fn value(&self, name: &str) -> Option<&Value> {
        let at = self.columns.iter().position(|column| column == name)?;
        self.values.get(at)
    }

    /// A column that is not there needs no value.
    fn set(&mut self, name: &str, value: Value) {
        if let Some(at) = self.columns.iter().position(|column| column == name) {
            self.values[at] = value;
        }
    }

    /// Puts another serial number into octets; their SHA-256 in hex.
    fn renumber(
        &mut self,
        name: &str,
        from: [u8; SERIAL],
        to: [u8; SERIAL],
    ) -> Result<String, Error> {
        let Some(Value::Blob(octets)) = self.value(name) else {
            return Err(content("a column without octets"));
        };
        let mut octets = octets.clone();
        let at = memchr::memmem::find(&octets, &from).ok_or_else(|| content("no serial number"))?;
        octets[at..at + SERIAL].copy_from_slice(&to);
        let sha256 = digest(&SHA256, &octets);
        self.set(name, octets.into());
        Ok(sha256.as_ref().iter().map(|octet| format!("{octet:02x}")).collect())
    }

    fn insert(&self, tx: &mut Transaction<'_>) -> Result<(), Error> {
        tx.execute(&self.insert, &self.values).map(drop)
    }
}

fn details(tx: &mut Transaction<'_>, id: i64, stage: Stage) -> Result<Details, Error> {
    let sql = "SELECT details FROM journal WHERE reference = $1 AND outcome = $2";
    let rows = tx.query(sql, &[format!("draft:{id}").into(), stage.word().into()])?;
    let row = rows.first().ok_or_else(|| content("no record in the journal"))?;
    serde_json::from_str(row.text(0)?).map_err(|_| content("a record that is no JSON"))
}

fn append(
    tx: &mut Transaction<'_>,
    id: i64,
    outcome: Stage,
    details: Details,
) -> Result<(), Error> {
    let event = Event {
        at: 1_700_000_000,
        actor: &Actor::User { uid: 0, name: "root".to_owned() },
        act: "certificate.issue",
        reference: &format!("draft:{id}"),
        outcome,
        details: details.into(),
    };
    journal::append(tx, &event)
}

fn number(tx: &mut Transaction<'_>, sql: &str) -> Result<i64, Error> {
    tx.query(sql, &[])?.first().ok_or_else(|| content("no row"))?.integer(0)
}

fn content(what: &str) -> Error {
    Error::Content(what.to_owned())
}

/// The same numbers in every run, spread like random ones (SplitMix64).
struct Random(u64);

impl Random {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Positive, and never shortened by DER (RFC 5280, 4.1.2.2).
    const fn serial(&mut self) -> [u8; SERIAL] {
        let high = (self.next() & 0x3fff_ffff_ffff_ffff) | 0x4000_0000_0000_0000;
        (((high as u128) << 64) | self.next() as u128).to_be_bytes()
    }
}
