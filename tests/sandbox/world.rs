//! What a case finds, and the process in which it runs.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use sealwright::hardening::{Report, Sandbox, SystemCalls};

use crate::{agent, cases};

/// Which case the process is to run.
pub const CASE: &str = "SANDBOX_CASE";
/// The folder with `token/key`, `outside/secret` and `writable/`.
pub const FOLDER: &str = "SANDBOX_FOLDER";
/// A TCP port of 127.0.0.1 on which somebody listens.
pub const PORT: &str = "SANDBOX_PORT";

pub const ENTERED: &str = "entered";
pub const SURVIVED: &str = "survived";

pub fn case() -> Option<String> {
    std::env::var(CASE).ok()
}

/// Runs a case in this process, on its main thread.
pub fn child(name: &str) -> ExitCode {
    if let Some(code) = agent::child(name) {
        return code;
    }
    let case = cases::ALL.iter().find(|case| case.name == name).expect("an unknown case");
    (case.body)(&World { folder: std::env::var_os(FOLDER).unwrap().into() });
    say(SURVIVED);
    ExitCode::SUCCESS
}

pub fn say(word: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{word}").unwrap();
    out.flush().unwrap();
}

pub struct World {
    folder: PathBuf,
}

impl World {
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn port(&self) -> u16 {
        std::env::var(PORT).unwrap().parse().unwrap()
    }

    pub fn sandbox(&self, system_calls: SystemCalls) -> Sandbox {
        Sandbox {
            readable: vec![self.path("token")],
            writable: Vec::new(),
            system_calls,
            memory_lock: true,
        }
    }

    pub fn enter(&self, system_calls: SystemCalls) -> Report {
        self.enter_as(&self.sandbox(system_calls))
    }

    pub fn enter_as(&self, sandbox: &Sandbox) -> Report {
        let report = sandbox.enter().unwrap();
        say(ENTERED);
        eprintln!("{}", report.summary());
        report
    }
}

pub fn softhsm(also: &[&str]) -> SystemCalls {
    let also = also.iter().map(|name| (*name).to_owned().try_into().unwrap()).collect();
    SystemCalls::SoftHsm { also }
}

pub fn vendor() -> SystemCalls {
    SystemCalls::Vendor { also: Vec::new() }
}

pub fn log() -> SystemCalls {
    SystemCalls::LogOnly { also: Vec::new() }
}
