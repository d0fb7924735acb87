//! What a process may write to: a service to its own folders, an examination to nothing (Landlock).
//!
//! A full disk while a process logs in destroys a SoftHSM token that this process can write to. A
//! service that cannot write to the token directory cannot destroy it. Reading stays open.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, AccessFs, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetStatus, path_beneath_rules,
};

/// Devices that programs write to as a matter of course.
const DEVICES: [&str; 3] = ["/dev/null", "/dev/full", "/dev/tty"];

/// Why the process is not confined. The service goes on: a kernel without Landlock is no reason not
/// to serve, but the operator is told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel has no Landlock, or it is switched off.
    #[error(
        "the kernel offers no Landlock; make the token directory read-only for the service by other means"
    )]
    NotOffered,
    /// A folder of the service cannot be opened.
    #[error("{} cannot be opened", .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The reason.
        #[source]
        cause: landlock::PathFdError,
    },
    /// The kernel refused.
    #[error("the kernel refused to restrict the process")]
    Refused(#[from] landlock::RulesetError),
}

/// From now on this thread, and every thread and process it starts, can write only below `writable`.
///
/// Call it before any other thread is started: Landlock restricts one thread and its descendants.
///
/// # Errors
/// See [`Error`]; nothing is restricted then.
pub fn confine(writable: &[&Path]) -> Result<(), Error> {
    // Up to ABI 3 (Linux 6.2), which added truncation; what an older kernel does not know is left out.
    let write: BitFlags<AccessFs> = AccessFs::from_write(ABI::V3);
    let mut ruleset = Ruleset::default().handle_access(write)?.create()?;
    for folder in writable {
        let opened = PathFd::new(folder)
            .map_err(|cause| Error::Folder { folder: folder.to_path_buf(), cause })?;
        ruleset = ruleset.add_rule(PathBeneath::new(opened, write))?;
    }
    let status = ruleset.add_rules(path_beneath_rules(DEVICES, write))?.restrict_self()?;
    match status.ruleset {
        RulesetStatus::NotEnforced => Err(Error::NotOffered),
        RulesetStatus::PartiallyEnforced | RulesetStatus::FullyEnforced => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Error, confine};
    use std::fs;
    use std::io::ErrorKind;

    #[test]
    fn a_confined_thread_reads_the_token_and_cannot_touch_it() {
        let folder = tempfile::tempdir().unwrap();
        let (own, token) = (folder.path().join("own"), folder.path().join("token"));
        fs::create_dir(&own).unwrap();
        fs::create_dir(&token).unwrap();
        let object = token.join("token.object");
        fs::write(&object, "key").unwrap();

        // A thread of its own: the restriction ends with it and does not reach the other tests.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                match confine(&[&own]) {
                    Err(Error::NotOffered) => return,
                    other => other.unwrap(),
                }
                assert_eq!(fs::read_to_string(&object).unwrap(), "key");
                let refused = |result: std::io::Result<()>| {
                    assert_eq!(result.unwrap_err().kind(), ErrorKind::PermissionDenied);
                };
                refused(fs::write(&object, ""));
                refused(fs::write(token.join("new"), "x"));
                refused(fs::remove_file(&object));
                refused(fs::rename(&object, own.join("token.object")));
                fs::write(own.join("a"), "x").unwrap();
                fs::rename(own.join("a"), own.join("b")).unwrap();
                fs::write("/dev/null", "x").unwrap();
            });
        });
        assert_eq!(fs::read_to_string(&object).unwrap(), "key");
    }
}
