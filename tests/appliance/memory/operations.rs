//! What is done with secrets, one line for each operation.

use super::SERVICES;
use crate::harness::{Appliance, HOST, judge};

/// An appliance with canary keys as files `ec.priv` and `rsa.priv`, and an entry for each of them.
pub struct Stage {
    pub appliance: Appliance,
}

/// The canary keys.
pub const KEYS: [&str; 2] = ["ec", "rsa"];

/// Something that is done with a secret, or beside it.
pub struct Operation {
    pub name: &'static str,
    /// The processes that may hold a canary key in plain memory while it lasts. Nobody afterwards.
    pub key_holders: &'static [&'static str],
    /// The same for PINs.
    pub pin_holders: &'static [&'static str],
    /// Done again and again while memory is searched; the number grows.
    pub run: fn(&Stage, usize),
}

const NOBODY: &[&str] = &[];
/// Who logs in to a token: a service, or a child of it.
const TOKEN_USERS: &[&str] =
    &["vmcad", "vmafdd", "sealwright of vmcad", "sealwright of vmafdd", "vmcad of vmcad"];
/// Who attacks the tokens with their PINs, in a child process.
const DOCTOR: &[&str] = &["sealwright", "sealwright of sealwright"];

/// Who seals or opens: the service, and its token agent, whose module copies what it is given for as long as
/// `C_Encrypt` or `C_Decrypt` lasts.
const SEALERS: &[&str] = &["vmafdd", AGENT];
/// The same with the tool that brings or fetches the key.
const BRINGERS: &[&str] = &["vecs-cli", "vmafdd", AGENT];
const AGENT: &str = "sealwright of vmafdd";

/// New operations are added here.
pub const OPERATIONS: &[Operation] = &[
    operation("genkey", &["certool"], genkey),
    operation("gencert", &["certool"], gencert),
    operation("entry create", BRINGERS, create),
    operation("entry create, refused", &["vecs-cli", "vmafdd"], create_refused),
    operation("entry getkey", BRINGERS, getkey),
    operation("entry list", NOBODY, list),
    operation("entry delete", BRINGERS, delete),
    operation("entry generate", NOBODY, generate),
    operation("entry sign", &[AGENT], sign),
    Operation { pin_holders: TOKEN_USERS, ..operation("rewrap", SEALERS, rewrap) },
    operation("TLS handshake", NOBODY, handshake),
    operation("backup", NOBODY, backup),
    Operation { pin_holders: DOCTOR, ..operation("doctor", NOBODY, doctor) },
    Operation { pin_holders: TOKEN_USERS, ..operation("restart", NOBODY, restart) },
];

const fn operation(
    name: &'static str,
    key_holders: &'static [&'static str],
    run: fn(&Stage, usize),
) -> Operation {
    Operation { name, key_holders, pin_holders: NOBODY, run }
}

impl Stage {
    pub fn set(appliance: Appliance) -> Self {
        let stage = Self { appliance };
        for (key, algorithm) in KEYS.into_iter().zip(["p-256", "rsa-2048"]) {
            let file = format!("{key}.priv");
            stage.certool(&["--genkey", "--privkey", &file, "--key-algorithm", algorithm]);
            stage.appliance.machine_config(&format!("{key}.cfg"), HOST);
            gencert_of(&stage, key);
        }
        stage.appliance.certificate("stranger");
        stage
    }

    fn certool(&self, words: &[&str]) {
        self.appliance.ok("certool", words);
    }

    fn entry(&self, act: &str, alias: &str, more: &[&str]) -> String {
        let place = ["entry", act, "--store", "machine", "--alias", alias];
        self.appliance.ok("vecs-cli", &[&place[..], more].concat())
    }

    fn create(&self, alias: &str, key: &str) {
        let (certificate, private) = (format!("{key}.crt"), format!("{key}.priv"));
        self.entry("create", alias, &["--cert", &certificate, "--key", &private]);
    }
}

fn gencert_of(stage: &Stage, key: &str) {
    let [private, certificate, config] = ["priv", "crt", "cfg"].map(|end| format!("{key}.{end}"));
    let files = ["--privkey", &private, "--cert", &certificate, "--config", &config];
    stage.certool(&[&["--gencert", "--Name", key][..], &files].concat());
}

fn genkey(stage: &Stage, _: usize) {
    stage.certool(&["--genkey", "--privkey", "other.priv", "--key-algorithm", "p-256"]);
}

fn gencert(stage: &Stage, round: usize) {
    gencert_of(stage, KEYS[round % 2]);
}

fn create(stage: &Stage, round: usize) {
    for key in KEYS {
        stage.create(&format!("{key}-{round}"), key);
    }
}

fn create_refused(stage: &Stage, _: usize) {
    let words = ["entry", "create", "--store", "machine", "--alias", "refused"];
    for key in KEYS {
        let private = format!("{key}.priv");
        let files = ["--cert", "stranger.crt", "--key", &private];
        stage.appliance.vecs_fails(&[&words[..], &files].concat(), 90018);
    }
}

fn getkey(stage: &Stage, _: usize) {
    for key in KEYS {
        let said = stage.entry("getkey", &format!("{key}-0"), &[]);
        assert!(said.contains("BEGIN PRIVATE KEY"));
    }
}

fn list(stage: &Stage, _: usize) {
    stage.appliance.ok("vecs-cli", &["entry", "list", "--store", "machine", "--text"]);
}

fn delete(stage: &Stage, round: usize) {
    stage.create(&format!("gone-{round}"), KEYS[round % 2]);
    let place = ["entry", "delete", "--store", "machine", "--alias"];
    stage.appliance.ok("vecs-cli", &[&place[..], &[&format!("gone-{round}"), "-y"]].concat());
}

fn generate(stage: &Stage, round: usize) {
    let words = ["--config", "ec.cfg", "--key-algorithm", "p-256"];
    stage.entry("generate", &format!("born-{round}"), &words);
}

/// A canary key goes into the token, which signs with it. Nobody else opens it.
fn sign(stage: &Stage, round: usize) {
    let out = format!("{round}.sig");
    stage.entry("sign", "ec-0", &["--in", "ec.crt", "--out", &out]);
}

/// Every canary key is opened and sealed anew, by the token agent.
fn rewrap(stage: &Stage, _: usize) {
    stage.appliance.ok("sealwright", &["rewrap"]);
}

fn handshake(stage: &Stage, _: usize) {
    let port = stage.appliance.port;
    let (name, place) =
        (format!("{HOST}:{port}:127.0.0.1"), format!("https://{HOST}:{port}/healthz"));
    let words = ["--silent", "--show-error", "--insecure", "--resolve", &name[..], &place[..]];
    assert!(judge("curl", &words).contains("ok"));
}

fn backup(stage: &Stage, round: usize) {
    stage.appliance.ok("sealwright", &["backup", "--out", &format!("{round}.swbackup")]);
}

fn doctor(stage: &Stage, _: usize) {
    let said = stage.appliance.run("sealwright", &["doctor", "--json"]);
    assert!(said.stdout.contains("findings"), "{said:?}");
}

fn restart(stage: &Stage, round: usize) {
    stage.appliance.ok("service-control", &["--restart", SERVICES[round % SERVICES.len()]]);
}
