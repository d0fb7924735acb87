//! `[ca.token.sandbox]` and `[vecs.token.sandbox]`: what the process that loads the module may do.
//!
//! Everything may be left out. docs/OPERATIONS.md says how to find out what a vendor's module needs.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::TokenSection;
use crate::hardening::{Sandbox, SystemCallName, SystemCalls};

/// Where SoftHSM looks for its configuration when `SOFTHSM2_CONF` is not set.
const SOFTHSM_DEFAULTS: [&str; 2] = ["/etc/softhsm", "/etc/softhsm2.conf"];

/// What programs read that look up names of hosts and services.
const NAME_RESOLUTION: [&str; 8] = [
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/resolv.conf",
    "/etc/services",
    "/run/systemd/resolve",
];

/// Which list of system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SystemCallList {
    /// What SoftHSM needs. Any other call ends the process.
    SoftHsm,
    /// The same with network clients, devices and shared memory.
    Vendor,
    /// Nothing is refused; the kernel logs what is not on SoftHSM's list.
    Log,
    /// No filter.
    Off,
}

/// The section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SandboxSection {
    /// `softhsm`, `vendor`, `log` or `off`. Left out: `softhsm` for a module whose file name says so,
    /// `vendor` for any other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_calls: Option<SystemCallList>,
    /// System calls that are permitted besides, by name, with whatever arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<SystemCallName>,
    /// Files and folders that the module reads, besides its own folder, the system's libraries, the
    /// token's `directory`, every file that `environment` names, and the PIN file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<PathBuf>,
    /// Files, folders and devices that the module reads and writes. With one here, the calls that make and change
    /// files are permitted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub write: Vec<PathBuf>,
    /// Whether the memory of the process is locked, so that it never reaches swap.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub memory_lock: bool,
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_yes(value: &bool) -> bool {
    *value
}

impl Default for SandboxSection {
    fn default() -> Self {
        Self {
            system_calls: None,
            allow: Vec::new(),
            read: Vec::new(),
            write: Vec::new(),
            memory_lock: true,
        }
    }
}

impl SandboxSection {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What the types alone do not rule out.
    pub(super) fn contradiction(&self) -> Option<String> {
        let relative = self.read.iter().chain(&self.write).find(|path| !path.is_absolute())?;
        Some(format!("'{}' in the sandbox must be an absolute path", relative.display()))
    }
}

impl TokenSection {
    /// The sandbox of the process that loads this module.
    ///
    /// `credentials`: the folder in which systemd hands over credentials (`$CREDENTIALS_DIRECTORY`).
    pub fn agent_sandbox(&self, credentials: Option<&Path>) -> Sandbox {
        let section = &self.sandbox;
        let is_softhsm = self
            .module
            .file_name()
            .is_some_and(|name| name.to_string_lossy().to_lowercase().contains("softhsm"));
        let list = section.system_calls.unwrap_or(match is_softhsm {
            true => SystemCallList::SoftHsm,
            false => SystemCallList::Vendor,
        });
        let also = section.allow.clone();
        let system_calls = match list {
            SystemCallList::SoftHsm => SystemCalls::SoftHsm { also },
            SystemCallList::Vendor => SystemCalls::Vendor { also },
            SystemCallList::Log => SystemCalls::LogOnly { also },
            SystemCallList::Off => SystemCalls::Off,
        };
        let mut readable = module_places(&self.module);
        readable.extend(self.environment.values().map(PathBuf::from).filter(|p| p.is_absolute()));
        readable.extend(self.directory.clone());
        readable.extend(self.pin_file(credentials));
        if list != SystemCallList::SoftHsm {
            readable.extend(existing(&NAME_RESOLUTION));
        }
        if is_softhsm && !self.environment.contains_key("SOFTHSM2_CONF") {
            readable.extend(existing(&SOFTHSM_DEFAULTS));
        }
        readable.extend(section.read.iter().cloned());
        Sandbox {
            readable,
            writable: section.write.clone(),
            system_calls,
            memory_lock: section.memory_lock,
        }
    }

