//! One set-up at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use super::{Cause, Error, Step, files};
use crate::base::Layout;

/// A set-up that was killed while it started a process holds the lock through that process for a
/// moment longer: until it has become another program.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(100);

/// The right to set up; ends with the process at the latest.
#[derive(Debug)]
pub(super) struct Lock {
    _held: File,
}

impl Lock {
    /// Takes it, or says that somebody else has it. Makes the folder it lies in.
    pub(super) fn take(layout: &Layout) -> Result<Self, Error> {
        let stopped = |cause| Error::Stopped { step: Step::Folders, cause };
        files::folder(&layout.state(), files::PASSAGE).map_err(stopped)?;
        let path = layout.init_lock();
        let unusable = || Cause::file("cannot lock", &path);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|cause| stopped(unusable()(cause)))?;
        for _ in 0..ATTEMPTS {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _held: file }),
                Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
                Err(TryLockError::Error(cause)) => return Err(stopped(unusable()(cause))),
            }
        }
        Err(Error::Busy)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Error, Lock};
    use crate::base::Layout;

    #[test]
    fn the_second_is_told_that_the_first_is_at_it() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::under(root.path());
        let first = Lock::take(&layout).unwrap();
        assert!(matches!(Lock::take(&layout), Err(Error::Busy)));
        drop(first);
        Lock::take(&layout).unwrap();
    }
}
