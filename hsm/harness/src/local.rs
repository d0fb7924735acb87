//! A token on this machine, with an agent in a process of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hsm::provision::MadeGeneration;
use hsm::{Algorithm, KeyReference, Socket};
use rustix::process::Signal;
use serde_json::json;

use crate::error::Asked;
use crate::relay::Relay;
use crate::{Failure, Home, Kind, TestToken, child};

/// A bound on the start of an agent.
const PATIENCE: Duration = Duration::from_secs(30);

/// A token in a temporary folder, with an agent that is this program once more. Both are gone when it is dropped.
///
/// | | What happens here |
/// |---|---|
/// | `kill` | `SIGKILL` to the agent and to everything it started |
/// | `pause`, `resume` | `SIGSTOP`, `SIGCONT` to the same processes |
/// | `restart` | `kill`, and a new agent |
/// | `replace_token` | the folder of the token is moved away and another token is made in its place; a TPM is exchanged |
/// | `lose_network` | the relay between clients and agent passes nothing on |
///
/// The agent has no sandbox and no policy: it signs what it is asked to.
pub struct Local {
    // In the order in which they go.
    relay: Relay,
    agent: Mutex<Option<Agent>>,
    home: Home,
}

impl Local {
    /// A fresh token of this kind, with its agent.
    ///
    /// # Errors
    /// The kind's software is missing, or the test program has no [`crate::agent!`].
    pub fn of(kind: Kind) -> Result<Self, Failure> {
        let home = Home::make(kind)?;
        let agent = Agent::start(&home)?;
        let relay = Relay::start(&home.folder().join("token.sock"), &socket(&home))?;
        Ok(Self { relay, agent: Mutex::new(Some(agent)), home })
    }

    /// The token without its agent: its folder, and what another program needs to use it.
    pub const fn home(&self) -> &Home {
        &self.home
    }

    fn agent(&self) -> MutexGuard<'_, Option<Agent>> {
        self.agent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, signal: Signal) -> Result<(), Failure> {
        self.agent().as_ref().map_or(Ok(()), |agent| child::signal(agent.0.id(), signal))
    }
}

impl TestToken for Local {
    fn label(&self) -> &str {
        crate::home::LABEL
    }

    fn socket(&self) -> Socket {
        Socket { path: self.relay.path().to_owned(), peer: rustix::process::geteuid().as_raw() }
    }

    fn signing_key(&self, algorithm: Algorithm) -> Result<KeyReference, Failure> {
        read(child::work(&self.home, json!({ "signing-key": algorithm }))?)
    }

    fn sealing_keys(&self, number: u32) -> Result<MadeGeneration, Failure> {
        read(child::work(&self.home, json!({ "sealing-keys": number }))?)
    }

    fn kill(&self) -> Result<(), Failure> {
        drop(self.agent().take());
        Ok(())
    }

    fn restart(&self) -> Result<(), Failure> {
        let mut agent = self.agent();
        drop(agent.take());
        *agent = Some(Agent::start(&self.home)?);
        Ok(())
    }

    fn pause(&self) -> Result<(), Failure> {
        self.signal(Signal::STOP)
    }

    fn resume(&self) -> Result<(), Failure> {
        self.signal(Signal::CONT)
    }

    fn replace_token(&self) -> Result<(), Failure> {
        self.home.replace()
    }

    fn return_token(&self) -> Result<(), Failure> {
        self.home.bring_back()
    }

    fn lose_network(&self) {
        self.relay.cut(true);
    }

    fn restore_network(&self) {
        self.relay.cut(false);
    }
}

fn socket(home: &Home) -> PathBuf {
    home.folder().join("agent.sock")
}

fn read<T: for<'a> serde::Deserialize<'a>>(made: serde_json::Value) -> Result<T, Failure> {
    serde_json::from_value(made)
        .map_err(|cause| Failure::Said(format!("a child process said something else: {cause}")))
}

/// The process that listens, and everything below it.
struct Agent(Child);

impl Agent {
    fn start(home: &Home) -> Result<Self, Failure> {
        let socket = socket(home);
        let _ = std::fs::remove_file(&socket);
        let mut command: Command = child::listener(home, &socket)?;
        let mut agent = Self(command.spawn().asked("start a token agent")?);
        agent.wait_for(&socket)?;
        Ok(agent)
    }

    fn wait_for(&mut self, socket: &Path) -> Result<(), Failure> {
        let since = Instant::now();
        while !socket.exists() {
            if let Some(status) = self.0.try_wait().asked("wait for the agent")? {
                return Err(child::no_child(status, self.0.stderr.take()));
            }
            if since.elapsed() > PATIENCE {
                return Err(Failure::Said("the token agent does not listen".to_owned()));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = child::signal(self.0.id(), Signal::KILL);
        let _ = self.0.wait();
    }
}
