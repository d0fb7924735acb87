//! The end of every scenario: the whole system, not only what the scenario touched.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hsm::Purpose;
use rusqlite::Connection;
use sealwright::base::Layout;
use sealwright::policy::{self, Issuers, Mode};

use crate::harness::{Appliance, judge, text};

/// Everything holds, and nothing was left without an outcome.
pub fn verify(appliance: &Appliance) {
    certificates_equal_their_drafts(appliance);
    every_signature_passes_the_policy(appliance);
    sealed_entries_open(appliance);
    assert_eq!(unfinished(appliance), [""; 0], "intents without outcome");
}

/// The same for a scenario that made failures or killed a process on purpose.
pub fn verify_with_failures(appliance: &Appliance) {
    certificates_equal_their_drafts(appliance);
    every_signature_passes_the_policy(appliance);
    sealed_entries_open(appliance);
    let left = unfinished(appliance);
    if !left.is_empty() {
        println!("{} intents without outcome, as this scenario may leave", left.len());
    }
}

fn open(appliance: &Appliance, service: &str) -> Connection {
    Connection::open_with_flags(
        appliance.database(service),
        rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
    )
    .unwrap()
}

/// Every issued certificate contains exactly the octets that were durable before the token was
/// asked, and OpenSSL verifies it under the CA that the record names; so does every CRL.
fn certificates_equal_their_drafts(appliance: &Appliance) {
    let database = open(appliance, "vmcad");
    for (table, column, kind) in [("certificates", "certificate", "x509"), ("crls", "crl", "crl")] {
        let mut statement = database
            .prepare(&format!(
                "SELECT issued.{column}, drafts.tbs, drafts.state, ca.certificate FROM {table} AS issued
                 JOIN drafts ON drafts.id = issued.draft
                 JOIN authority_certificates AS ca ON ca.authority = issued.authority AND ca.position = 0"
            ))
            .unwrap();
        let rows = statement
            .query_map([], |row| {
                Ok((
                    row.get::<_, Vec<u8>>(0)?,
                    row.get::<_, Vec<u8>>(1)?,
                    row.get::<_, String>(2)?,
                    row.get::<_, Vec<u8>>(3)?,
                ))
            })
            .unwrap();
        let mut by_issuer: BTreeMap<Vec<u8>, Vec<PathBuf>> = BTreeMap::new();
        for (number, row) in rows.enumerate() {
            let (signed, draft, state, issuer) = row.unwrap();
            assert_eq!(first_element(&signed), draft, "a {kind} differs from its draft");
            assert_eq!(state, "done", "the draft of a {kind}");
            let file = appliance.write(&format!("verify-{kind}-{number}.der"), signed);
            by_issuer.entry(issuer).or_default().push(file);
        }
        for (issuer, signed) in by_issuer {
            let issuer_der = appliance.write("verify-issuer.der", issuer);
            let issuer = appliance.file("verify-issuer.pem");
            let to_pem =
                ["x509", "-inform", "DER", "-in", text(&issuer_der), "-out", text(&issuer)];
            judge("openssl", &to_pem);
            if kind == "crl" {
                for list in &signed {
                    let words = ["crl", "-inform", "DER", "-in", text(list), "-noout", "-CAfile"];
                    let said = judge("openssl", &[&words[..], &[text(&issuer)]].concat());
                    assert!(said.contains("verify OK"), "{said}");
                }
            } else {
                for some in signed.chunks(100) {
                    let files: Vec<&str> = some.iter().map(|file| text(file)).collect();
                    let trust = ["verify", "-partial_chain", "-trusted", text(&issuer)];
                    let said = judge("openssl", &[&trust[..], &files].concat());
                    assert_eq!(said.matches(": OK\n").count(), files.len(), "{said}");
                }
            }
            signed.iter().for_each(|file| std::fs::remove_file(file).unwrap());
        }
    }
}

