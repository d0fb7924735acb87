//! An appliance in which something breaks, and the judgement at the end.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;

use der::Decode;
use x509_cert::Certificate;

use super::clients::Clients;
use super::spy::Spy;
use super::table::{Entry, Row};
use crate::harness::{Appliance, HOST, eventually, judge, text};

/// How many ask at once.
const CLIENTS: usize = 3;

/// Certificates between two breakages.
const MANY: usize = 30;

pub struct Scene {
    pub appliance: Appliance,
    pub spy: Option<Spy>,
    pub row: Row,
    acknowledged: Vec<Vec<u8>>,
    // Last: the table may be printed when it is dropped.
    entry: Entry,
}

impl Scene {
    /// A running appliance; `fault` names the line of the table.
    pub fn new(fault: &'static str) -> Self {
        let scene = Self::not_started(fault);
        scene.appliance.start();
        scene
    }

    /// The same before its services start.
    pub fn not_started(fault: &'static str) -> Self {
        let entry = Entry::of(fault);
        let appliance = Appliance::new();
        appliance.machine_config("m.cfg", HOST);
        appliance.ok("certool", &["--genkey", "--privkey", "k.priv", "--key-algorithm", "p-256"]);
        let subject = ["-subj", "/CN=direct", "-addext", "subjectAltName=DNS:direct.example.test"];
        let key = appliance.file("k.priv");
        let request = appliance.file("direct.csr");
        let words = ["req", "-new", "-key", text(&key), "-out", text(&request)];
        judge("openssl", &[&words[..], &subject].concat());
        // Its handshakes would fail with the sealing token; `born.rs` and `handshakes.rs` are about that.
        appliance.configure("key = \"token\"", "key = \"memory\"");
        let spy = Spy::on(&appliance);
        Self { appliance, spy, row: Row::default(), acknowledged: Vec::new(), entry }
    }

    /// Breaks and mends something while clients ask.
    pub fn with_clients<T>(&mut self, meanwhile: impl FnOnce(&mut Turn<'_>) -> T) -> T {
        self.with_many_clients(CLIENTS, meanwhile)
    }

    /// The same with so many clients.
    pub fn with_many_clients<T>(
        &mut self,
        count: usize,
        meanwhile: impl FnOnce(&mut Turn<'_>) -> T,
    ) -> T {
        let (appliance, row) = (&self.appliance, &mut self.row);
        let (result, acknowledged) = Clients::run(appliance, count, |clients| {
            meanwhile(&mut Turn { appliance, clients, row })
        });
        self.acknowledged.extend(acknowledged);
        result
    }

    /// The end of every fault: the whole system is looked at, the line is filled, and what must be
    /// zero is.
    pub fn judge(mut self) {
        let issued = &self.acknowledged;
        self.row.acknowledged = issued.len();
        let Judgement { lost, wrong_key, duplicates } = Judgement::of(&self.appliance, issued);
        (self.row.lost, self.row.wrong_key, self.row.duplicates) = (lost, wrong_key, duplicates);
        self.row.pin_tries = self.spy.as_ref().map(|spy| {
            assert!(spy.saw_logins(), "the spy saw no login: its count means nothing");
            spy.wrong_pins()
        });
        let pin_tries = self.row.pin_tries;
        self.entry.fill(std::mem::take(&mut self.row));
        assert!(!issued.is_empty(), "nothing was issued, so nothing was tried");
        assert_eq!((lost, wrong_key, duplicates), (0, 0, 0), "lost, wrong key, duplicate serial");
        assert!(pin_tries.is_none_or(|tries| tries <= 1), "{pin_tries:?} tries with a wrong PIN");
        crate::verify::verify_with_failures(&self.appliance);
    }
}

/// What is counted of the certificates that clients were told they have.
#[derive(Debug, PartialEq, Eq)]
pub struct Judgement {
    pub lost: usize,
    pub wrong_key: usize,
    pub duplicates: usize,
}

impl Judgement {
    pub fn of(appliance: &Appliance, issued: &[Vec<u8>]) -> Self {
        let recorded = recorded(appliance);
        let serial = |one: &Vec<u8>| {
            let read = Certificate::from_der(one).unwrap();
            read.tbs_certificate().serial_number().as_bytes().to_vec()
        };
        let serials: BTreeSet<_> = issued.iter().map(serial).collect();
        Self {
            lost: issued.iter().filter(|one| !recorded.contains(*one)).count(),
            wrong_key: issued.len() - verified(appliance, issued),
            duplicates: issued.len() - serials.len(),
        }
    }
}

/// While clients ask.
pub struct Turn<'a> {
    pub appliance: &'a Appliance,
    pub clients: &'a Clients,
    row: &'a mut Row,
}

impl Turn<'_> {
    /// Waits until the clients are well at work.
    pub fn at_work(&self) {
        self.clients.certificates(MANY);
    }

