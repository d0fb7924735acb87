//! What a tool takes from its surroundings before it does anything else.

use std::path::{Component, Path, PathBuf};

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::base::Layout;

/// Names the root folder of an appliance; without it the system's own places are used.
pub const ROOT_VARIABLE: &str = "SEALWRIGHT_ROOT";

/// Where the appliance is that this process works on: below `SEALWRIGHT_ROOT` where that is set and
/// not empty, in the system's places otherwise. A relative root counts from the current folder.
pub fn layout_from_environment() -> Layout {
    match std::env::var_os(ROOT_VARIABLE) {
        Some(root) if !root.is_empty() => Layout::under(lasting(Path::new(&root))),
        _ => Layout::system(),
    }
}

/// The path from the root of the file system, without `..`: services get it on their command line and
/// leave the present folder, and the configuration keeps it for years, when a folder that it only
/// passes through may be gone. Symbolic links are somebody's intention and stay.
pub(super) fn lasting(root: &Path) -> PathBuf {
    // A path that cannot be made absolute (the current folder was deleted) still gives a clear
    // sentence later, when the first file below it is not found.
    let absolute = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
    let mut path = PathBuf::new();
    for part in absolute.components() {
        if part == Component::ParentDir {
            // The folder above a link's target, as the system understands it.
            path = path.canonicalize().unwrap_or(path);
            path.pop();
        } else {
            path.push(part);
        }
    }
    path
}

/// A crash of a tool that holds a private key must not leave the key in a core file.
///
/// It cannot fail in practice: a process may always lower its own limits.
pub(super) fn forbid_core_files() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _ = setrlimit(Resource::Core, none);
}

/// The name that this machine's kernel goes by; empty where it has none.
pub(super) fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::lasting;

    #[test]
    fn a_root_does_not_depend_on_folders_that_it_only_passes_through() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(folder.join("a/b")).unwrap();
        std::os::unix::fs::symlink(folder.join("a/b"), folder.join("link")).unwrap();
        for (root, expected) in [
            ("a/../x", "x"),
            ("a/b/../../x/y", "x/y"),
            ("none/../x", "x"),
            // As the system resolves it: above the target, not above the link.
            ("link/../x", "a/x"),
            ("link/x", "link/x"),
            ("./x/", "x"),
        ] {
            assert_eq!(lasting(&folder.join(root)), folder.join(expected), "{root}");
        }
    }
}
