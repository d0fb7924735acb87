//! Whose pid file this is, and whether to believe it.
//!
//! A service locks its pid file for as long as it lives and writes into it who it is. The file is
//! believed only if all of that holds now: a file left behind names a number that may belong to
//! anybody by now.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::process::Pid;

use super::Error;
use super::process::{Process, boot_id};
use crate::base::ProcessIdentity;

/// The largest record that is read; real ones have about 80 octets.
const LARGEST: u64 = 4096;

/// What a pid file says about its service.
#[derive(Debug)]
pub(super) enum Found {
    /// No file, or one without a lock: the service does not live. A file left behind stays where it
    /// is. Removing it could take the file away from a service that has it open and is about to lock
    /// it, and then two could run.
    Nobody,
    /// The service, alive, held so that nothing else can be hit.
    Living(Process),
    /// Locked by somebody, but not by the process it names. Never signalled.
    Untrusted(String),
    /// Not for the eyes of this user, who can only ask the service itself.
    Hidden,
}

/// Looks at a pid file.
pub(super) fn look(path: &Path) -> Result<Found, Error> {
    let mut file = match open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Found::Nobody),
        Err(cause) if cause.kind() == ErrorKind::PermissionDenied => return Ok(Found::Hidden),
        Err(cause) => return Err(unreadable(path, cause)),
    };
    // A shared lock, so that two who look at the same time do not take each other for the service.
    match file.try_lock_shared() {
        Ok(()) => return Ok(Found::Nobody),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(cause)) => return Err(unreadable(path, cause)),
    }
    let mut text = String::new();
    if let Err(cause) = (&mut file).take(LARGEST).read_to_string(&mut text) {
        return Err(unreadable(path, cause));
    }
    let Ok(record) = serde_json::from_str::<ProcessIdentity>(&text) else {
        return Ok(Found::Untrusted("it does not say (yet) which process holds it".to_owned()));
    };
    match believe(&record).map_err(|cause| unreadable(path, cause))? {
        Ok(process) => Ok(Found::Living(process)),
        Err(why) => Ok(Found::Untrusted(why)),
    }
}

/// The process that wrote a pid file last, if it is still in the process table: it lives, or has ended and nobody has
/// collected it. A service that is asked to end empties its file; one that fails, panics or is killed does not.
pub(super) fn last(path: &Path) -> Option<Process> {
    let mut text = String::new();
    open(path).ok()?.take(LARGEST).read_to_string(&mut text).ok()?;
    believe(&serde_json::from_str(&text).ok()?).ok()?.ok()
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(path)
}

/// The order matters: first take hold of whoever has the number now, then check that this is the one
/// who was meant. A process that got the number later started later, and fails the check.
pub(super) fn believe(record: &ProcessIdentity) -> std::io::Result<Result<Process, String>> {
    if record.boot_id != boot_id()? {
        return Ok(Err("it was written before the machine was started".to_owned()));
    }
    // Zero and negative numbers would mean groups of processes.
    let number = Some(record.pid).filter(|pid| *pid > 0).and_then(Pid::from_raw);
    let Some(process) = number.map_or(Ok(None), Process::open)? else {
        return Ok(Err(format!("the process that it names, {}, is gone", record.pid)));
    };
    Ok(if process.start_ticks()? == Some(record.start_ticks) {
        Ok(process)
    } else {
        Err(format!("process {} is not the one that wrote it", record.pid))
    })
}

fn unreadable(path: &Path, cause: std::io::Error) -> Error {
    Error::Machine { what: format!("{} cannot be read; are you root?", path.display()), cause }
}
