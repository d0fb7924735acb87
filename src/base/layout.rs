//! Where everything lives on disk. Paths only; nothing is opened here.

use std::path::{Path, PathBuf};

use super::Service;

/// The folders of one appliance.
///
/// With a root folder (`--root DIR`, `SEALWRIGHT_ROOT`) everything is below it, so that several
/// appliances and tests live side by side; without one the file system standard's places are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    root: Option<PathBuf>,
}

impl Layout {
    /// Everything below one folder.
    pub fn under(root: impl Into<PathBuf>) -> Self {
        Self { root: Some(root.into()) }
    }

    /// `/etc/sealwright`, `/var/lib/sealwright`, `/run/sealwright`, `/var/log/sealwright`.
    pub const fn system() -> Self {
        Self { root: None }
    }

    /// The root folder, where one was chosen.
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    fn place(&self, below_root: &str, system: &str) -> PathBuf {
        match &self.root {
            Some(root) => root.join(below_root),
            None => PathBuf::from(system),
        }
    }

    /// `sealwright.toml`.
    pub fn config_file(&self) -> PathBuf {
        self.place("etc", "/etc/sealwright").join("sealwright.toml")
    }

    /// The template that administrators copy.
    pub fn certool_template(&self) -> PathBuf {
        self.place("etc", "/etc/sealwright").join("certool.cfg")
    }

    /// PIN files made by `sealwright init`, mode 0600 in a folder of mode 0700.
    pub fn pins(&self) -> PathBuf {
        self.place("etc", "/etc/sealwright").join("pins")
    }

    /// Databases, tokens and public files.
    pub fn state(&self) -> PathBuf {
        self.place("lib", "/var/lib/sealwright")
    }

    /// The SoftHSM folder of a token role (`ca`, `sealing`): `softhsm2.conf` and `tokens/`.
    pub fn token_home(&self, role: &str) -> PathBuf {
        self.state().join("tokens").join(role)
    }

    /// The CA certificates that are known for the keys of a token role, a file each: what the policy of
    /// that token compares with. Written by its key workshop alone.
    pub fn issuers(&self, role: &str) -> PathBuf {
        self.token_home(role).join("issuers")
    }

    /// A service's own database.
    pub fn database(&self, service: Service) -> PathBuf {
        self.state().join(service.name()).join(format!("{service}.db"))
    }

    /// The CA chain for scripts that read it as a file: VMCA first, then its chain.
    pub fn root_cer(&self) -> PathBuf {
        self.state().join("vmca").join("root.cer")
    }

    /// Sockets and pid files.
    pub fn run(&self) -> PathBuf {
        self.place("run", "/run/sealwright")
    }

    /// A service's Unix socket.
    pub fn socket(&self, service: Service) -> PathBuf {
        self.run().join(format!("{service}.sock"))
    }

    /// A service's pid file; locked for as long as the service lives.
    pub fn pid_file(&self, service: Service) -> PathBuf {
        self.run().join(format!("{service}.pid"))
    }

    /// There while somebody wants the service not to run (and no systemd keeps it).
    pub fn stopped_marker(&self, service: Service) -> PathBuf {
        self.run().join(format!("{service}.stopped"))
    }

    /// Log files of services that no systemd runs.
    pub fn log_file(&self, service: Service) -> PathBuf {
        self.place("log", "/var/log/sealwright").join(format!("{service}.log"))
    }

    /// Held exclusively while the appliance is set up.
    pub fn init_lock(&self) -> PathBuf {
        self.state().join("init.lock")
    }
}
