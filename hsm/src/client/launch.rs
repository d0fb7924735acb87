//! How a token's agent comes to be.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::agent::{Guard, Service, peer, serve};
use crate::{KeyReference, Purpose, TokenConfig};

/// How the agent of a token comes to be.
#[derive(Clone, Debug)]
pub enum Launch {
    /// A child process, started when it is needed.
    Program(Program),
    /// A process that somebody else started and that listens.
    Socket(Socket),
    /// A thread of this process, for tests and for tools that do one thing and end.
    Thread(TokenConfig),
}

/// An agent that is a child process.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program. It speaks on its standard input.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its whole environment; it inherits nothing.
    pub environment: BTreeMap<OsString, OsString>,
    /// The token that it is to open.
    pub token: TokenConfig,
}

/// An agent that listens on a Unix socket.
#[derive(Clone, Debug)]
pub struct Socket {
    /// The socket.
    pub path: PathBuf,
    /// The user whose process must be at the other end.
    pub peer: u32,
}

/// Ends of a connection to an agent.
pub(super) struct Ends {
    pub(super) stream: UnixStream,
    pub(super) child: Option<Child>,
    pub(super) thread: Option<JoinHandle<()>>,
}

impl Launch {
    pub(super) fn connect(&self) -> io::Result<Ends> {
        match self {
            Self::Program(program) => program.start(),
            Self::Socket(socket) => socket.connect(),
            Self::Thread(_) => {
                let (stream, other) = UnixStream::pair()?;
                let service = Service { replaceable: false, ..Service::default() };
                // A failure has been told to the client.
                let serve = move || drop(serve(other, &service, Arc::new(Unguarded)));
                let thread =
                    std::thread::Builder::new().name("token-agent".to_owned()).spawn(serve)?;
                Ok(Ends { stream, child: None, thread: Some(thread) })
            }
        }
    }

    /// The token, where the agent is told by us which it is.
    pub(super) fn token(&self) -> Option<&TokenConfig> {
        match self {
            Self::Program(program) => Some(&program.token),
            Self::Thread(config) => Some(config),
            Self::Socket(_) => None,
        }
    }

    /// Whether starting it costs so much that it must not be tried at every request.
    pub(super) const fn is_costly(&self) -> bool {
        !matches!(self, Self::Thread(_))
    }

    /// What to do where it cannot be reached.
    pub(super) fn remedy(&self) -> String {
        match self {
            Self::Program(program) => {
                format!("look whether {} is installed", program.program.display())
            }
            Self::Socket(socket) => {
                format!("look whether the agent that listens on {} runs", socket.path.display())
            }
            Self::Thread(_) => "look whether this process may start threads".to_owned(),
        }
    }
}

impl Program {
    /// The child loads the module after `exec`: a module that was loaded before a fork may hang or crash.
    fn start(&self) -> io::Result<Ends> {
        let (stream, other) = UnixStream::pair()?;
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::from(OwnedFd::from(other)))
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Ends { stream, child: Some(child), thread: None })
    }
}

impl Socket {
    fn connect(&self) -> io::Result<Ends> {
        let stream = UnixStream::connect(&self.path)?;
        let peer = peer(&stream)?;
        if peer != self.peer {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "{} is served by user {peer} and not by user {}",
                    self.path.display(),
                    self.peer
                ),
            ));
        }
        Ok(Ends { stream, child: None, thread: None })
    }
}

/// The guard of an agent that is no process of its own.
struct Unguarded;

impl Guard for Unguarded {
    fn enter(&self, _: &TokenConfig) -> Result<(), String> {
        Ok(())
    }

    fn judge(&self, _: Purpose, _: &KeyReference, _: &[u8]) -> Result<(), String> {
        Ok(())
    }

    fn judge_sealed(&self, _: Purpose, _: &[u8], _: &[u8]) -> Result<(), String> {
        Ok(())
    }
}
