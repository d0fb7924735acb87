//! Reading what an operator names on a command line: bounded, and with a sentence for each way in
//! which it can be the wrong file.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::api::KeyText;
use crate::base::Secret;

/// No key, certificate chain or configuration file is near this size (octets).
const LARGEST: u64 = 1024 * 1024;

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// It is not there, or may not be read.
    #[error("cannot read {}; check that the path is right and that you may read the file", .path.display())]
    Unreadable {
        /// As it was typed.
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    /// A folder stands where a file is wanted.
    #[error("{} is a folder; name the file in it", .0.display())]
    Folder(PathBuf),
    /// It is beyond the limit.
    #[error("{} is larger than 1 MiB, which no file of this kind is; check the path", .0.display())]
    TooLarge(PathBuf),
    /// It holds nothing.
    #[error("{} is empty; make it again, or name another file", .0.display())]
    Empty(PathBuf),
    /// It holds octets that no PEM file holds.
    #[error(
        "{} is not a PEM text file; convert a DER file with 'openssl pkey -inform der' or 'openssl x509 -inform der' first",
        .0.display()
    )]
    NotText(PathBuf),
}

/// The whole file, in a buffer that wipes itself. May be empty.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let unreadable = |cause: io::Error| {
        if cause.kind() == ErrorKind::IsADirectory {
            Error::Folder(path.to_owned())
        } else {
            Error::Unreadable {
                path: path.to_owned(),
                cause,
            }
        }
    };
    // The whole buffer is there from the start, because one that grows leaves copies behind.
    let mut octets = Zeroizing::new(Vec::with_capacity(
        usize::try_from(LARGEST).unwrap_or(0) + 1,
    ));
    File::open(path)
        .map_err(unreadable)?
        .take(LARGEST + 1)
        .read_to_end(&mut octets)
        .map_err(unreadable)?;
    if octets.len() as u64 > LARGEST {
        return Err(Error::TooLarge(path.to_owned()));
    }
    Ok(octets)
}

/// A file that must hold PEM text; which blocks are in it is not judged here.
pub(super) fn read_pem(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let octets = read(path)?;
    if octets.is_empty() {
        return Err(Error::Empty(path.to_owned()));
    }
    if octets.contains(&0) || std::str::from_utf8(&octets).is_err() {
        return Err(Error::NotText(path.to_owned()));
    }
    Ok(octets)
}

/// A private key, to be parsed here.
pub(super) fn read_secret(path: &Path) -> Result<Secret, Error> {
    read_pem(path).map(Secret::from_zeroizing)
}

/// A private key or secret, to be sent to a service as it is.
pub(super) fn read_key_text(path: &Path) -> Result<KeyText, Error> {
    let mut octets = read_pem(path)?;
    match String::from_utf8(std::mem::take(&mut *octets)) {
        Ok(text) => Ok(KeyText::new(Zeroizing::new(text))),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            Err(Error::NotText(path.to_owned()))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Error, LARGEST, read, read_pem};
    use std::path::Path;

    #[test]
    fn each_wrong_file_has_its_own_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");

        assert!(matches!(read(folder.path()), Err(Error::Folder(_))));
        assert!(matches!(read(&file), Err(Error::Unreadable { .. })));
        assert!(matches!(
            read(Path::new("/dev/zero")),
            Err(Error::TooLarge(_))
        ));

        std::fs::write(&file, "").unwrap();
        assert!(read(&file).unwrap().is_empty());
        assert!(matches!(read_pem(&file), Err(Error::Empty(_))));
        std::fs::write(&file, b"\x30\x82\x00\x01").unwrap();
        assert!(matches!(read_pem(&file), Err(Error::NotText(_))));
        std::fs::write(&file, vec![b'a'; LARGEST as usize]).unwrap();
        assert_eq!(read_pem(&file).unwrap().len() as u64, LARGEST);
        std::fs::write(&file, vec![b'a'; LARGEST as usize + 1]).unwrap();
        assert!(matches!(read_pem(&file), Err(Error::TooLarge(_))));
    }
}