/// Everything that the CA keys signed is something that the policy of the token lets a service have,
/// by the CA certificates that were written down; but CA certificates, which are the key workshop's.
fn every_signature_passes_the_policy(appliance: &Appliance) {
    let database = open(appliance, "vmcad");
    let mut statement = database
        .prepare(
            "SELECT kind, tbs, drafts.created_at, drafts.key_id, public_key FROM drafts
             JOIN ca_keys ON ca_keys.key_id = drafts.key_id WHERE state = 'done'",
        )
        .unwrap();
    let rows = statement.query_map([], |row| {
        let (kind, tbs, at): (String, Vec<u8>, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (id, public_key): (String, Vec<u8>) = (row.get(3)?, row.get(4)?);
        Ok((kind, tbs, at, hsm::KeyReference { id: id.parse().unwrap(), public_key }))
    });
    let issuers = Issuers::open(Layout::under(appliance.root()).issuers("ca"));
    for row in rows.unwrap() {
        let (kind, tbs, at, key) = row.unwrap();
        let (mode, purpose) = match kind.as_str() {
            "leaf" => (Mode::Service, Purpose::Certificate),
            "crl" => (Mode::Service, Purpose::Crl),
            "ca-request" => (Mode::Service, Purpose::Possession),
            "root" => (Mode::Administration, Purpose::CaCertificate),
            other => panic!("{other} is signed and nobody judges it"),
        };
        let answer = policy::judge(mode, purpose, &key, &tbs, &issuers, at);
        assert!(answer.is_ok(), "the policy refuses a {kind} that was signed: {answer:?}");
    }
}

/// The first element of a DER SEQUENCE, with its header: the to-be-signed part.
fn first_element(der: &[u8]) -> &[u8] {
    let header = |octets: &[u8]| -> (usize, usize) {
        match octets[1] {
            short if short < 0x80 => (2, usize::from(short)),
            long => {
                let count = usize::from(long & 0x7f);
                let length = octets[2..2 + count]
                    .iter()
                    .fold(0, |sum, octet| sum << 8 | usize::from(*octet));
                (2 + count, length)
            }
        }
    };
    let (outer, _) = header(der);
    let inner = &der[outer..];
    let (head, length) = header(inner);
    &inner[..head + length]
}

fn sealed_entries_open(appliance: &Appliance) {
    let stores = appliance.ok("vecs-cli", &["store", "list"]);
    for store in stores.lines() {
        let list = appliance.ok("vecs-cli", &["entry", "list", "--store", store]);
        let mut alias = "";
        for line in list.lines() {
            if let Some(found) = line.strip_prefix("Alias :\t") {
                alias = found;
            }
            if line == "Entry type :\tPrivate Key" {
                let words = ["--store", store, "--alias", alias];
                let key = appliance.ok("vecs-cli", &[&["entry", "getkey"][..], &words].concat());
                let certificate =
                    appliance.ok("vecs-cli", &[&["entry", "getcert"][..], &words].concat());
                let key = appliance.write("verify.key", key);
                let certificate = appliance.write("verify.crt", certificate);
                let public = judge("openssl", &["pkey", "-in", text(&key), "-pubout"]);
                let certified =
                    judge("openssl", &["x509", "-in", text(&certificate), "-noout", "-pubkey"]);
                assert_eq!(public, certified, "{store}/{alias}");
            }
        }
    }
}

/// Acts whose last record in the journal is an intent. The table that a service reads at its start must say the same.
fn unfinished(appliance: &Appliance) -> Vec<String> {
    ["vmcad", "vmafdd", "vmdird"]
        .iter()
        .flat_map(|service| {
            let mut database = open(appliance, service);
            // A service may be writing: both are read as of one moment.
            let moment = database.transaction().unwrap();
            let texts = |sql: &str| -> Vec<String> {
                let mut statement = moment.prepare(sql).unwrap();
                let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
                rows.map(|row| format!("{service}: {}", row.unwrap())).collect()
            };
            let by_journal = texts(
                "SELECT act || ' ' || reference AS what FROM
                 (SELECT act, reference, outcome, MAX(sequence) FROM journal GROUP BY act, reference)
                 WHERE outcome = 'intended' ORDER BY what",
            );
            let by_table = texts("SELECT act || ' ' || reference AS what FROM journal_open ORDER BY what");
            assert_eq!(by_table, by_journal, "the open intents of {service}");
            by_journal
        })
        .collect()
}