    /// One more was broken.
    pub fn broken(&mut self) {
        self.row.rounds += 1;
    }

    /// It was mended at `since`: waits for the next certificate, and writes down how long it took.
    pub fn recovers(&mut self, since: Instant) {
        let at = self.clients.certificate();
        self.row.recovery.push(at.duration_since(since));
        self.at_work();
    }

    /// What needs no token works, and `vmcad` gives the list it has signed before, if it runs.
    pub fn the_rest_goes_on(&self, vmcad_answers: bool) {
        vecs_goes_on(self.appliance);
        if vmcad_answers {
            let root = self.appliance.root().join("lib/vmca/root.cer");
            self.appliance.ok("certool", &["--getcrl", "--crl", "now.crl"]);
            let list = self.appliance.file("now.crl");
            let words = ["crl", "-in", text(&list), "-noout", "-CAfile", text(&root)];
            assert!(judge("openssl", &words).contains("verify OK"));
        }
    }

    /// A stored key is read again.
    pub fn keys_open_again(&self) {
        eventually("a stored key opens again", || machine_key(self.appliance).status == 0);
    }

    /// It was mended at `since`, and only keys were not read meanwhile: waits until one is.
    pub fn keys_recover(&mut self, since: Instant) {
        self.keys_open_again();
        self.row.recovery.push(since.elapsed());
    }
}

/// Reads the one key that every appliance has.
pub fn machine_key(appliance: &Appliance) -> crate::harness::Said {
    let words = ["--store", "MACHINE_SSL_CERT", "--alias", "__MACHINE_CERT"];
    appliance.run("vecs-cli", &[&["entry", "getkey"][..], &words].concat())
}

/// Certificates and revocation lists are read, and a trusted root that was deleted comes back by a
/// refresh.
fn vecs_goes_on(appliance: &Appliance) {
    let words = ["--store", "MACHINE_SSL_CERT", "--alias", "__MACHINE_CERT"];
    let certificate = appliance.ok("vecs-cli", &[&["entry", "getcert"][..], &words].concat());
    assert!(certificate.contains("BEGIN CERTIFICATE"), "{certificate}");
    let lists = appliance.ok("vecs-cli", &["entry", "list", "--store", "TRUSTED_ROOT_CRLS"]);
    assert!(lists.contains("Alias :\t"), "{lists}");
    let roots = || {
        let said = appliance.ok("vecs-cli", &["entry", "list", "--store", "TRUSTED_ROOTS"]);
        let aliases = said.lines().filter_map(|line| line.strip_prefix("Alias :\t"));
        aliases.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let before = roots();
    let first = before.first().unwrap();
    let delete = ["entry", "delete", "--store", "TRUSTED_ROOTS", "--alias", first, "-y"];
    appliance.ok("vecs-cli", &delete);
    appliance.ok("vecs-cli", &["force-refresh"]);
    assert_eq!(roots(), before, "the refresh brings a trusted root back");
}

fn recorded(appliance: &Appliance) -> BTreeSet<Vec<u8>> {
    let database = rusqlite::Connection::open_with_flags(
        appliance.database("vmcad"),
        rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
    )
    .unwrap();
    let mut statement = database.prepare("SELECT certificate FROM certificates").unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// How many of these OpenSSL verifies with the active CA.
fn verified(appliance: &Appliance, certificates: &[Vec<u8>]) -> usize {
    let root = appliance.root().join("lib/vmca/root.cer");
    let write = |(at, certificate): (usize, &Vec<u8>)| -> PathBuf {
        appliance.write(&format!("acknowledged-{at}.der"), certificate)
    };
    let files: Vec<_> = certificates.iter().enumerate().map(write).collect();
    let verify = |files: &[PathBuf]| {
        let mut command = std::process::Command::new("openssl");
        let output = command.args(["verify", "-CAfile", text(&root)]).args(files).output();
        let said = String::from_utf8_lossy(&output.unwrap().stdout).into_owned();
        said.lines().filter(|line| line.ends_with(": OK")).count()
    };
    files.chunks(100).map(verify).sum()
}
