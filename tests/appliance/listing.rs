//! What was issued is listed in pages: complete, in order and without repeats while more is issued.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use der::pem::decode_vec;
use sealwright::api::ca::{CERTIFICATES, Filter, Issue, Issued, Page, page};
use sealwright::client::Client;

use crate::harness::{Appliance, HOST, judge, text};

/// A bound on every request; nothing is asserted about time.
const PATIENCE: Duration = Duration::from_secs(90);
/// Certificates on record before the first page is asked for.
const BEFORE: usize = 2000;
const CLIENTS: usize = 8;
/// No divisor of anything here, so that the last page is a short one.
const LIMIT: usize = 37;

fn client(appliance: &Appliance) -> Client {
    Client::new(&appliance.root().join("run/vmcad.sock"), PATIENCE)
}

fn der(pem: &str) -> Vec<u8> {
    decode_vec(pem.as_bytes()).unwrap().1
}

/// Every certificate on record, in the order in which they were asked for.
fn recorded(appliance: &Appliance) -> Vec<Vec<u8>> {
    let database = rusqlite::Connection::open_with_flags(
        appliance.database("vmcad"),
        rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
    )
    .unwrap();
    let sql = "SELECT certificate FROM certificates ORDER BY draft";
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Pages from the first one to the last one.
fn paged(appliance: &Appliance) -> Vec<Vec<u8>> {
    let client = client(appliance);
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let path = format!("{}&limit={LIMIT}", page(Filter::All, after));
        let Page { certificates, next } = client.get(&path).unwrap();
        assert!(certificates.len() <= LIMIT, "{}", certificates.len());
        all.extend(certificates.iter().map(|pem| der(pem)));
        match next {
            Some(next) => assert!(after.replace(next).is_none_or(|before| before < next)),
            None => return all,
        }
    }
}

/// What `certool --enumcert` prints: the certificates, after a look at everything around them.
fn printed(appliance: &Appliance, filter: &str) -> Vec<Vec<u8>> {
    let said = appliance.run("certool", &["--enumcert", "--filter", filter]);
    assert_eq!(said.status, 0, "{}", said.stderr);
    let listed = said.stdout.strip_suffix("Status : Success\n").unwrap();
    let parts: Vec<&str> = listed.split("Cert \n").skip(1).collect();
    let numbers: String = (1..=parts.len()).map(|number| format!("{number}\n")).collect();
    assert_eq!(said.stderr, numbers);
    let end = "-----END CERTIFICATE-----\n";
    let certificate = |part: &&str| {
        let (pem, dump) = part.split_once(end).unwrap();
        assert!(dump.starts_with("Certificate:\n") && dump.contains("Not After"), "{dump}");
        der(&format!("{pem}{end}"))
    };
    parts.iter().map(certificate).collect()
}

/// A listing that was made while certificates were issued. `before` were acknowledged before it began.
fn judge_listing(listed: &[Vec<u8>], before: &BTreeSet<Vec<u8>>, recorded: &[Vec<u8>]) {
    let once: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!(once.len(), listed.len(), "a certificate is listed twice");
    assert_eq!(before.difference(&once).count(), 0, "certificates are missing");
    let mut rest = recorded.iter();
    let in_order = listed.iter().all(|one| rest.any(|other| other == one));
    assert!(in_order, "not in the order of the records");
}

#[test]
fn a_listing_is_complete_and_in_order_while_certificates_are_issued() {
    let appliance = Appliance::running();
    let key = appliance.file("k.pem");
    judge("openssl", &["ecparam", "-genkey", "-name", "prime256v1", "-out", text(&key)]);
    let csr = appliance.file("direct.csr");
    let (name, subject) = (format!("subjectAltName=DNS:{HOST}"), "/C=US/CN=listed");
    let request = ["req", "-new", "-key", text(&key), "-subj", subject, "-addext", &name];
    judge("openssl", &[&request[..], &["-out", text(&csr)]].concat());
    let request = Issue { csr: appliance.read("direct.csr"), not_before: None, not_after: None };

    let acknowledged = Mutex::new(BTreeSet::new());
    let done = AtomicBool::new(false);
    let issue = |enough: &(dyn Fn() -> bool + Sync)| {
        let client = client(&appliance);
        while !enough() {
            // Eight at a time are no crowd: nothing is refused.
            let issued: Issued = client.post(CERTIFICATES, &request).unwrap();
            acknowledged.lock().unwrap().insert(der(&issued.chain[0]));
        }
    };
    let filled = || acknowledged.lock().unwrap().len() >= BEFORE;
    let (by_page, by_certool, before) = std::thread::scope(|scope| {
        let filling: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| issue(&filled))).collect();
        filling.into_iter().for_each(|worker| worker.join().unwrap());
        let before = acknowledged.lock().unwrap().clone();
        let goes_on: Vec<_> =
            (0..2).map(|_| scope.spawn(|| issue(&|| done.load(Ordering::SeqCst)))).collect();
        let list = || (paged(&appliance), printed(&appliance, "all"));
        let listed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(list));
        done.store(true, Ordering::SeqCst);
        goes_on.into_iter().for_each(|worker| worker.join().unwrap());
        let (by_page, by_certool) = listed.unwrap();
        (by_page, by_certool, before)
    });
    let all = recorded(&appliance);
    assert!(acknowledged.lock().unwrap().len() > before.len(), "nothing was issued meanwhile");
    judge_listing(&by_page, &before, &all);
    judge_listing(&by_certool, &before, &all);

    // Once it is quiet, every way of asking says what is on record.
    assert_eq!(paged(&appliance), all);
    assert_eq!(printed(&appliance, "all"), all);
    assert_eq!(printed(&appliance, "active"), all);
    assert_eq!(printed(&appliance, "revoked"), [[0; 0]; 0]);
    println!("{} certificates before, {} in the end", before.len(), all.len());
    crate::verify::verify(&appliance);
}
