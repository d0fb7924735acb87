//! The sandbox of a token agent: a process that loads code of somebody else and holds keys.
//!
//! It is entered once, by a process with one thread, before the module is loaded and before a PIN is
//! read. What one measure does not stop another one does: Landlock says which files, the filter of
//! system calls says that there is no other process, no socket and no file to write at all.

use std::path::PathBuf;

use super::memory_lock;
use super::reach::Reach;
use super::report::{Measure, Outcome, Report};
use super::system_calls::{self, SystemCalls};

/// What the process may still do afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// Folders and files that are read, besides the system's libraries.
    pub readable: Vec<PathBuf>,
    /// Folders and files that are read and written.
    pub writable: Vec<PathBuf>,
    /// System calls.
    pub system_calls: SystemCalls,
    /// Whether memory is locked.
    pub memory_lock: bool,
}

/// Why there is no sandbox. The process must not go on to load a module: part of the sandbox may be in
/// force.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Restrictions of files hold for one thread; the others would stay free.
    #[error(
        "the sandbox must be entered before any other thread is started; there are {0} threads"
    )]
    Threads(usize),
    /// The number of threads is not known.
    #[error("/proc/self/task cannot be read; mount /proc for the token agent")]
    Proc(#[source] std::io::Error),
    /// The process cannot be protected against inspection.
    #[error(transparent)]
    Inspection(#[from] super::Error),
    /// The kernel refused `PR_SET_NO_NEW_PRIVS`.
    #[error("the kernel does not let the process give up new privileges")]
    NoNewPrivileges(#[source] rustix::io::Errno),
    /// Landlock refused.
    #[error("the kernel refused to restrict which files the process can reach")]
    Files(#[from] landlock::RulesetError),
    /// No filter of system calls.
    #[error("system calls cannot be restricted")]
    SystemCalls(#[from] system_calls::Error),
}

impl Sandbox {
    /// Restricts the process until it ends.
    ///
    /// A kernel without Landlock and a low limit on locked memory are told in the report, because the
    /// agent is of use without them; a filter that was asked for and cannot be had is an error.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn enter(&self) -> Result<Report, Error> {
        let threads = std::fs::read_dir("/proc/self/task").map_err(Error::Proc)?.count();
        if threads != 1 {
            return Err(Error::Threads(threads));
        }
        let mut report = Report::default();
        super::harden()?;
        report.add(Measure::NoInspection, Outcome::Enforced);
        rustix::thread::set_no_new_privs(true).map_err(Error::NoNewPrivileges)?;
        report.add(Measure::NoNewPrivileges, Outcome::Enforced);
        let locked = if self.memory_lock { memory_lock::lock() } else { Outcome::SwitchedOff };
        report.add(Measure::MemoryLock, locked);
        let network = !matches!(self.system_calls, SystemCalls::SoftHsm { .. });
        let reach = Reach { readable: &self.readable, writable: &self.writable, network };
        reach.restrict(&mut report)?;
        // Last, since no list permits what was done so far.
        self.system_calls.install(!self.writable.is_empty())?;
        report.add(
            Measure::SystemCalls,
            match self.system_calls {
                SystemCalls::SoftHsm { .. } | SystemCalls::Vendor { .. } => Outcome::Enforced,
                SystemCalls::LogOnly { .. } | SystemCalls::Off => Outcome::SwitchedOff,
            },
        );
        Ok(report)
    }
}
