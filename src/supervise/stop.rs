//! Stopping a process: asked first, killed if it does not listen.

use std::time::Duration;

use rustix::process::Signal;

use super::Error;
use super::process::Process;
use crate::base::Service;

/// Time for finishing the requests in flight.
const GRACE: Duration = Duration::from_secs(20);
/// Time for the kernel to clear away a killed process.
const AFTER_KILL: Duration = Duration::from_secs(10);

/// Whether it ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// After SIGTERM.
    Graceful,
    /// Only after SIGKILL.
    Killed,
}

/// SIGTERM, a while to finish, then SIGKILL.
pub(super) fn end(service: Service, process: &Process) -> Result<End, Error> {
    let failed = |cause| Error::Machine {
        what: format!("{service} (process {}) cannot be stopped; are you root?", process.id()),
        cause,
    };
    let mut end = End::Graceful;
    process.signal(Signal::TERM).map_err(failed)?;
    if !process.ends_within(GRACE).map_err(failed)? {
        process.signal(Signal::KILL).map_err(failed)?;
        if !process.ends_within(AFTER_KILL).map_err(failed)? {
            return Err(Error::Unkillable { service, process: process.id() });
        }
        end = End::Killed;
    }
    process.reap();
    Ok(end)
}
