//! Starting a service as a process of our own, and waiting until it serves.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hsm::{Pin, PinSource};
use rustix::process::Pid;

use super::process::Process;
use super::{Error, ask, log_tail, serves, stop};
use crate::api::Health;
use crate::base::{Layout, Service};
use crate::config::{Config, TokenRole};

/// How long a service may take until it serves: it opens its database, logs in to its token and
/// checks its keys.
const READY_DEADLINE: Duration = Duration::from_secs(60);
/// How long a service may say that something is in its way before that counts as the answer. It tries
/// on by itself after one second and after three.
const OBSTACLE_DEADLINE: Duration = Duration::from_secs(5);
/// How long to watch for the end of the process between two questions.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(40);

/// Starts the program, gives it a share of our turn, and waits until it serves.
pub(super) fn start(
    layout: &Layout,
    programs: &Path,
    service: Service,
    turn: &File,
    given_up: &mut dyn FnMut() -> bool,
) -> Result<Health, Error> {
    let pin = prompted_pin(layout, service)?;
    let log = layout.log_file(service);
    let output = open_log(&log)?;
    let length = output.metadata().map_or(0, |found| found.len());
    let mut child = spawn(
        layout,
        &programs.join(service.name()),
        &output,
        // A service that is given its PIN reads it from here, and gets no share.
        if pin.is_some() { None } else { Some(turn) },
    )?;
    if let (Some(pin), Some(mut input)) = (pin, child.stdin.take()) {
        // A service that ended before it read the PIN is noticed below.
        let _ended =
            input.write_all(pin.expose_secret().as_bytes()).and_then(|()| input.write_all(b"\n"));
    }
    let failed = |what: &str, cause| Error::Machine {
        what: format!("{service} was started and cannot be watched ({what})"),
        cause,
    };
    let process = Pid::from_raw(child.id().cast_signed())
        .map_or(Ok(None), Process::open)
        .map_err(|cause| failed("pidfd_open", cause))?;
    let ready = match &process {
        Some(process) => wait_ready(layout, service, process, given_up)?,
        None => Ready::Ended,
    };
    match ready {
        Ready::Serves(health) => Ok(health),
        Ready::Ended => {
            let status = child.wait().map_err(|cause| failed("wait", cause))?;
            Err(Error::Ended {
                service,
                how: status.to_string(),
                said: log_tail::since(&log, length),
            })
        }
        Ready::GivenUp => {
            if let Some(process) = &process {
                stop::end(service, process)?;
            }
            Err(Error::GivenUp)
        }
        Ready::Late { seconds, last } => {
            // What does not serve does not stay: systemd does the same.
            if let Some(process) = &process {
                stop::end(service, process)?;
            }
            Err(Error::NotReady { service, seconds, last, said: log_tail::since(&log, length) })
        }
    }
}

/// Waits for the answer of a service that somebody started already; nothing if it ended meanwhile.
pub(super) fn already(
    layout: &Layout,
    service: Service,
    process: &Process,
    given_up: &mut dyn FnMut() -> bool,
) -> Result<Option<Health>, Error> {
    match wait_ready(layout, service, process, given_up)? {
        Ready::Serves(health) => Ok(Some(health)),
        Ready::Ended => Ok(None),
        Ready::GivenUp => Err(Error::GivenUp),
        // Not ours to end: whoever started it may be looking at it just now.
        Ready::Late { seconds, last } => Err(Error::NotReady {
            service,
            seconds,
            last,
            said: format!(
                "It runs as process {}; see {}.",
                process.id(),
                layout.log_file(service).display()
            ),
        }),
    }
}

/// How waiting came out.
enum Ready {
    /// The service said so itself.
    Serves(Health),
    /// The process is gone.
    Ended,
    /// Whoever waits was asked to give up.
    GivenUp,
    /// Time is up, or something is in its way; what was heard last.
    Late { seconds: u64, last: String },
}

/// Asks until the service serves, the process ends, or time is up. A service that is down and says
/// why is not only on its way, so less time is enough for it.
fn wait_ready(
    layout: &Layout,
    service: Service,
    process: &Process,
    given_up: &mut dyn FnMut() -> bool,
) -> Result<Ready, Error> {
    let started = Instant::now();
    let late = |last| Ok(Ready::Late { seconds: started.elapsed().as_secs(), last });
    let mut in_the_way: Option<Instant> = None;
    loop {
        let ended = process.ends_within(BETWEEN_QUESTIONS).map_err(|cause| Error::Machine {
            what: format!("{service} cannot be watched (poll)"),
            cause,
        })?;
        if ended {
            return Ok(Ready::Ended);
        }
        if given_up() {
            return Ok(Ready::GivenUp);
        }
        let last = match ask(layout, service) {
            Ok(health) if serves(&health, service) => return Ok(Ready::Serves(health)),
            Ok(Health { detail: Some(obstacle), .. }) => {
                let since = in_the_way.get_or_insert_with(Instant::now);
                if since.elapsed() >= OBSTACLE_DEADLINE {
                    return late(obstacle);
                }
                obstacle
            }
            Ok(_) => {
                in_the_way = None;
                "it says that it does not serve yet".to_owned()
            }
            Err(error) => {
                in_the_way = None;
                error.to_string()
            }
        };
        if started.elapsed() >= READY_DEADLINE {
            return late(last);
        }
    }
}

/// Asks the operator once, where the configuration says so; the service gets the PIN on its standard
/// input because it has no terminal.
fn prompted_pin(layout: &Layout, service: Service) -> Result<Option<Pin>, Error> {
    let config = Config::load(&layout.config_file()).map_err(Error::Configuration)?;
    let role = match service {
        Service::Vmcad => TokenRole::Ca,
        Service::Vmafdd => TokenRole::Sealing,
        Service::Vmdird | Service::Gateway => return Ok(None),
    };
    if config.token(role).pin != PinSource::Prompt.to_string() {
        return Ok(None);
    }
    // Where nobody can be told, nobody answers the prompt either.
    let _told = writeln!(std::io::stderr(), "{service} needs the PIN of the {role} token.");
    PinSource::Prompt.read().map(Some).map_err(|cause| Error::Pin { service, cause })
}

/// Service logs can hold names of users and hosts: only the owner reads them.
fn open_log(path: &Path) -> Result<File, Error> {
    let unwritable = |cause| Error::Machine {
        what: format!(
            "the log {} cannot be written; are you root, and is there space?",
            path.display()
        ),
        cause,
    };
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(unwritable)?;
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(unwritable)
}

fn spawn(
    layout: &Layout,
    program: &Path,
    output: &File,
    turn: Option<&File>,
) -> Result<Child, Error> {
    let failed = |cause| Error::Machine {
        what: format!(
            "{} cannot be started; the programs of the appliance belong into one folder",
            program.display()
        ),
        cause,
    };
    let mut command = Command::new(program);
    if let Some(root) = layout.root() {
        command.arg("--root").arg(root);
    }
    command
        .arg("--detach")
        .stdin(match turn {
            Some(turn) => turn.try_clone().map_err(failed)?.into(),
            None => Stdio::piped(),
        })
        .stdout(output.try_clone().map_err(failed)?)
        .stderr(output.try_clone().map_err(failed)?)
        .spawn()
        .map_err(failed)
}
