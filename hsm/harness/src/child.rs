//! This program once more, as another process: a token agent, or a worker that makes a key and ends.
//!
//! A test program cannot count on any other program being there, but it is there itself.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;

use hsm::agent::{Guard, Service, serve};
use hsm::provision::{Workshop, create_token};
use hsm::{Algorithm, KeyReference, Pin, Purpose, TokenConfig};
use rustix::process::{Pid, Signal, getpid, kill_process, kill_process_group};
use serde_json::{Value, json};

use crate::error::Asked;
use crate::{Failure, Home};

/// The test that [`crate::agent!`] declares.
const ENTRANCE: &str = "token_harness_agent";
const ROLE: &str = "TOKEN_HARNESS_ROLE";
const ORDER: &str = "TOKEN_HARNESS_ORDER";
const PLACE: &str = "TOKEN_HARNESS_PLACE";
const WORK: &str = "TOKEN_HARNESS_WORK";

/// Which token a child uses. Its environment says the rest.
pub(crate) struct Order {
    pub(crate) module: PathBuf,
    pub(crate) uri: String,
    pub(crate) pin: String,
    pub(crate) kind: String,
}

impl Order {
    fn words(&self) -> String {
        json!([self.module.display().to_string(), self.uri, self.pin, self.kind]).to_string()
    }

    /// The order that this process was started with.
    pub(crate) fn received() -> Option<(TokenConfig, String)> {
        let words = std::env::var(ORDER).ok()?;
        let [module, uri, pin, kind]: [String; 4] = serde_json::from_str(&words).ok()?;
        let config =
            TokenConfig { module: module.into(), uri: uri.parse().ok()?, pin: pin.parse().ok()? };
        Some((config, kind))
    }
}

/// This program with the token's environment. It runs the tests that its arguments name.
pub(crate) fn program(home: &Home) -> Result<Command, Failure> {
    let mut command = Command::new(std::env::current_exe().asked("find this program")?);
    command
        .envs(home.environment().iter().map(|(name, value)| (name, value)))
        .env(ORDER, home.order().words());
    Ok(command)
}

fn role(home: &Home, role: &str) -> Result<Command, Failure> {
    let mut command = program(home)?;
    // With a test program that is no libtest the words are lost, and its `main` finds the role.
    command.args([ENTRANCE, "--nocapture", "--test-threads=1"]).env(ROLE, role);
    Ok(command)
}

/// What the entrance of a child is for. Returns where this process is none.
///
/// [`crate::agent!`] calls it in a test program. In a program with a `main` of its own `main` calls it first of all.
pub fn agent_process() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let Some((config, kind)) = Order::received() else {
        return eprintln!("token harness: the order of a child process cannot be read");
    };
    let done = match role.as_str() {
        "listen" => listen(),
        "serve" => serve_one(config),
        "work" => perform(&config),
        other => Err(io::Error::other(format!("there is no role {other}"))),
    };
    if let Err(cause) = done {
        eprintln!("token harness: {role} ({kind}): {cause}");
        // Not by the way of `exit`: exit handlers of modules crash.
        let _ = kill_process(getpid(), Signal::TERM);
    }
}

/// A child that listens at `place` and starts an agent for each client. The leader of a group of processes.
pub(crate) fn listener(home: &Home, place: &std::path::Path) -> Result<Command, Failure> {
    use std::os::unix::process::CommandExt;
    let mut command = role(home, "listen")?;
    command
        .env(PLACE, place)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0);
    Ok(command)
}

fn listen() -> io::Result<()> {
    let place = place()?;
    // There under its name only when it listens.
    let unready = place.with_extension("unready");
    let _ = std::fs::remove_file(&unready);
    let listener = UnixListener::bind(&unready)?;
    std::fs::rename(&unready, &place)?;
    // Whoever started this process holds the other end, and takes it along however it ends.
    std::thread::spawn(|| {
        let _ = io::stdin().lock().read_to_end(&mut Vec::new());
        let _ = kill_process_group(getpid(), Signal::KILL);
    });
    let program = std::env::current_exe()?;
    loop {
        let (stream, _) = listener.accept()?;
        let mut agent = Command::new(&program);
        agent
            .args(std::env::args_os().skip(1))
            .env(ROLE, "serve")
            .stdin(Stdio::from(OwnedFd::from(stream)))
            .stdout(Stdio::null());
        let mut agent = agent.spawn()?;
        std::thread::spawn(move || agent.wait());
    }
}

