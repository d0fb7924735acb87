//! Driving the units of `scripts/systemd`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::{Error, Started, Status, Stopped};
use crate::base::{Layout, Service};

/// There exactly where systemd is the init system (sd_booted(3)).
const BOOTED: &str = "/run/systemd/system";

/// The `systemctl` program.
#[derive(Debug)]
pub(super) struct Systemctl {
    program: PathBuf,
}

impl Systemctl {
    /// systemd, where it runs and knows our units. An appliance in a folder of its own has none.
    pub(super) fn detect(layout: &Layout) -> Option<Self> {
        if layout.root().is_some() || !Path::new(BOOTED).is_dir() {
            return None;
        }
        Self::with_units(PathBuf::from("systemctl"))
    }

    /// This program, if it knows our units.
    pub(super) fn with_units(program: PathBuf) -> Option<Self> {
        let found = Self { program };
        let known = found.run("cat", Service::Vmcad).ok()?.status.success();
        known.then_some(found)
    }

    pub(super) fn start(&self, service: Service) -> Result<Started, Error> {
        let before = self.status(service)?;
        self.must("start", service)?;
        Ok(match before {
            Status::Running => Started::Already(None),
            Status::StartPending | Status::Stopped => Started::Now(None),
        })
    }

    pub(super) fn stop(&self, service: Service) -> Result<Stopped, Error> {
        let before = self.status(service)?;
        self.must("stop", service)?;
        Ok(match before {
            Status::Stopped => Stopped::Already,
            Status::StartPending | Status::Running => Stopped::Now,
        })
    }

    pub(super) fn status(&self, service: Service) -> Result<Status, Error> {
        // The exit status only repeats the word, and is a failure for "inactive".
        let said = self.run("is-active", service)?;
        Ok(match String::from_utf8_lossy(&said.stdout).trim() {
            "active" | "reloading" | "refreshing" | "deactivating" => Status::Running,
            "activating" => Status::StartPending,
            _ => Status::Stopped,
        })
    }

    fn must(&self, verb: &str, service: Service) -> Result<(), Error> {
        let output = self.run(verb, service)?;
        if output.status.success() {
            return Ok(());
        }
        Err(Error::Systemd {
            unit: unit(service),
            said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }

    fn run(&self, verb: &str, service: Service) -> Result<Output, Error> {
        Command::new(&self.program)
            .args([verb, &unit(service)])
            .stdin(Stdio::null())
            .output()
            .map_err(|cause| Error::Machine {
                what: format!("{} cannot be run", self.program.display()),
                cause,
            })
    }
}

fn unit(service: Service) -> String {
    format!("sealwright-{service}.service")
}
