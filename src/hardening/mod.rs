//! Floor 1: the first thing that every program of ours does: no secret of this process may reach a disk or
//! another user. And what processes give up: services writing ([`confinement`]), token agents nearly
//! everything ([`Sandbox`]).

pub mod confinement;
mod memory_lock;
mod reach;
mod report;
mod sandbox;
mod system_calls;

pub use report::{Absent, Measure, Outcome, Report, Standing};
pub use sandbox::{Error as SandboxError, Sandbox};
pub use system_calls::{Error as SystemCallsError, SystemCallName, SystemCalls, UnknownSystemCall};

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit};

/// A protection that the kernel did not give.
#[derive(Debug, thiserror::Error)]
#[error("this process cannot be protected against {against}; it does not start without that")]
pub struct Error {
    against: &'static str,
    #[source]
    cause: Option<rustix::io::Errno>,
}

/// Forbids core dumps and inspection by other processes of the same user, makes every file that
/// is created from now on private to its owner, and lets the process lock as much memory as it may.
///
/// With `PR_SET_DUMPABLE` off, `/proc/PID` belongs to root: only root can still look inside. Program
/// start undoes it, so that every program of ours does this for itself.
///
/// # Errors
/// The kernel refused, or says afterwards that it did not obey.
pub fn harden() -> Result<(), Error> {
    let refused = |against| move |cause| Error { against, cause: Some(cause) };
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Core, none).map_err(refused("core dumps"))?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(refused("inspection by other processes"))?;
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    // Secrets live in locked pages. Nothing is lost if this fails: the crate `secret-memory` says what it got.
    let lockable = rustix::process::getrlimit(Resource::Memlock);
    let _kept = rustix::process::setrlimit(
        Resource::Memlock,
        Rlimit { current: lockable.maximum, maximum: lockable.maximum },
    );
    if rustix::process::getrlimit(Resource::Core) != none {
        return Err(Error { against: "core dumps", cause: None });
    }
    match rustix::process::dumpable_behavior() {
        Ok(DumpableBehavior::NotDumpable) => Ok(()),
        other => Err(Error { against: "inspection by other processes", cause: other.err() }),
    }
}
