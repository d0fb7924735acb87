//! One process per service: the pid file, locked for as long as the process lives.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::base::ProcessIdentity;

/// Why the pid file could not be taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Another process holds it.
    #[error("{service} is running already{}; stop it first with `service-control --stop {service}`", in_process(.pid))]
    Running {
        /// The service.
        service: String,
        /// The other process, where the file says which.
        pid: Option<i32>,
    },
    /// It cannot be written, or this process cannot be identified.
    #[error("the pid file {} cannot be written", .path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        cause: io::Error,
    },
}

fn in_process(pid: &Option<i32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" as process {pid}"))
}

/// The locked file. Keep it until the process ends, whatever it ends by.
///
/// What it says stays where the process fails or panics: `sealwright run` knows by it which service died.
#[derive(Debug)]
pub(super) struct PidFile(File);

impl PidFile {
    /// Opens, locks and fills the file.
    ///
    /// # Errors
    /// See [`Error`].
    pub(super) fn take(path: &Path, service: &str) -> Result<Self, Error> {
        let unwritable = |cause| Error::Unwritable { path: path.to_owned(), cause };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(unwritable)?;
        if !lock(&file).map_err(unwritable)? {
            return Err(Error::Running { service: service.to_owned(), pid: holder(&mut file) });
        }
        let identity = own_identity().map_err(unwritable)?;
        let text =
            serde_json::to_string(&identity).map_err(io::Error::other).map_err(unwritable)?;
        // Whoever may open the file may lock it, and a locked file means a living service: so nobody
        // else may. Others ask the service itself.
        file.set_permissions(Permissions::from_mode(0o600))
            .and_then(|()| file.set_len(0))
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()))
            .map_err(unwritable)?;
        Ok(Self(file))
    }

    /// The service has ended because it was asked to: the file names nobody any more.
    pub(super) fn clear(self) {
        // Emptied, not removed: whoever has it open already waits for the lock of this very file.
        let _ = self.0.set_len(0);
    }
}

/// Takes the lock; false where another instance holds it.
///
/// Whoever asks for the status holds a shared lock for a moment. That is no instance, so it is
/// waited for.
fn lock(file: &File) -> io::Result<bool> {
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::Error(cause)) => return Err(cause),
            Err(TryLockError::WouldBlock) => {}
        }
        match file.try_lock_shared() {
            Ok(()) => file.unlock()?,
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(cause)) => return Err(cause),
        }
        std::thread::yield_now();
    }
}

fn holder(file: &mut File) -> Option<i32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str::<ProcessIdentity>(&text).ok().map(|identity| identity.pid)
}

fn own_identity() -> io::Result<ProcessIdentity> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let start_ticks = ProcessIdentity::start_ticks_in(&stat)
        .ok_or_else(|| io::Error::other("/proc/self/stat has an unknown form"))?;
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(ProcessIdentity {
        pid: std::process::id().cast_signed(),
        start_ticks,
        boot_id: boot_id.trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Error, PidFile, ProcessIdentity};

    #[test]
    fn a_second_instance_is_refused_and_told_which_process_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vmcad.pid");
        let first = PidFile::take(&path, "vmcad").unwrap();
        let refusal = PidFile::take(&path, "vmcad").unwrap_err();
        assert!(
            matches!(refusal, Error::Running { pid: Some(pid), .. } if pid == std::process::id().cast_signed())
        );
        assert!(refusal.to_string().contains("service-control --stop vmcad"), "{refusal}");

        let text = std::fs::read_to_string(&path).unwrap();
        let identity: ProcessIdentity = serde_json::from_str(&text).unwrap();
        assert!(identity.start_ticks > 0 && identity.boot_id.len() == 36);

        first.clear();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
        PidFile::take(&path, "vmcad").unwrap();
    }

    #[test]
    fn a_service_that_fails_or_panics_leaves_behind_who_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vmcad.pid");
        let named = || {
            let text = std::fs::read_to_string(&path).unwrap();
            serde_json::from_str::<ProcessIdentity>(&text).unwrap().pid
        };
        drop(PidFile::take(&path, "vmcad").unwrap());
        assert_eq!(named(), std::process::id().cast_signed());
        std::fs::write(&path, "").unwrap();
        let panicked = std::thread::scope(|scope| {
            let service = scope.spawn(|| {
                let _held = PidFile::take(&path, "vmcad").unwrap();
                panic!("as a service might");
            });
            service.join()
        });
        assert!(panicked.is_err());
        assert_eq!(named(), std::process::id().cast_signed());
        // Nobody holds it.
        PidFile::take(&path, "vmcad").unwrap();
    }

    #[test]
    fn somebody_who_only_looks_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vmcad.pid");
        let looking = std::fs::File::create(&path).unwrap();
        looking.lock_shared().unwrap();
        std::thread::scope(|scope| {
            let taken = scope.spawn(|| PidFile::take(&path, "vmcad").map(drop));
            looking.unlock().unwrap();
            taken.join().unwrap().unwrap();
        });
    }
}
