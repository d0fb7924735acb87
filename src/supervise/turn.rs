//! One at a time: the right to start and stop.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

use super::launch;
use super::pid_file::{self, Found};
use super::stop::{self, End};
use super::{By, Error, Supervisor};
use crate::api::Health;
use crate::base::Service;

/// The right to start and stop services; at most one process of an appliance has it.
///
/// A service on its way has it too, through its standard input, until its pid file says who it is:
/// otherwise whoever comes after a starter that was killed would find nothing to stop.
#[derive(Debug)]
pub struct Turn<'a> {
    supervisor: &'a Supervisor,
    lock: File,
}

/// A service that was asked to start runs.
#[derive(Debug)]
pub enum Started {
    /// It was started, and said this about itself; nothing where systemd started it.
    Now(Option<Health>),
    /// It ran already.
    Already(Option<Health>),
}

impl Started {
    /// What the service said about itself.
    pub const fn health(&self) -> Option<&Health> {
        match self {
            Self::Now(health) | Self::Already(health) => health.as_ref(),
        }
    }
}

/// A service that was asked to stop does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It ended when it was asked to.
    Now,
    /// It did not end when it was asked to, and was killed.
    Killed,
    /// It did not run.
    Already,
}

impl<'a> Turn<'a> {
    pub(super) fn take(supervisor: &'a Supervisor, waiting: impl FnOnce()) -> Result<Self, Error> {
        let folder = supervisor.layout.run();
        let failed = |cause| Error::Machine {
            what: format!("the run folder {} cannot be used; are you root?", folder.display()),
            cause,
        };
        // /run is empty after the machine was started. Every caller must get through to the sockets,
        // whatever umask the operator has.
        if !folder.is_dir() {
            std::fs::create_dir_all(&folder)
                .and_then(|()| std::fs::set_permissions(&folder, Permissions::from_mode(0o755)))
                .map_err(failed)?;
        }
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(folder.join("service-control.lock"))
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                waiting();
                lock.lock().map_err(failed)?;
            }
            Err(TryLockError::Error(cause)) => return Err(failed(cause)),
        }
        Ok(Self { supervisor, lock })
    }

    /// Starts a service and waits until it serves. One that runs already is left alone.
    ///
    /// # Errors
    /// It ended, or does not serve in time; the error carries the end of its log.
    pub fn start(&self, service: Service) -> Result<Started, Error> {
        let layout = &self.supervisor.layout;
        let programs = match &self.supervisor.by {
            By::Systemd(systemctl) => return systemctl.start(service),
            By::Ourselves { programs } => programs,
        };
        let file = layout.pid_file(service);
        match pid_file::look(&file)? {
            Found::Nobody => {}
            Found::Untrusted(why) => return Err(Error::Untrusted { file, why }),
            Found::Hidden => return Err(not_yours(&file)),
            // It may still be on its way, started by somebody else.
            Found::Living(process) => {
                if let Some(health) = launch::already(layout, service, &process)? {
                    return Ok(Started::Already(Some(health)));
                }
            }
        }
        launch::start(layout, programs, service, &self.lock)
            .map(|health| Started::Now(Some(health)))
    }

    /// Stops a service: asks it to end, waits, and kills it if it must be. One that does not run is
    /// no error.
    ///
    /// # Errors
    /// The pid file names no process that can be trusted, or the process cannot be signalled.
    pub fn stop(&self, service: Service) -> Result<Stopped, Error> {
        if let By::Systemd(systemctl) = &self.supervisor.by {
            return systemctl.stop(service);
        }
        let file = self.supervisor.layout.pid_file(service);
        match pid_file::look(&file)? {
            Found::Nobody => Ok(Stopped::Already),
            Found::Untrusted(why) => Err(Error::Untrusted { file, why }),
            Found::Hidden => Err(not_yours(&file)),
            Found::Living(process) => Ok(match stop::end(service, &process)? {
                End::Graceful => Stopped::Now,
                End::Killed => Stopped::Killed,
            }),
        }
    }
}

fn not_yours(file: &std::path::Path) -> Error {
    Error::Machine {
        what: format!("{} cannot be read; are you root?", file.display()),
        cause: std::io::ErrorKind::PermissionDenied.into(),
    }
}
