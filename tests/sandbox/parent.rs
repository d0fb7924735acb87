//! Starts the processes in which cases run, and judges how they ended.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::cases::{Case, Ends};
use crate::world::{CASE, ENTERED, FOLDER, PORT, SURVIVED};

pub fn command(case: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(CASE, case).env_remove("RUST_BACKTRACE");
    command
}

pub fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["token", "outside", "writable"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("token/key"), "key").unwrap();
    fs::write(folder.path().join("outside/secret"), "secret").unwrap();
    folder
}

/// Runs a case and compares its end with what is due.
pub fn expect(case: &Case) -> Result<(), String> {
    let folder = folder();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let output = command(case.name)
        .env(FOLDER, folder.path())
        .env(PORT, listener.local_addr().unwrap().port().to_string())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr).into_owned();
    for line in complained.lines().filter(|line| line.starts_with("LOUD")) {
        eprintln!("{line}");
    }
    let survived = said.contains(SURVIVED);
    let as_expected = match case.ends {
        Ends::Well => output.status.success() && survived,
        Ends::Killed => {
            output.status.signal() == Some(Signal::SYS.as_raw())
                && said.contains(ENTERED)
                && !survived
        }
    };
    // Whatever a case tries, this must be as it was.
    let kept = fs::read_to_string(folder.path().join("token/key")).ok().as_deref() == Some("key")
        && fs::read_dir(folder.path().join("token")).unwrap().count() == 1;
    match (as_expected, kept) {
        (true, true) => Ok(()),
        (false, _) => {
            Err(format!("{} ({:?} was due):\n{said}{complained}", output.status, case.ends))
        }
        (true, false) => Err(format!("the token's folder was changed:\n{said}{complained}")),
    }
}

/// `/proc/PID/status` while the process is inside, as the doctor reads it.
pub fn look_from_outside() -> Result<(), String> {
    let folder = folder();
    let mut child = command(crate::cases::WAITING)
        .env(FOLDER, folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().and_then(Result::ok);
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    // The case waits for this line.
    let _ = child.stdin.take().unwrap().write_all(b"go on\n");
    let second = lines.next().and_then(Result::ok);
    let ended = child.wait().unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.map(|line| line.trim().to_owned()).unwrap_or_default()
    };
    let wrong = |what: &str| Err(format!("{what}: {first:?} {second:?} {ended}\n{status}"));
    if first.as_deref() != Some(ENTERED) || !ended.success() {
        return wrong("the case failed");
    }
    if field("NoNewPrivs:") != "1" || field("Seccomp:") != "2" {
        return wrong("not restricted");
    }
    let locked = field("VmLck:").split(' ').next().and_then(|kilobytes| kilobytes.parse().ok());
    match (second.as_deref(), locked.unwrap_or(0_u64)) {
        (Some("locked"), 0) => wrong("nothing is locked, against the report"),
        (Some("locked"), _) => Ok(()),
        _ => {
            eprintln!("LOUD: memory cannot be locked here; NOT tested");
            Ok(())
        }
    }
}
