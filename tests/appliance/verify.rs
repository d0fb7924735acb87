//! The end of every scenario: the whole system, not only what the scenario touched.

use rusqlite::Connection;

use crate::harness::{Appliance, judge, text};

/// Everything holds, and nothing was left without an outcome.
pub fn verify(appliance: &Appliance) {
    certificates_equal_their_drafts(appliance);
    sealed_entries_open(appliance);
    assert_eq!(unfinished(appliance), [""; 0], "intents without outcome");
}

/// The same for a scenario that made failures or killed a process on purpose.
pub fn verify_with_failures(appliance: &Appliance) {
    certificates_equal_their_drafts(appliance);
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
        for row in rows {
            let (signed, draft, state, issuer) = row.unwrap();
            assert_eq!(first_element(&signed), draft, "a {kind} differs from its draft");
            assert_eq!(state, "done", "the draft of a {kind}");
            let signed = appliance.write("verify.der", signed);
            let issuer_der = appliance.write("verify-issuer.der", issuer);
            let issuer = appliance.file("verify-issuer.pem");
            let to_pem =
                ["x509", "-inform", "DER", "-in", text(&issuer_der), "-out", text(&issuer)];
            judge("openssl", &to_pem);
            if kind == "crl" {
                let words = [
                    "crl",
                    "-inform",
                    "DER",
                    "-in",
                    text(&signed),
                    "-noout",
                    "-CAfile",
                    text(&issuer),
                ];
                let said = judge("openssl", &words);
                assert!(said.contains("verify OK"), "{said}");
            } else {
                let trust = ["verify", "-partial_chain", "-trusted", text(&issuer), text(&signed)];
                judge("openssl", &trust);
            }
        }
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

fn unfinished(appliance: &Appliance) -> Vec<String> {
    ["vmcad", "vmafdd", "vmdird"]
        .iter()
        .flat_map(|service| {
            let database = open(appliance, service);
            let mut statement = database
                .prepare(
                    "SELECT act || ' ' || reference FROM journal AS intent WHERE outcome = 'intended' AND NOT EXISTS
                     (SELECT 1 FROM journal AS later WHERE later.reference = intent.reference
                      AND later.act = intent.act AND later.outcome <> 'intended')",
                )
                .unwrap();
            let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
            rows.map(|row| format!("{service}: {}", row.unwrap())).collect::<Vec<_>>()
        })
        .collect()
}
