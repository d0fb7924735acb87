//! A real token agent in the sandbox: SoftHSM signs, seals and opens, and is finalised at the end.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hsm::agent::{Ended, Guard, Service};
use hsm::provision::{Workshop, create_token};
use hsm::{
    Algorithm, Deadlines, KeyGeneration, KeyReference, Launch, Pin, Program, Purpose, Token,
    TokenConfig,
};
use sealwright::config::TokenSection;
use sealwright::hardening::Measure;

use crate::parent::command;
use crate::world::{CASE, FOLDER};

/// The agent itself; the process that started it and waits for its end; the maker of its keys.
const AGENT: &str = "agent";
const WATCHED: &str = "watched agent";
const MAKER: &str = "maker of keys";

/// At this message the agent does what is not on the list.
const STRAY: &[u8] = b"start a program";

/// Only a bound: a wait ends as soon as the fact is there.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// The end of an agent whose client hung up.
const WELL: &str = "exit status: 0";

const ALGORITHMS: [Algorithm; 5] = [
    Algorithm::P256,
    Algorithm::P384,
    Algorithm::Rsa(2048),
    Algorithm::Rsa(3072),
    Algorithm::Rsa(4096),
];

struct Sandboxed(TokenSection);

impl Guard for Sandboxed {
    fn enter(&self, _: &TokenConfig) -> Result<(), String> {
        let report = self
            .0
            .agent_sandbox(None)
            .enter()
            .map_err(|error| sealwright::base::sentences(&error))?;
        eprintln!("{}", report.summary());
        match report.absent.is_empty() && report.outcome(Measure::SystemCalls).is_some() {
            true => Ok(()),
            false => Err(report.summary()),
        }
    }

    fn judge(&self, _: Purpose, _: &KeyReference, message: &[u8]) -> Result<(), String> {
        if message == STRAY {
            let _ = Command::new("/bin/true").status();
        }
        Ok(())
    }

    fn judge_sealed(&self, _: Purpose, _: &[u8], _: &[u8]) -> Result<(), String> {
        Ok(())
    }
}

/// Whether the process is one of these, and what it does then.
pub fn child(name: &str) -> Option<ExitCode> {
    let folder = PathBuf::from(std::env::var_os(FOLDER)?);
    match name {
        AGENT => serve(&folder),
        WATCHED => watch(&folder),
        MAKER => make_keys(&folder),
        _ => return None,
    }
    Some(ExitCode::SUCCESS)
}

/// The lines of `sealwright token-agent` that matter here: serve the client on standard input, finalise the module, and
/// leave by the end of main, so that exit handlers run in the sandbox too.
fn serve(folder: &Path) {
    let stream = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap());
    let guard = Sandboxed(section(folder));
    let ended = hsm::agent::serve(stream, &Service::default(), Arc::new(guard)).unwrap();
    assert_eq!(ended, Ended::Idle);
    hsm::shut_down();
}

/// Nobody else learns how the agent ended.
fn watch(folder: &Path) {
    let ended = command(AGENT).status().unwrap();
    let mut record =
        fs::OpenOptions::new().create(true).append(true).open(folder.join("ended")).unwrap();
    // One write for the line: agents that end at the same moment share the record.
    record.write_all(format!("{ended}\n").as_bytes()).unwrap();
}

fn module() -> PathBuf {
    let chosen = std::env::var_os("SOFTHSM2_MODULE");
    chosen.unwrap_or_else(|| "/usr/lib/softhsm/libsofthsm2.so".into()).into()
}

fn section(folder: &Path) -> TokenSection {
    let at = |name: &str| folder.join(name).display().to_string();
    toml::from_str(&format!(
        "module = '{}'\nuri = 'pkcs11:token=t'\npin = 'file:{}'\ndirectory = '{}'\n\
         [environment]\nSOFTHSM2_CONF = '{}'\n",
        module().display(),
        at("pin"),
        at("tokens"),
        at("softhsm2.conf")
    ))
    .unwrap()
}

/// In a process of its own, so that the one that runs the tests loads no module.
fn make_keys(folder: &Path) {
    let pin = Pin::random().unwrap();
    create_token(&module(), "t", &Pin::random().unwrap(), &pin).unwrap();
    let mut file = fs::OpenOptions::new();
    let mut file = file.write(true).create_new(true).mode(0o600).open(folder.join("pin")).unwrap();
    file.write_all(pin.expose_secret().as_bytes()).unwrap();
    let workshop = Workshop::open(&section(folder).selection().unwrap()).unwrap();
    for (number, algorithm) in ALGORITHMS.into_iter().enumerate() {
        let key = workshop.generate_signing_key("issuer", algorithm).unwrap();
        fs::write(folder.join(format!("{number}.id")), key.id.to_string()).unwrap();
        fs::write(folder.join(format!("{number}.spki")), key.public_key).unwrap();
    }
    let keys = workshop.generate_generation("sealwright", 1, None).unwrap().keys;
    fs::write(folder.join("sealing.id"), keys.sealing.to_string()).unwrap();
    fs::write(folder.join("wrapping.id"), keys.wrapping.to_string()).unwrap();
    drop(workshop);
    hsm::shut_down();
}

