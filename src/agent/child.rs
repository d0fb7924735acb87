//! The agent's own process: serves the client on its standard input until that hangs up.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use hsm::agent::{Ended, Service, serve};
use rustix::process::{Signal, getpid, kill_process};

use super::guard::AgentGuard;
use crate::base::{Layout, sentences};
use crate::config::{TokenRole, TokenSection};

/// How long a module may take to be finalised.
const LAST_CALL: Duration = Duration::from_secs(2);

/// How a child of ours is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenChoice {
    /// The client says which module is loaded: it is the service that started the agent.
    Client,
    /// The section says it; the client has no say in it. So [`super::listen`] starts an agent.
    Section,
}

/// What the child runs: `sealwright token-agent ROLE --section JSON`. The section comes with the command, so that an
/// agent starts while somebody edits the configuration.
pub fn run_child(
    layout: &Layout,
    role: TokenRole,
    section: &TokenSection,
    choice: TokenChoice,
) -> ExitCode {
    if io::stdin().is_terminal() {
        eprintln!(
            "token-agent is started by the services; to let it listen for them, give --listen PATH and --peer USER"
        );
        return ExitCode::from(2);
    }
    crate::log::start();
    match run(layout, role, section, choice) {
        Ok(ended) => {
            if ended == Ended::Idle {
                // A module may hang in its last call as in any other, and its client may be gone by then.
                std::thread::spawn(|| {
                    std::thread::sleep(LAST_CALL);
                    end();
                });
                hsm::shut_down();
            }
            end();
            ExitCode::SUCCESS
        }
        Err(cause) => {
            tracing::error!("token agent ({role}): {}", sentences(&*cause));
            ExitCode::FAILURE
        }
    }
}

/// Not by the way of `exit`: a module's exit handlers may crash, and where a call hangs they hang too.
fn end() {
    let _ = kill_process(getpid(), Signal::KILL);
}

fn run(
    layout: &Layout,
    role: TokenRole,
    section: &TokenSection,
    choice: TokenChoice,
) -> Result<Ended, Box<dyn std::error::Error + Send + Sync>> {
    crate::hardening::harden()?;
    let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    let token = match choice {
        TokenChoice::Client => None,
        TokenChoice::Section => Some(section.selection()?),
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let service = Service { token, workers: section.sessions(processors), ..Service::default() };
    let guard = AgentGuard::new(layout, role, section);
    Ok(serve(stream, &service, Arc::new(guard))?)
}
