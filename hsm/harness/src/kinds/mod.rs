//! Kinds of tokens, and how a fresh one of each comes to be in a folder.

mod kryoptic;
mod nss;
mod softhsm;
mod tpm;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::Failure;
use crate::error::Asked;

/// A kind of token that needs no hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// SoftHSM 2 (Debian: softhsm2).
    SoftHsm,
    /// kryoptic, built from crates.io by `scripts/kryoptic`.
    Kryoptic,
    /// The software token of NSS (Debian: libnss3, libnss3-tools).
    Nss,
    /// A TPM 2.0 made by swtpm, through tpm2-pkcs11 (Debian: swtpm, libtpm2-pkcs11-1).
    Tpm,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::SoftHsm, Self::Kryoptic, Self::Nss, Self::Tpm];

    /// The word for it in orders and on command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SoftHsm => "softhsm",
            Self::Kryoptic => "kryoptic",
            Self::Nss => "nss",
            Self::Tpm => "tpm",
        }
    }

    /// Lays out what the module needs. `state`: an empty folder that holds everything which makes this token this
    /// token. `beside`: a folder for what all tokens of a [`crate::Local`] share.
    pub(crate) fn prepare(
        self,
        state: &Path,
        beside: &Path,
        label: &str,
        pin: &str,
    ) -> Result<Prepared, Failure> {
        match self {
            Self::SoftHsm => softhsm::prepare(state),
            Self::Kryoptic => kryoptic::prepare(state),
            Self::Nss => nss::prepare(state, beside, label, pin),
            Self::Tpm => tpm::prepare(state, beside),
        }
    }

    /// Starts the process that the token lives in, where it lives in one, on a state that is there.
    pub(crate) fn plug_in(self, state: &Path, beside: &Path) -> Result<Option<Device>, Failure> {
        match self {
            Self::SoftHsm | Self::Kryoptic | Self::Nss => Ok(None),
            Self::Tpm => tpm::plug_in(state, beside).map(Some),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SoftHsm => "SoftHSM",
            Self::Kryoptic => "kryoptic",
            Self::Nss => "NSS softokn",
            Self::Tpm => "TPM 2.0 (swtpm)",
        })
    }
}

/// What a process needs to use the token.
pub(crate) struct Prepared {
    pub(crate) module: PathBuf,
    pub(crate) environment: Vec<(String, OsString)>,
    /// Whether the token is there already, with its PIN. Otherwise the module is asked to initialise one.
    pub(crate) initialised: bool,
    /// A process that the token lives in.
    pub(crate) device: Option<Device>,
}

/// A process that is ended with the token.
pub(crate) struct Device(Child);

impl Drop for Device {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The first of these files that is there, or the file that the variable names.
fn module(variable: &str, places: &[&str], remedy: &str) -> Result<PathBuf, Failure> {
    if let Some(path) = std::env::var_os(variable) {
        return Ok(path.into());
    }
    places.iter().map(PathBuf::from).find(|place| place.is_file()).ok_or_else(|| {
        Failure::Missing(format!("{remedy}, or set {variable} to the path of the module"))
    })
}

/// Runs a tool to its end.
fn tool(program: &str, package: &str, command: &mut Command) -> Result<(), Failure> {
    let output = command.stdin(Stdio::null()).output().map_err(|_| {
        Failure::Missing(format!("{program} cannot be run: install the Debian package {package}"))
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure::Said(format!(
        "{program} failed ({}): {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).asked(format!("write {}", path.display()))
}
