//! What a tool takes from its surroundings before it does anything else.

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::base::Layout;

/// Names the root folder of an appliance; without it the system's own places are used.
pub const ROOT_VARIABLE: &str = "SEALWRIGHT_ROOT";

/// Where the appliance is that this process works on: below `SEALWRIGHT_ROOT` where that is set and
/// not empty, in the system's places otherwise. A relative root counts from the current folder.
pub fn layout_from_environment() -> Layout {
    match std::env::var_os(ROOT_VARIABLE) {
        Some(root) if !root.is_empty() => {
            // A path that cannot be made absolute (the current folder was deleted) still gives a
            // clear sentence later, when the first file below it is not found.
            Layout::under(std::path::absolute(&root).unwrap_or_else(|_| root.into()))
        }
        _ => Layout::system(),
    }
}

/// A crash of a tool that holds a private key must not leave the key in a core file.
///
/// It cannot fail in practice: a process may always lower its own limits.
pub(super) fn forbid_core_files() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = setrlimit(Resource::Core, none);
}

/// The name that this machine's kernel goes by; empty where it has none.
pub(super) fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .unwrap_or_default()
}
