//! What every service stands on before its own part begins.

use std::error::Error;
use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use rustix::fs::{FileType, fstat};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::stdio::dup2_stdin;
use secret_memory::Protection;

use super::arguments::Arguments;
use super::pid_file::PidFile;
use super::roles;
use crate::access::Roles;
use crate::base::{Layout, Service, sentences};
use crate::config::Config;
use crate::hardening::{self, confinement};

/// The most descriptors that a service asks for.
const DESCRIPTORS: u64 = 16 * 1024;

/// Why a service ends. Nobody decides anything by it any more: it is written to the log.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// A service that is set up as far as all services are alike.
pub(crate) struct Foundation {
    pub(crate) service: Service,
    pub(crate) layout: Layout,
    pub(crate) config: Config,
    pub(crate) roles: Arc<Roles>,
    /// The user id this process runs under.
    pub(crate) uid: u32,
}

/// The life of a service, from its command line to its exit status.
///
/// `body` serves until told to stop.
pub(crate) fn run(service: Service, body: fn(Foundation) -> Result<(), Failure>) -> ExitCode {
    let arguments = match Arguments::of_process(service) {
        Ok(arguments) => arguments,
        Err(answer) => {
            let _ = answer.print();
            return ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(1));
        }
    };
    crate::log::start();
    let ended = hardening::harden()
        .map_err(Failure::from)
        .and_then(|()| prepare(service, arguments))
        .and_then(
            // A service that fails keeps its name in the pid file.
            |(foundation, pid_file)| body(foundation).map(|()| pid_file.clear()),
        );
    match ended {
        Ok(()) => {
            tracing::info!("{service} has stopped");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            tracing::error!("{service} ends: {}", sentences(failure.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn prepare(service: Service, arguments: Arguments) -> Result<(Foundation, PidFile), Failure> {
    if arguments.detach {
        // It fails where this process leads its session already, which is all that is wanted.
        let _ = rustix::process::setsid();
    }
    let layout = arguments.layout;
    let config = Config::load(&layout.config_file())?;
    let uid = rustix::process::geteuid().as_raw();
    let roles = Arc::new(roles::resolve(&config.access, uid, roles::uid_of)?);
    make_room_for_connections();
    folder(&layout.run(), 0o755)?;
    let pid_file = PidFile::take(&layout.pid_file(service), service.name())?;
    end_turn()?;
    tracing::info!(
        "{service} {} starts as process {}",
        env!("CARGO_PKG_VERSION"),
        std::process::id()
    );
    match secret_memory::protection() {
        Protection::Heap => tracing::warn!(
            "no memory can be locked, so secrets can reach swap: raise the limit (LimitMEMLOCK=, ulimit -l)"
        ),
        better => tracing::info!("secrets are kept in {better}"),
    }
    Ok((Foundation { service, layout, config, roles, uid }, pid_file))
}

/// Each connection is a descriptor, and the usual soft limit of 1,024 is for programs that call `select`.
fn make_room_for_connections() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(DESCRIPTORS).min(DESCRIPTORS);
    if limit.current.is_some_and(|current| current < wanted) {
        // Without it the service waits with new connections until others have ended.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit });
    }
}

/// Gives up the share of the starter's turn (`supervise::Turn`) that came as standard input: from here
/// on the pid file says who is there. Anything but a regular file is something else and stays.
fn end_turn() -> io::Result<()> {
    let input = fstat(io::stdin())?;
    if FileType::from_raw_mode(input.st_mode) == FileType::RegularFile {
        dup2_stdin(File::open("/dev/null")?)?;
    }
    Ok(())
}

impl Foundation {
    /// The service's own folder below the state folder, private to its user.
    pub(crate) fn own_folder(&self) -> Result<PathBuf, Failure> {
        folder(&self.layout.state(), 0o755)?;
        let own = self.layout.state().join(self.service.name());
        folder(&own, 0o700)?;
        Ok(own)
    }

    /// A folder whose files everybody may read.
    pub(crate) fn public_folder(&self, path: &Path) -> Result<(), Failure> {
        folder(path, 0o755)
    }

    /// Gives up writing anywhere but below these folders and the run folder. To be called while the
    /// process has one thread. Returns what the operator should know where that is not possible.
    pub(crate) fn confine(&self, writable: &[&Path]) -> Option<String> {
        let run = self.layout.run();
        let writable: Vec<&Path> = writable.iter().copied().chain([run.as_path()]).collect();
        let refusal = confinement::confine(&writable).err()?;
        let note = sentences(&refusal);
        tracing::warn!("token directory not protected: {note}");
        Some(note)
    }
}

/// Makes a folder with this mode, whatever the umask; one that is there stays as it is.
fn folder(path: &Path, mode: u32) -> Result<(), Failure> {
    if path.is_dir() {
        return Ok(());
    }
    let made = match path.parent() {
        Some(parent) if !parent.is_dir() => {
            DirBuilder::new().recursive(true).mode(0o755).create(parent)
        }
        _ => Ok(()),
    };
    made.and_then(|()| match DirBuilder::new().mode(mode).create(path) {
        // Another service may have made it at this very moment.
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    })
    .and_then(|()| std::fs::set_permissions(path, Permissions::from_mode(mode)))
    .map_err(|cause| {
        let what = format!("the folder {} cannot be made: {cause}", path.display());
        Failure::from(what)
    })
}
