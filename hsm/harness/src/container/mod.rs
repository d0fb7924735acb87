//! Tokens in containers: the appliance's own token agent beside SoftHSM, reached over a Unix socket.

mod agent;
mod engine;
mod workshop;

use hsm::provision::MadeGeneration;
use hsm::{Algorithm, KeyReference, Socket};
use tempfile::TempDir;

use crate::error::Asked;
use crate::{Failure, TestToken};

pub use agent::AgentContainer;
pub use engine::{engine, remove_leftovers};

/// The image: SoftHSM and the token agent. `scripts/images token-agent` makes it.
pub const IMAGE: &str = "sealwright/token-agent:local";

/// [`IMAGE`], or what `SEALWRIGHT_TOKEN_AGENT_IMAGE` says: another name with a tag.
fn image() -> String {
    std::env::var("SEALWRIGHT_TOKEN_AGENT_IMAGE").unwrap_or_else(|_| IMAGE.to_owned())
}

/// Where the image keeps everything that stays.
const ROOT: &str = "/srv/token";

/// What the token is for. The agent in the image is the appliance's own, with its policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Signs certificate requests for its own keys, and certificates and revocation lists of a CA that was written down
    /// for it.
    Ca,
    /// Seals, and signs with keys that are sealed.
    Sealing,
}

impl Role {
    /// The word for it on command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ca => "ca",
            Self::Sealing => "sealing",
        }
    }
}

/// A SoftHSM token in a container, with the token agent beside it. Both are gone when it is dropped.
///
/// | | What happens here |
/// |---|---|
/// | `kill` | `docker kill` |
/// | `pause`, `resume` | `docker pause`, `docker unpause` |
/// | `restart` | `docker kill`, `docker start` |
/// | `replace_token` | the folder of the token is moved away and another token is made in its place, inside the container, which must run |
/// | `lose_network` | the relay between clients and agent passes nothing on; the container has no network, its socket lies in a folder of the host |
pub struct Container {
    // In the order in which they go.
    agent: AgentContainer,
    role: Role,
    label: String,
    folder: TempDir,
}

impl Container {
    /// A fresh token for this role.
    ///
    /// # Errors
    /// There is no engine or no image, or the token cannot be made.
    pub fn start(role: Role) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("th").tempdir().asked("make a folder")?;
        let root = folder.path().join("token");
        std::fs::create_dir(&root).asked("make the token's folder")?;
        let agent = AgentContainer::start(&image(), role, folder.path(), (&root, ROOT), &[])?;
        Ok(Self { agent, role, label: format!("sealwright-{}", role.name()), folder })
    }

    /// The container.
    pub const fn agent(&self) -> &AgentContainer {
        &self.agent
    }

    /// The folder of the token on the host.
    fn home(&self) -> std::path::PathBuf {
        self.folder.path().join("token/lib/tokens").join(self.role.name())
    }
}

impl TestToken for Container {
    fn label(&self) -> &str {
        &self.label
    }

    fn socket(&self) -> Socket {
        self.agent.socket()
    }

    fn signing_key(&self, algorithm: Algorithm) -> Result<KeyReference, Failure> {
        workshop::signing_key(self, algorithm)
    }

    fn sealing_keys(&self, number: u32) -> Result<MadeGeneration, Failure> {
        workshop::sealing_keys(self, number)
    }

    fn kill(&self) -> Result<(), Failure> {
        self.agent.kill()
    }

    fn restart(&self) -> Result<(), Failure> {
        self.agent.restart()
    }

    fn pause(&self) -> Result<(), Failure> {
        self.agent.pause()
    }

    fn resume(&self) -> Result<(), Failure> {
        self.agent.resume()
    }

    fn replace_token(&self) -> Result<(), Failure> {
        let kept = self.home().join("replaced");
        if kept.exists() {
            return Ok(());
        }
        std::fs::rename(self.home().join("tokens"), &kept).asked("put the token away")?;
        workshop::create_token(self)
    }

    fn return_token(&self) -> Result<(), Failure> {
        let (tokens, kept) = (self.home().join("tokens"), self.home().join("replaced"));
        if !kept.exists() {
            return Ok(());
        }
        std::fs::remove_dir_all(&tokens).asked("remove the other token")?;
        std::fs::rename(&kept, &tokens).asked("bring the token back")
    }

    fn lose_network(&self) {
        self.agent.cut(true);
    }

    fn restore_network(&self) {
        self.agent.cut(false);
    }
}
