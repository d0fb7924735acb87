//! Writing a file so that it is either there whole, or as it was before.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Who may read the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// Its owner alone: mode 0600.
    Owner,
    /// Whoever the umask lets: mode 0666 without the bits of the umask, as the original writes.
    Umask,
}

/// Why a file could not be written; what was there before is still there.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The path ends in no file name.
    #[error("{} is not the name of a file; name the file to write", .0.display())]
    NoName(PathBuf),
    /// What stands there is no ordinary file. A symbolic link would be followed to a place that the
    /// operator did not name, and renaming over a device would destroy the device.
    #[error("{} is not an ordinary file (a folder, a link or a device); name another path", .0.display())]
    NotOrdinary(PathBuf),
    /// The system refused.
    #[error("cannot write {}; check that its folder exists, that you may write there and that the disk is not full", .path.display())]
    Io {
        /// As it was typed.
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
}

/// A file in the making: it lies beside its place under a name of its own until it is kept.
///
/// Made before the work whose result it takes, it finds out first whether there is a place for the
/// result. Dropped without [`NewFile::keep`], it leaves nothing behind.
#[derive(Debug)]
pub(super) struct NewFile {
    place: PathBuf,
    beside: PathBuf,
    file: File,
    kept: bool,
}

impl NewFile {
    pub(super) fn beside(place: &Path, audience: Audience) -> Result<Self, Error> {
        let (Some(name), Some(folder)) = (place.file_name(), place.parent()) else {
            return Err(Error::NoName(place.to_owned()));
        };
        match place.symlink_metadata() {
            Ok(there) if !there.is_file() => return Err(Error::NotOrdinary(place.to_owned())),
            _ => {}
        }
        let mode = match audience {
            Audience::Owner => 0o600,
            Audience::Umask => 0o666,
        };
        let mut attempt = 0_u32;
        loop {
            let mut hidden = std::ffi::OsString::from(".");
            hidden.push(name);
            hidden.push(format!(".{}-{attempt}.new", std::process::id()));
            let beside = folder.join(hidden);
            // `create_new` opens nothing that is there, so a link planted under this name is not
            // followed; it only costs another attempt.
            match OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside) {
                Ok(file) => {
                    return Ok(Self { place: place.to_owned(), beside, file, kept: false });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists && attempt < 100 => {
                    attempt += 1;
                }
                Err(cause) => {
                    return Err(Error::Io { path: place.to_owned(), cause });
                }
            }
        }
    }

    /// Adds public content.
    pub(super) fn write(&mut self, text: &str) -> Result<(), Error> {
        let written = self.file.write_all(text.as_bytes());
        self.judge(written)
    }

    /// Adds public content that is no text.
    pub(super) fn write_octets(&mut self, octets: &[u8]) -> Result<(), Error> {
        let written = self.file.write_all(octets);
        self.judge(written)
    }

    /// Adds a secret, with a newline where it has none at its end. No buffer of ours is in between.
    pub(super) fn write_secret(&mut self, octets: &[u8]) -> Result<(), Error> {
        let newline: &[u8] = if octets.ends_with(b"\n") { b"" } else { b"\n" };
        let written = self.file.write_all(octets).and_then(|()| self.file.write_all(newline));
        self.judge(written)
    }

    /// Puts the file in its place, durably.
    pub(super) fn keep(mut self) -> Result<(), Error> {
        let kept = self.file.sync_all().and_then(|()| std::fs::rename(&self.beside, &self.place));
        self.judge(kept)?;
        self.kept = true;
        // Some file systems cannot synchronise a folder; the file is in place nevertheless.
        if let Some(folder) = self.place.parent() {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
        }
        Ok(())
    }

    fn judge(&self, result: io::Result<()>) -> Result<(), Error> {
        result.map_err(|cause| Error::Io { path: self.place.clone(), cause })
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_file(&self.beside);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Audience, Error, NewFile};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn a_key_replaces_what_was_there_and_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("key");
        std::fs::write(&place, "old").unwrap();
        std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o644)).unwrap();

        let mut file = NewFile::beside(&place, Audience::Owner).unwrap();
        file.write_secret(b"new").unwrap();
        assert_eq!(std::fs::read_to_string(&place).unwrap(), "old");
        file.keep().unwrap();
        assert_eq!(std::fs::read_to_string(&place).unwrap(), "new\n");
        assert_eq!(place.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn dropped_without_keeping_it_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("cert");
        let mut file = NewFile::beside(&place, Audience::Umask).unwrap();
        file.write("half").unwrap();
        drop(file);
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn links_folders_and_devices_are_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        symlink(folder.path().join("elsewhere"), &link).unwrap();
        for place in [link.as_path(), folder.path(), std::path::Path::new("/dev/null")] {
            assert!(matches!(NewFile::beside(place, Audience::Owner), Err(Error::NotOrdinary(_))));
        }
        assert!(!folder.path().join("elsewhere").exists());
        assert!(matches!(
            NewFile::beside(std::path::Path::new("/"), Audience::Owner),
            Err(Error::NoName(_))
        ));
    }
}
