//! One at a time: the right to start and stop.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::time::Duration;

use super::pid_file::{self, Found};
use super::stop::{End, end};
use super::{By, Error, Supervisor};
use super::{launch, marker};
use crate::api::Health;
use crate::base::Service;

/// How long to wait between two tries to have the turn.
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

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
    pub(super) fn take(
        supervisor: &'a Supervisor,
        waiting: impl FnOnce(),
        given_up: &mut dyn FnMut() -> bool,
    ) -> Result<Self, Error> {
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
        let mut waiting = Some(waiting);
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(cause)) => return Err(failed(cause)),
            }
            // Tried again and again: a wait for the lock itself cannot be given up.
            if let Some(waiting) = waiting.take() {
                waiting();
            }
            if given_up() {
                return Err(Error::GivenUp);
            }
            std::thread::sleep(BETWEEN_TRIES);
        }
        Ok(Self { supervisor, lock })
    }

    /// Starts a service and waits until it serves. One that runs already is left alone.
    ///
    /// # Errors
    /// It ended, or does not serve in time; the error carries the end of its log.
    pub fn start(&self, service: Service) -> Result<Started, Error> {
        self.start_unless(service, &mut || false)
    }

    /// As [`Turn::start`], for as long as `given_up` says no. It is asked again and again. A service that was on its way is
    /// then ended; one that somebody else started is left alone.
    ///
    /// # Errors
    /// As [`Turn::start`], and [`Error::GivenUp`].
    pub fn start_unless(
        &self,
        service: Service,
        given_up: &mut dyn FnMut() -> bool,
    ) -> Result<Started, Error> {
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
                marker::remove(layout, service)?;
                if let Some(health) = launch::already(layout, service, &process, given_up)? {
                    return Ok(Started::Already(Some(health)));
                }
            }
        }
        // Before it is started: a service whose end nobody wants is started again if it ends at once.
        marker::remove(layout, service)?;
        launch::start(layout, programs, service, &self.lock, given_up)
            .map(|health| Started::Now(Some(health)))
    }

    /// Stops a service: asks it to end, waits, and kills it if it must be. One that does not run is
    /// no error. Whoever keeps the services running leaves this one alone until it is started.
    ///
    /// # Errors
    /// The pid file names no process that can be trusted, or the process cannot be signalled.
    pub fn stop(&self, service: Service) -> Result<Stopped, Error> {
        stop(self.supervisor, service)
    }

    /// Whether somebody stopped this service, and nobody has started it since. systemd keeps its own account.
    pub fn is_unwanted(&self, service: Service) -> bool {
        marker::is_there(&self.supervisor.layout, service)
    }

    /// Every service is wanted again, whatever was stopped before.
    ///
    /// # Errors
    /// The run folder cannot be written.
    pub fn want_all(&self) -> Result<(), Error> {
        Service::ALL
            .into_iter()
            .try_for_each(|service| marker::remove(&self.supervisor.layout, service))
    }
}

pub(super) fn stop(supervisor: &Supervisor, service: Service) -> Result<Stopped, Error> {
    if let By::Systemd(systemctl) = &supervisor.by {
        return systemctl.stop(service);
    }
    let layout = &supervisor.layout;
    let file = layout.pid_file(service);
    match pid_file::look(&file)? {
        Found::Nobody => {
            // It may be about to be started again.
            marker::put(layout, service);
            Ok(Stopped::Already)
        }
        Found::Untrusted(why) => Err(Error::Untrusted { file, why }),
        Found::Hidden => Err(not_yours(&file)),
        Found::Living(process) => {
            // Before the signal, so that nobody sees the end without the wish for it.
            marker::put(layout, service);
            Ok(match end(service, &process)? {
                End::Graceful => Stopped::Now,
                End::Killed => Stopped::Killed,
            })
        }
    }
}

fn not_yours(file: &std::path::Path) -> Error {
    Error::Machine {
        what: format!("{} cannot be read; are you root?", file.display()),
        cause: std::io::ErrorKind::PermissionDenied.into(),
    }
}