    /// The file that the PIN is read from, each time anew.
    fn pin_file(&self, credentials: Option<&Path>) -> Option<PathBuf> {
        match self.pin.parse().ok()? {
            hsm::PinSource::File(path) => Some(path),
            hsm::PinSource::Credential(name) => Some(credentials?.join(name)),
            hsm::PinSource::Descriptor(_) | hsm::PinSource::Prompt => None,
        }
    }
}

/// The module's folder, and the one that a link to it leads to; modules have libraries beside them.
fn module_places(module: &Path) -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = Vec::new();
    let target = module.canonicalize().unwrap_or_else(|_| module.to_owned());
    for path in [module, target.as_path()] {
        // Beside a module directly below the root there is everything.
        let place = path.parent().filter(|folder| folder.parent().is_some()).unwrap_or(path);
        if !places.iter().any(|known| known == place) {
            places.push(place.to_owned());
        }
    }
    places
}

fn existing(paths: &[&str]) -> Vec<PathBuf> {
    paths.iter().map(PathBuf::from).filter(|path| path.exists()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::{Path, PathBuf};

    use super::{SystemCallList, TokenSection};
    use crate::hardening::SystemCalls;

    fn section(module: &str, more: &str) -> TokenSection {
        let text = format!(
            "module = \"{module}\"\nuri = \"pkcs11:token=x\"\npin = \"credential:ca-pin\"\n\
             directory = \"/var/tokens\"\n{more}"
        );
        toml::from_str(&text).unwrap()
    }

    #[test]
    fn the_module_decides_where_the_file_says_nothing() {
        let sandbox = section("/usr/lib/softhsm/libsofthsm2.so", "").agent_sandbox(None);
        assert_eq!(sandbox.system_calls, SystemCalls::SoftHsm { also: Vec::new() });
        assert!(sandbox.memory_lock && sandbox.writable.is_empty());
        let sandbox = section("/opt/vendor/lib/libpkcs11.so", "").agent_sandbox(None);
        assert_eq!(sandbox.system_calls, SystemCalls::Vendor { also: Vec::new() });
    }

    #[test]
    fn what_the_section_names_can_be_read() {
        let more = "[environment]\nSOFTHSM2_CONF = \"/etc/token.conf\"\nLEVEL = \"3\"\n\
            [sandbox]\nread = [\"/etc/vendor\"]\nwrite = [\"/var/vendor\"]\n";
        let sandbox = section("/opt/softhsm/libsofthsm2.so", more)
            .agent_sandbox(Some(Path::new("/run/credentials/vmcad")));
        let expected = [
            "/opt/softhsm",
            "/etc/token.conf",
            "/var/tokens",
            "/run/credentials/vmcad/ca-pin",
            "/etc/vendor",
        ];
        assert_eq!(sandbox.readable, expected.map(PathBuf::from));
        assert_eq!(sandbox.writable, [PathBuf::from("/var/vendor")]);
    }

    #[test]
    fn a_module_below_the_root_does_not_open_everything() {
        let sandbox = section("/libvendor.so", "").agent_sandbox(None);
        assert!(!sandbox.readable.contains(&PathBuf::from("/")), "{sandbox:?}");
    }

    #[test]
    fn a_section_reads_back_and_a_default_one_is_not_written() {
        let plain = section("/m.so", "");
        assert!(!toml::to_string_pretty(&plain).unwrap().contains("sandbox"));
        let more = "[sandbox]\nsystem_calls = \"log\"\nallow = [\"socket\", \"connect\"]\n\
            memory_lock = false\n";
        let widened = section("/m.so", more);
        assert_eq!(widened.sandbox.system_calls, Some(SystemCallList::Log));
        let again: TokenSection =
            toml::from_str(&toml::to_string_pretty(&widened).unwrap()).unwrap();
        assert_eq!(again.sandbox, widened.sandbox);
        assert!(!again.agent_sandbox(None).memory_lock);
    }
}
