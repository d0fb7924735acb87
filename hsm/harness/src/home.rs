//! A token at rest: a folder of its own, and what a process needs to use it.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use hsm::{Pin, TokenConfig};
use serde_json::json;
use tempfile::TempDir;

use crate::Failure;
use crate::child::{self, Order};
use crate::error::Asked;
use crate::kinds::{Device, Kind};

/// The label that every token of this crate has. They never meet, so it is always the same.
pub(crate) const LABEL: &str = "harness";

/// A fresh token in a temporary folder, which goes when this is dropped. No process uses it yet.
///
/// A PKCS#11 module finds its tokens through the environment and keeps state in the process, so whoever uses the token
/// does it in a process of its own: an agent ([`crate::Local`]) or a test ([`crate::in_process!`]).
pub struct Home {
    // Before the folder: it ends first.
    device: Mutex<Option<Device>>,
    kind: Kind,
    config: TokenConfig,
    environment: Vec<(String, OsString)>,
    folder: TempDir,
}

impl Home {
    /// Makes a token.
    ///
    /// # Errors
    /// The kind's software is missing on this machine, or does not make one.
    pub fn make(kind: Kind) -> Result<Self, Failure> {
        // Short, because Unix sockets lie in it.
        let folder = tempfile::Builder::new().prefix("th").tempdir().asked("make a folder")?;
        let pin = Pin::random()?;
        let pin_file = folder.path().join("pin");
        let mut options = std::fs::OpenOptions::new();
        options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&pin_file)
            .and_then(|mut file| file.write_all(pin.expose_secret().as_bytes()))
            .asked("write the PIN")?;
        let state = folder.path().join("state");
        std::fs::create_dir(&state).asked("make the token's folder")?;
        let prepared = kind.prepare(&state, folder.path(), LABEL, pin.expose_secret())?;
        let home = Self {
            device: Mutex::new(prepared.device),
            kind,
            config: TokenConfig {
                module: prepared.module,
                uri: format!("pkcs11:token={LABEL}").parse()?,
                pin: format!("file:{}", pin_file.display()).parse()?,
            },
            environment: prepared.environment,
            folder,
        };
        if !prepared.initialised {
            home.initialise()?;
        }
        Ok(home)
    }

    /// What kind it is.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Module, token and PIN, for a process that has [`Self::environment`].
    pub const fn config(&self) -> &TokenConfig {
        &self.config
    }

    /// The variables through which the module finds this token.
    pub fn environment(&self) -> &[(String, OsString)] {
        &self.environment
    }

    /// The folder, which a test may use as well.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Puts an empty token with the same label and PIN in the place of this one.
    pub(crate) fn replace(&self) -> Result<(), Failure> {
        let (state, kept) = (self.state(), self.kept());
        if kept.exists() {
            return Ok(());
        }
        let pin = self.config.pin.read()?;
        self.unplug();
        std::fs::rename(&state, &kept).asked("put the token away")?;
        std::fs::create_dir(&state).asked("make another token's folder")?;
        let prepared = self.kind.prepare(&state, self.folder(), LABEL, pin.expose_secret())?;
        *self.device.lock().unwrap_or_else(PoisonError::into_inner) = prepared.device;
        if prepared.initialised { Ok(()) } else { self.initialise() }
    }

    /// Brings back what was replaced.
    pub(crate) fn bring_back(&self) -> Result<(), Failure> {
        let (state, kept) = (self.state(), self.kept());
        if !kept.exists() {
            return Ok(());
        }
        self.unplug();
        std::fs::remove_dir_all(&state).asked("remove the other token")?;
        std::fs::rename(&kept, &state).asked("bring the token back")?;
        let device = self.kind.plug_in(&state, self.folder())?;
        *self.device.lock().unwrap_or_else(PoisonError::into_inner) = device;
        Ok(())
    }

    fn unplug(&self) {
        drop(self.device.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn state(&self) -> PathBuf {
        self.folder().join("state")
    }

    fn kept(&self) -> PathBuf {
        self.folder().join("replaced")
    }

    fn initialise(&self) -> Result<(), Failure> {
        child::work(self, json!({ "create": LABEL })).map(drop)
    }

    pub(crate) fn order(&self) -> Order {
        Order {
            module: self.config.module.clone(),
            uri: self.config.uri.to_string(),
            pin: self.config.pin.to_string(),
            kind: self.kind.name().to_owned(),
        }
    }
}