fn serve_one(config: TokenConfig) -> io::Result<()> {
    let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let service = Service { token: Some(config), ..Service::default() };
    serve(stream, &service, Arc::new(Open))?;
    hsm::shut_down();
    Ok(kill_process(getpid(), Signal::KILL)?)
}

/// An agent for tests signs whatever it is asked to.
struct Open;

impl Guard for Open {
    fn enter(&self, _: &TokenConfig) -> Result<(), String> {
        Ok(())
    }

    fn judge(&self, _: Purpose, _: &KeyReference, _: &[u8]) -> Result<(), String> {
        Ok(())
    }

    fn judge_sealed(&self, _: Purpose, _: &[u8], _: &[u8]) -> Result<(), String> {
        Ok(())
    }
}

/// Has a child do a piece of work and waits for it. What it made, in the words of serde.
pub(crate) fn work(home: &Home, work: Value) -> Result<Value, Failure> {
    let place = home.folder().join("made");
    let _ = std::fs::remove_file(&place);
    let output = role(home, "work")?
        .env(PLACE, &place)
        .env(WORK, work.to_string())
        .stdin(Stdio::null())
        .output()
        .asked("start a child process")?;
    let Ok(made) = File::open(&place) else {
        return Err(no_child(output.status, Some(&output.stderr[..])));
    };
    let made: Value = serde_json::from_reader(made)
        .map_err(|cause| Failure::Said(format!("a child process did not finish: {cause}")))?;
    match made.get("failed").and_then(Value::as_str) {
        Some(why) => Err(Failure::Said(why.to_owned())),
        None => Ok(made),
    }
}

/// Why a child did nothing.
pub(crate) fn no_child(status: ExitStatus, stderr: Option<impl Read>) -> Failure {
    let mut told = String::new();
    if let Some(mut stderr) = stderr {
        let _ = stderr.read_to_string(&mut told);
    }
    if status.success() {
        return Failure::Said(format!(
            "this program has no entrance for the harness: write token_harness::agent!(); at the top of the test file, \
             or call token_harness::agent_process() first in main. {told}"
        ));
    }
    Failure::Said(format!("a child process of the harness ended ({status}): {told}"))
}

fn perform(config: &TokenConfig) -> io::Result<()> {
    let place = place()?;
    let work: Value = serde_json::from_str(&std::env::var(WORK).map_err(io::Error::other)?)?;
    let made = make(config, &work);
    hsm::shut_down();
    let made = made.unwrap_or_else(|cause| json!({ "failed": sentences(&*cause) }));
    // Whole or not at all.
    let unready = place.with_extension("unready");
    std::fs::write(&unready, made.to_string())?;
    std::fs::rename(&unready, &place)
}

fn make(
    config: &TokenConfig,
    work: &Value,
) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
    if let Some(label) = work.get("create").and_then(Value::as_str) {
        let user_pin = config.pin.read()?;
        create_token(&config.module, label, &Pin::random()?, &user_pin)?;
        return Ok(Value::Null);
    }
    let workshop = Workshop::open(config)?;
    if let Some(algorithm) = work.get("signing-key") {
        let algorithm: Algorithm = serde_json::from_value(algorithm.clone())?;
        let key = workshop.generate_signing_key("harness", algorithm)?;
        return Ok(serde_json::to_value(key)?);
    }
    let number = serde_json::from_value(work.get("sealing-keys").cloned().unwrap_or_default())?;
    Ok(serde_json::to_value(workshop.generate_generation("harness", number, None)?)?)
}

fn place() -> io::Result<PathBuf> {
    std::env::var_os(PLACE).map(PathBuf::from).ok_or_else(|| io::Error::other("no place was given"))
}

/// An error and its causes in one line.
pub(crate) fn sentences(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}

/// Sends a signal to a child and everything below it.
pub(crate) fn signal(leader: u32, signal: Signal) -> Result<(), Failure> {
    let Some(group) = i32::try_from(leader).ok().and_then(Pid::from_raw) else { return Ok(()) };
    match kill_process_group(group, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(cause) => Err(io::Error::from(cause)).asked("signal the agent"),
    }
}
