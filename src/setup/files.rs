//! Folders with the right mode, and files that are there whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::Cause;

/// Mode of a folder through which everybody may pass to what is public below it, and see nothing else.
pub(super) const PASSAGE: u32 = 0o711;

/// Makes a folder, and those above it, where it is missing. Says whether it made it.
///
/// The mode of a folder that is there is left as it is, unless others could look into what must be
/// private.
pub(super) fn folder(path: &Path, mode: u32) -> Result<bool, Cause> {
    let failed = |what| Cause::file(what, path);
    match path.parent() {
        Some(above) if !above.as_os_str().is_empty() && !above.exists() => {
            folder(above, 0o755)?;
        }
        _ => {}
    }
    match DirBuilder::new().mode(mode).create(path) {
        Ok(()) => {
            // The umask of this process is stricter than what clients of a run folder need.
            fs::set_permissions(path, Permissions::from_mode(mode))
                .map_err(failed("cannot set the mode of"))?;
            Ok(true)
        }
        Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {
            let found = fs::metadata(path).map_err(failed("cannot look at"))?;
            if !found.is_dir() {
                return Err(failed("there must be a folder at")(ErrorKind::NotADirectory.into()));
            }
            let present = found.permissions().mode() & 0o777;
            if mode == 0o700 && present & 0o077 != 0 {
                fs::set_permissions(path, Permissions::from_mode(mode))
                    .map_err(failed("cannot make private"))?;
            }
            Ok(false)
        }
        Err(cause) => Err(failed("cannot make the folder")(cause)),
    }
}

/// Writes a file that is not there yet, durably; leaves one that is there alone. Says whether it
/// wrote.
///
/// The text goes into a file of another name first, so that an interrupted write leaves nothing that
/// looks finished. Only the process that holds the set-up lock calls this.
pub(super) fn write_once(path: &Path, mode: u32, text: &[&[u8]]) -> Result<bool, Cause> {
    let there = path.try_exists().map_err(Cause::file("cannot look at", path))?;
    if !there {
        replace(path, mode, text)?;
    }
    Ok(!there)
}

/// Writes a file, durably; what was there before stays until the new text is complete.
pub(super) fn replace(path: &Path, mode: u32, text: &[&[u8]]) -> Result<(), Cause> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let beside = Path::new(&name);
    let written = write_beside(beside, mode, text)
        .and_then(|()| fs::rename(beside, path))
        .and_then(|()| sync_folder(path));
    written.map_err(|cause| {
        let _nothing_half_done = fs::remove_file(beside);
        Cause::file("cannot write", path)(cause)
    })
}

fn write_beside(path: &Path, mode: u32, text: &[&[u8]]) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(cause) if cause.kind() == ErrorKind::NotFound => {}
        Err(cause) => return Err(cause),
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    for part in text {
        file.write_all(part)?;
    }
    file.sync_all()
}

/// A new name is durable when its folder is.
pub(super) fn sync_folder(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{folder, replace, write_once};
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_written_once_and_stays() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("pin");
        assert!(write_once(&path, 0o600, &[b"first", b"\n"]).unwrap());
        assert!(!write_once(&path, 0o600, &[b"second"]).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first\n");
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn what_an_interrupted_write_left_is_no_obstacle() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("pin");
        std::fs::write(root.path().join("pin.new"), "half").unwrap();
        assert!(write_once(&path, 0o600, &[b"whole"]).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "whole");
        assert_eq!(root.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_what_was_there() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("folder");
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("content"), "").unwrap();
        let failed = replace(&path, 0o600, &[b"text"]).unwrap_err().to_string();
        assert!(failed.contains("cannot write"), "{failed}");
        assert_eq!(root.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn folders_get_their_mode_and_private_ones_keep_it() {
        let root = tempfile::tempdir().unwrap();
        let open = root.path().join("a/run");
        assert!(folder(&open, 0o755).unwrap());
        assert_eq!(mode(&open), 0o755);
        let private = root.path().join("a/lib");
        assert!(folder(&private, 0o700).unwrap());
        std::fs::set_permissions(&private, PermissionsExt::from_mode(0o755)).unwrap();
        assert!(!folder(&private, 0o700).unwrap());
        assert_eq!(mode(&private), 0o700);
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("lib");
        std::fs::write(&path, "").unwrap();
        for place in [path.clone(), path.join("below"), path.join("far/below")] {
            let failed = folder(&place, 0o700).unwrap_err().to_string();
            assert!(failed.contains("not a folder"), "{failed}");
            assert!(failed.contains("/lib"), "{failed}");
        }
    }
}
