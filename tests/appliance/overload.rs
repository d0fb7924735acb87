//! Ten times as many requests as the token can sign: some are turned away at once, the others are signed, everybody has
//! a turn, and nothing is lost.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use fault_module::library;
use rusqlite::{Connection, OpenFlags};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sealwright::api::ca::{CERTIFICATES, Issue};
use toml::{Table, Value};

use crate::harness::{Appliance, HOST, eventually, judge, text};
use crate::verify::verify;

/// The token has two sessions and takes 20 ms for a signature: a hundred in a second. So many ask at once.
const ASKING: usize = 1000;
const RULES: &str = "C_Sign pace=20";

/// What became of the requests of one wave.
#[derive(Debug, Default)]
struct Wave {
    issued: AtomicUsize,
    busy: AtomicUsize,
}

impl Wave {
    fn answered(&self) -> usize {
        self.issued.load(Ordering::SeqCst) + self.busy.load(Ordering::SeqCst)
    }

    /// One request on a connection of its own.
    fn ask(&self, socket: &Path, request: &[u8]) {
        let mut stream = UnixStream::connect(socket).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = BufReader::new(stream);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            assert!(answer.read_until(b'\n', &mut head).unwrap() > 0, "no answer");
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let mut body = String::new();
        answer.read_to_string(&mut body).unwrap();
        if head.starts_with("http/1.1 200 ") {
            assert!(body.contains("BEGIN CERTIFICATE"), "{body}");
            self.issued.fetch_add(1, Ordering::SeqCst);
        } else {
            assert!(head.starts_with("http/1.1 503 ") && head.contains("\r\nretry-after: 1\r\n"));
            assert!(body.contains("\"kind\":\"busy\"") && body.contains("try again"), "{body}");
            self.busy.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// All at once; `meanwhile` runs beside them.
    fn run(socket: &Path, request: &[u8], meanwhile: impl FnOnce(&Self)) -> Self {
        let wave = Self::default();
        std::thread::scope(|scope| {
            for _ in 0..ASKING {
                let thread = std::thread::Builder::new().stack_size(128 * 1024);
                thread.spawn_scoped(scope, || wave.ask(socket, request)).unwrap();
            }
            meanwhile(&wave);
        });
        assert_eq!(wave.answered(), ASKING);
        wave
    }
}

fn slow_token(appliance: &Appliance) {
    let mut config: Table = std::fs::read_to_string(appliance.config()).unwrap().parse().unwrap();
    let token = config["ca"]["token"].as_table_mut().unwrap();
    token.insert("sessions".to_owned(), Value::from(2));
    let real = token.insert("module".to_owned(), Value::from(text(&library().unwrap()))).unwrap();
    let environment = token["environment"].as_table_mut().unwrap();
    environment.insert(fault_module::REAL.to_owned(), real);
    environment.insert(fault_module::RULES.to_owned(), Value::from(RULES));
    let access = Table::from_iter([("requesters".to_owned(), Value::from(vec!["nobody"]))]);
    config.insert("access".to_owned(), Value::from(access));
    std::fs::write(appliance.config(), config.to_string()).unwrap();
}

/// The most memory that a process had, in KiB.
fn peak(process: i32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn count(appliance: &Appliance, sql: &str) -> usize {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = Connection::open_with_flags(appliance.database("vmcad"), flags).unwrap();
    database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap().try_into().unwrap()
}

#[test]
fn ten_times_what_the_token_can_sign_is_answered_in_turns_or_turned_away() {
    // Each of those who ask is a descriptor of this process.
    let limit = getrlimit(Resource::Nofile);
    let _kept = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let appliance = Appliance::new();
    slow_token(&appliance);
    appliance.start();
    appliance.certificate("machine");
    let csr = judge(
        "openssl",
        &[
            "req",
            "-new",
            "-key",
            text(&appliance.file("machine.priv")),
            "-subj",
            "/C=US/CN=overload",
            "-addext",
            &format!("subjectAltName=DNS:{HOST}"),
        ],
    );
    let body = serde_json::to_string(&Issue { csr, not_before: None, not_after: None }).unwrap();
    let request = format!(
        "POST {CERTIFICATES} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let socket = appliance.root().join("run/vmcad.sock");
    let vmcad = appliance.pid("vmcad");
    let before = count(&appliance, "SELECT COUNT(*) FROM drafts WHERE kind = 'leaf'");

    let first = Wave::run(&socket, request.as_bytes(), |wave| {
        if !rustix::process::geteuid().is_root() {
            eprintln!("LOUD: not root, so no second caller asks");
            return;
        }
        eventually("some are turned away", || wave.busy.load(Ordering::SeqCst) > 0);
        appliance.open_for_others();
        let file = appliance.write("overload.json", &body);
        let url = format!("http://localhost{CERTIFICATES}");
        let data = format!("@{}", text(&file));
        let as_nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "curl", "--silent"];
        let words = ["--unix-socket", text(&socket), "--header", "content-type: application/json"];
        let said = judge("setpriv", &[&as_nobody[..], &words, &["--data", &data, &url]].concat());
        assert!(said.contains("BEGIN CERTIFICATE"), "{said}");
        // Its turn came long before the end of those who asked first.
        assert!(wave.answered() + 100 < ASKING, "{wave:?}");
    });
    let (issued, busy) = (first.issued.into_inner(), first.busy.into_inner());
    eprintln!("{ASKING} at once: {issued} issued, {busy} turned away");
    assert!(issued > 0 && busy > 0);

    // A second wave finds as much room as the first one had.
    let after_first = peak(vmcad);
    let second = Wave::run(&socket, request.as_bytes(), |_| {});
    let issued = issued + second.issued.into_inner();
    let after_second = peak(vmcad);
    eprintln!("most memory of vmcad: {after_first} KiB, then {after_second} KiB");
    assert!(after_second < after_first + after_first / 4, "{after_first} {after_second}");

    // What was turned away left no record, what was recorded was signed, and what was signed was told.
    let others = usize::from(rustix::process::geteuid().is_root());
    for sql in [
        "SELECT COUNT(*) FROM drafts WHERE kind = 'leaf'",
        "SELECT COUNT(*) FROM drafts WHERE kind = 'leaf' AND state = 'done'",
    ] {
        assert_eq!(count(&appliance, sql) - before, issued + others, "{sql}");
    }
    verify(&appliance);
}