/// A token with its keys, and what was learnt about its agents.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        assert!(
            module().exists(),
            "SoftHSM is missing: install the package softhsm2, or set SOFTHSM2_MODULE to the path of libsofthsm2.so"
        );
        let bench = Self(tempfile::tempdir().unwrap());
        fs::create_dir(bench.0.path().join("tokens")).unwrap();
        let text = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = INFO\n",
            bench.0.path().join("tokens").display()
        );
        fs::write(bench.0.path().join("softhsm2.conf"), text).unwrap();
        let made = command(MAKER).envs(bench.environment()).status().unwrap();
        assert!(made.success(), "the keys could not be made: {made}");
        bench
    }

    fn environment(&self) -> BTreeMap<std::ffi::OsString, std::ffi::OsString> {
        let folder = self.0.path();
        let mut all = BTreeMap::from([
            (FOLDER.into(), folder.into()),
            ("SOFTHSM2_CONF".into(), folder.join("softhsm2.conf").into()),
        ]);
        all.extend(
            std::env::var_os("SOFTHSM2_MODULE").map(|path| ("SOFTHSM2_MODULE".into(), path)),
        );
        all
    }

    fn token(&self) -> Arc<Token> {
        let mut environment = self.environment();
        environment.insert(CASE.into(), WATCHED.into());
        let program = Program {
            program: std::env::current_exe().unwrap(),
            arguments: Vec::new(),
            environment,
            token: section(self.0.path()).selection().unwrap(),
        };
        Token::through(Launch::Program(program), Deadlines::default())
    }

    fn issuer(&self, number: usize) -> KeyReference {
        let read = |kind: &str| fs::read(self.0.path().join(format!("{number}.{kind}"))).unwrap();
        KeyReference {
            id: String::from_utf8(read("id")).unwrap().parse().unwrap(),
            public_key: read("spki"),
        }
    }

    fn generation(&self) -> KeyGeneration {
        let [sealing, wrapping] = ["sealing.id", "wrapping.id"]
            .map(|name| fs::read_to_string(self.0.path().join(name)).unwrap().parse().unwrap());
        KeyGeneration { number: 1, sealing, wrapping }
    }

    /// How every agent ended, once the last one ended well.
    fn ended(&self) -> Vec<String> {
        let patience = Instant::now() + PATIENCE;
        loop {
            let text = fs::read_to_string(self.0.path().join("ended")).unwrap_or_default();
            let ended: Vec<String> = text.lines().map(str::to_owned).collect();
            if ended.last().is_some_and(|last| last == WELL) || Instant::now() > patience {
                return ended;
            }
            std::thread::sleep(PAUSE);
        }
    }
}

pub fn a_token_works() {
    let bench = Bench::new();
    let token = bench.token();
    let issuers: Vec<_> =
        (0..ALGORITHMS.len()).map(|number| token.signing_key(bench.issuer(number))).collect();
    let keys = token.sealing_keys(bench.generation());
    std::thread::scope(|scope| {
        for thread in 0..16_usize {
            let (issuers, keys, token) = (&issuers, &keys, &token);
            scope.spawn(move || {
                for round in 0..10 {
                    let issuer = &issuers[(thread + round) % issuers.len()];
                    // The agent verifies before it releases.
                    let message = format!("{thread} {round}");
                    let signature = issuer.sign(Purpose::Content, message.as_bytes()).unwrap();
                    assert!(!signature.is_empty());
                    let secret = vec![thread as u8; 1 + 4000 * round];
                    let sealed = keys.seal(message.as_bytes(), &secret).unwrap();
                    assert_eq!(keys.open(message.as_bytes(), &sealed).unwrap().as_slice(), secret);
                    let mut drawn = [0; 32];
                    token.random(&mut drawn).unwrap();
                    assert_ne!(drawn, [0; 32]);
                }
            });
        }
    });
    for algorithm in ALGORITHMS {
        let made = keys.generate(algorithm, b"row").unwrap();
        let moved = keys.reseal(&keys, b"row", b"another row", &made.sealed).unwrap();
        assert!(!keys.open(b"another row", &moved).unwrap().is_empty());
    }
    token.check().unwrap();
    // A fresh agent in place of this one: the former one ends by itself.
    token.reload().unwrap();
    drop((issuers, keys, token));
    let ended = bench.ended();
    assert!(!ended.is_empty() && ended.iter().all(|status| status == WELL), "{ended:?}");
}

pub fn a_stray_agent_is_ended() {
    let bench = Bench::new();
    let token = bench.token();
    let issuer = token.signing_key(bench.issuer(0));
    issuer.sign(Purpose::Content, b"before").unwrap();
    let refusal = issuer.sign(Purpose::Content, STRAY).unwrap_err();
    assert!(matches!(refusal, hsm::Error::Unavailable(_)), "{refusal:?}");
    // A client starts no agent at once after one that failed.
    let patience = Instant::now() + PATIENCE;
    while let Err(error) = issuer.sign(Purpose::Content, b"after") {
        assert!(Instant::now() < patience, "no fresh agent: {error:?}");
        std::thread::sleep(PAUSE);
    }
    drop((issuer, token));
    let ended = bench.ended();
    assert!(ended[0].contains("signal: 31"), "SIGSYS was due: {ended:?}");
    assert_eq!(ended.last().unwrap(), WELL, "{ended:?}");
}
