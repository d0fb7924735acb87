//! A token agent in a container, whatever its token.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use hsm::Socket;
use rustix::process::{getegid, geteuid};
use testcontainers::core::Mount;
use testcontainers::runners::SyncRunner;
use testcontainers::{ContainerRequest, GenericImage, ImageExt};

use super::Role;
use super::engine::{self, docker};
use crate::Failure;
use crate::relay::Relay;

/// A bound on the start of an agent.
const PATIENCE: Duration = Duration::from_secs(60);

/// A container of an image like [`super::IMAGE`], reached through a Unix socket in a folder of the host. Gone when it is dropped.
///
/// It runs as this user, so that folders of the host can be its folders.
pub struct AgentContainer {
    relay: Relay,
    socket: PathBuf,
    container: testcontainers::Container<GenericImage>,
}

impl AgentContainer {
    /// Starts one. `image`: its name with a tag. `folder`: an empty folder of the host for sockets, with a short path. `token`: the folder of the host that
    /// is the appliance's root for the agent (`sealwright.toml` and the token); what is not there is made. `covered`:
    /// further folders, each by its path on the host and its path in the container.
    ///
    /// # Errors
    /// There is no engine or no image, or the agent does not listen.
    pub fn start(
        image: &str,
        role: Role,
        folder: &Path,
        token: (&Path, &str),
        covered: &[(&Path, &str)],
    ) -> Result<Self, Failure> {
        engine::has_image(image)?;
        static CLEAN: OnceLock<()> = OnceLock::new();
        CLEAN.get_or_init(|| drop(engine::remove_leftovers()));
        let run = folder.join("run");
        std::fs::create_dir_all(&run).map_err(|source| Failure::Machine {
            what: format!("make {}", run.display()),
            source,
        })?;
        let (name, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
        let peer = geteuid().as_raw().to_string();
        let (root, place) = token;
        let mut request: ContainerRequest<GenericImage> = GenericImage::new(name, tag)
            .with_cmd([role.name()])
            .with_user(format!("{peer}:{}", getegid().as_raw()))
            .with_env_var("SEALWRIGHT_PEER", &peer)
            .with_env_var("SEALWRIGHT_ROOT", place)
            .with_label(engine::LABEL, engine::owner())
            .with_network("none")
            .with_mount(mount(&run, "/run/token-agent"))
            .with_mount(mount(root, place));
        for (from, to) in covered {
            request = request.with_mount(mount(from, to));
        }
        let container = request
            .start()
            .map_err(|cause| Failure::Said(format!("the container does not start: {cause}")))?;
        let socket = run.join("agent.sock");
        let relay = Relay::start(&folder.join("token.sock"), &socket)?;
        let agent = Self { relay, socket, container };
        agent.listens()?;
        Ok(agent)
    }

    /// Where the agent is reached: through a relay of this process, which is therefore the peer.
    pub fn socket(&self) -> Socket {
        Socket { path: self.relay.path().to_owned(), peer: geteuid().as_raw() }
    }

    /// What the engine calls the container.
    pub fn id(&self) -> &str {
        self.container.id()
    }

    /// `docker kill`.
    ///
    /// # Errors
    /// The engine does not do it.
    pub fn kill(&self) -> Result<(), Failure> {
        if self.state()? == "paused" {
            docker(&["unpause", self.id()])?;
        }
        if self.state()? == "running" {
            docker(&["kill", self.id()])?;
        }
        Ok(())
    }

    /// `docker kill`, `docker start`.
    ///
    /// # Errors
    /// The engine does not do it, or the agent does not listen.
    pub fn restart(&self) -> Result<(), Failure> {
        self.kill()?;
        let _ = std::fs::remove_file(&self.socket);
        docker(&["start", self.id()])?;
        self.listens()
    }

    /// `docker pause`: every process in the container stands still.
    ///
    /// # Errors
    /// The engine does not do it.
    pub fn pause(&self) -> Result<(), Failure> {
        if self.state()? == "running" {
            docker(&["pause", self.id()])?;
        }
        Ok(())
    }

    /// `docker unpause`.
    ///
    /// # Errors
    /// The engine does not do it.
    pub fn resume(&self) -> Result<(), Failure> {
        if self.state()? == "paused" {
            docker(&["unpause", self.id()])?;
        }
        Ok(())
    }

    /// Takes the agent's socket out of its place, or brings it back; connections that are there stay.
    ///
    /// # Errors
    /// It cannot be moved.
    pub fn hide_socket(&self, hidden: bool) -> Result<(), Failure> {
        let elsewhere = self.socket.with_extension("hidden");
        let (from, to) = match hidden {
            true => (&self.socket, &elsewhere),
            false => (&elsewhere, &self.socket),
        };
        std::fs::rename(from, to).map_err(|source| Failure::Machine {
            what: "move the agent's socket".to_owned(),
            source,
        })
    }

    /// Ends every connection that there is. New ones are as before.
    pub fn hang_up(&self) {
        self.relay.hang_up();
    }

    /// Whether the line between clients and agent is cut.
    pub fn cut(&self, cut: bool) {
        self.relay.cut(cut);
    }

    fn state(&self) -> Result<String, Failure> {
        let state = docker(&["inspect", "--format", "{{.State.Status}}", self.id()])?;
        Ok(state.trim().to_owned())
    }

    fn listens(&self) -> Result<(), Failure> {
        let since = Instant::now();
        while UnixStream::connect(&self.socket).is_err() {
            let state = self.state()?;
            if !matches!(state.as_str(), "running" | "created") || since.elapsed() > PATIENCE {
                let mut said = docker(&["logs", "--tail", "20", self.id()]).unwrap_or_default();
                said.push_str(&String::from_utf8_lossy(
                    &self.container.stderr_to_vec().unwrap_or_default(),
                ));
                return Err(Failure::Said(format!(
                    "the token agent in the container does not listen; it is {state} and said: {said}"
                )));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

fn mount(host: &Path, container: &str) -> Mount {
    Mount::bind_mount(host.display().to_string(), container)
}
