//! Floor 5: starting and stopping the services, with systemd or without it.
//!
//! Without systemd a service is started as a process of its own, counts as started when it answers on
//! its socket, and is stopped through a descriptor of exactly that process. With systemd its unit is
//! driven and nothing else is done here.

mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod keep;
mod launch;
mod log_tail;
mod marker;
mod pid_file;
mod process;
mod stop;
mod systemd;
mod turn;

use std::path::PathBuf;
use std::time::Duration;

pub use error::Error;
pub use keep::{Death, Deaths};
pub use turn::{Started, Stopped, Turn};

use crate::api::{self, Alarm, Health, State};
use crate::base::{Layout, Service};
use crate::client::{self, Client};
use pid_file::Found;
use systemd::Systemctl;

/// How long one question to a service may take. It answers from memory, so this is generous.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// Whether a service works, as `service-control --status` groups it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It lives and answers that it serves.
    Running,
    /// It lives and does not serve yet.
    StartPending,
    /// It does not live.
    Stopped,
}

/// The services of one appliance.
#[derive(Debug)]
pub struct Supervisor {
    layout: Layout,
    by: By,
}

/// Who keeps the processes.
#[derive(Debug)]
enum By {
    /// We do; the services' programs lie in this folder.
    Ourselves { programs: PathBuf },
    /// The units of `scripts/systemd` are installed.
    Systemd(Systemctl),
}

impl Supervisor {
    /// Uses systemd where it runs, our units are installed and no root folder was chosen.
    ///
    /// # Errors
    /// The running program's own folder, where the services' programs lie, cannot be found out.
    pub fn detect(layout: Layout) -> Result<Self, Error> {
        match Systemctl::detect(&layout) {
            Some(systemctl) => Ok(Self { layout, by: By::Systemd(systemctl) }),
            None => Self::without_systemd(layout),
        }
    }

    /// Keeps the processes itself, whatever the machine runs. Setting up works this way.
    ///
    /// # Errors
    /// As [`Supervisor::detect`].
    pub fn without_systemd(layout: Layout) -> Result<Self, Error> {
        let program = std::env::current_exe().map_err(|cause| Error::Machine {
            what: "the folder of the running program cannot be found out".to_owned(),
            cause,
        })?;
        let programs = program.parent().map(PathBuf::from).unwrap_or_default();
        Ok(Self { layout, by: By::Ourselves { programs } })
    }

    /// Says who keeps the processes, for `--verbose`.
    pub const fn means(&self) -> &'static str {
        match self.by {
            By::Ourselves { .. } => "processes of our own",
            By::Systemd(_) => "systemd units",
        }
    }

    /// How a service is doing.
    ///
    /// # Errors
    /// The pid file cannot be read, or systemd does not answer.
    pub fn status(&self, service: Service) -> Result<Status, Error> {
        if let By::Systemd(systemctl) = &self.by {
            return systemctl.status(service);
        }
        match pid_file::look(&self.layout.pid_file(service))? {
            Found::Nobody => Ok(Status::Stopped),
            // Somebody holds the lock; whether it is the service, its own answer says.
            Found::Untrusted(_) | Found::Living(_) => Ok(match ask(&self.layout, service) {
                Ok(health) if serves(&health, service) => Status::Running,
                _ => Status::StartPending,
            }),
            Found::Hidden => Ok(match ask(&self.layout, service) {
                Ok(health) if serves(&health, service) => Status::Running,
                Ok(_) => Status::StartPending,
                Err(_) => Status::Stopped,
            }),
        }
    }

    /// The alarm of a service's token, if the service answers and has one.
    pub fn alarm(&self, service: Service) -> Option<Alarm> {
        ask(&self.layout, service).ok()?.token?.alarm
    }

    /// Waits for its turn to start and stop: two at once would disturb each other.
    ///
    /// `waiting` is called once if another process is at it.
    ///
    /// # Errors
    /// The run folder cannot be made or written.
    pub fn turn(&self, waiting: impl FnOnce()) -> Result<Turn<'_>, Error> {
        Turn::take(self, waiting, &mut || false)
    }

    /// As [`Supervisor::turn`], for as long as `given_up` says no. It is asked again and again while another process is
    /// at it.
    ///
    /// # Errors
    /// As [`Supervisor::turn`], and [`Error::GivenUp`].
    pub fn turn_unless(
        &self,
        waiting: impl FnOnce(),
        given_up: &mut dyn FnMut() -> bool,
    ) -> Result<Turn<'_>, Error> {
        Turn::take(self, waiting, given_up)
    }

    /// As [`Turn::stop`], for a process whose end takes the services with it and who cannot have its turn.
    ///
    /// # Errors
    /// As [`Turn::stop`].
    pub fn stop_out_of_turn(&self, service: Service) -> Result<Stopped, Error> {
        turn::stop(self, service)
    }
}

fn ask(layout: &Layout, service: Service) -> Result<Health, client::Error> {
    Client::new(&layout.socket(service), ANSWER_DEADLINE).get(api::HEALTH)
}

/// Whether this is the service's own word that it serves. Degraded counts: it serves, and says what
/// does not work.
fn serves(health: &Health, service: Service) -> bool {
    health.service == service.name() && health.state != State::Down
}

#[cfg(test)]
mod tests;
