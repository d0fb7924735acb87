//! PINs, and the places that a PIN may come from. Never a command line, never an environment variable.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use secret_memory::SecretOctets;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::Error;
use crate::error::Fault;

/// Longest PIN file that we read, in octets. SoftHSM's own limit for a PIN is 255.
pub(crate) const LONGEST: usize = 1024;

/// A PIN of the user or of the security officer. It lies in hidden or locked memory and wipes itself.
pub struct Pin(SecretOctets);

impl Pin {
    /// Makes a PIN of 192 random bits, written as 48 hexadecimal digits: a short PIN falls in minutes to whoever
    /// holds a copy of a software token.
    pub fn random() -> Result<Self, Error> {
        let mut octets = SecretOctets::zeroed(24);
        aws_lc_rs::rand::fill(&mut octets).map_err(|_| {
            Error::Unavailable("the system gives no random octets: no PIN was made".into())
        })?;
        let mut text = SecretOctets::zeroed(2 * octets.len());
        for (octet, digits) in octets.iter().zip(text.chunks_exact_mut(2)) {
            for (digit, nibble) in digits.iter_mut().zip([octet >> 4, octet & 15]) {
                *digit = b"0123456789abcdef"[usize::from(nibble)];
            }
        }
        Ok(Self(text))
    }

    /// Takes over a PIN that the caller already holds.
    pub fn new(text: Zeroizing<String>) -> Self {
        Self(SecretOctets::copy_of(text.as_bytes()))
    }

    /// The PIN itself, to hand it to a token or to write it into its file.
    pub fn expose_secret(&self) -> &str {
        // Every way in has made sure that it is text.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(..)")
    }
}

/// Where a PIN comes from. Written `file:PATH`, `fd:N`, `credential:NAME` or `prompt`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PinSource {
    /// A regular file that group and others cannot read or write.
    File(PathBuf),
    /// A descriptor that the parent process left open. Read once, to its end.
    Descriptor(i32),
    /// A file in `$CREDENTIALS_DIRECTORY`, as systemd hands it over (`LoadCredential=`, `LoadCredentialEncrypted=`).
    Credential(String),
    /// The terminal, without echo; one line of standard input where that is no terminal.
    Prompt,
}

impl PinSource {
    /// Reads the PIN. One line end at the end of the text is not part of it.
    ///
    /// Refused if the file is open to others or holds no usable PIN; Unavailable if it cannot be read.
    pub fn read(&self) -> Result<Pin, Error> {
        match self {
            Self::File(path) => read_file(path, self),
            Self::Descriptor(number) => {
                let file = File::open(format!("/dev/fd/{number}")).map_err(|e| self.unread(e))?;
                read_text(file, self, Extent::All)
            }
            Self::Credential(name) => {
                let Some(directory) = std::env::var_os("CREDENTIALS_DIRECTORY") else {
                    return Err(Error::Unavailable(
                        format!(
                            "the PIN source {self} needs CREDENTIALS_DIRECTORY, which is not set: start the \
                             service by systemd with LoadCredential={name}:..., or use another PIN source"
                        )
                        .into(),
                    ));
                };
                // No check of the mode: systemd shows the mask of an access list in the group bits.
                let file =
                    File::open(Path::new(&directory).join(name)).map_err(|e| self.unread(e))?;
                read_text(file, self, Extent::All)
            }
            Self::Prompt => prompt(self),
        }
    }

    /// Whether the PIN can be read again for the next login. A descriptor and a person answer once.
    pub(crate) fn is_repeatable(&self) -> bool {
        matches!(self, Self::File(_) | Self::Credential(_))
    }

    fn unread(&self, cause: std::io::Error) -> Error {
        Error::Unavailable(Fault::caused_by(
            format!(
                "the PIN source {self} cannot be read: check that it exists and that this user may read it"
            ),
            cause,
        ))
    }
}

fn read_file(path: &Path, source: &PinSource) -> Result<Pin, Error> {
    let file = OpenOptions::new().read(true).open(path).map_err(|e| source.unread(e))?;
    // The open file is asked, not the path, so that nobody can swap it in between.
    let metadata = file.metadata().map_err(|e| source.unread(e))?;
    if !metadata.is_file() {
        return Err(Error::Refused(
            format!("the PIN source {source} is not a regular file: give the path of a file")
                .into(),
        ));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Error::Refused(
            format!(
                "the PIN file {} is open to others (mode {mode:04o}): run chmod 600 on it, and change the PIN if \
                 others could have read it",
                path.display()
            )
            .into(),
        ));
    }
    read_text(file, source, Extent::All)
}

fn prompt(source: &PinSource) -> Result<Pin, Error> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        let text = rpassword::prompt_password("Token PIN: ").map_err(|e| source.unread(e))?;
        return usable(text.into_bytes().into(), source);
    }
    // A descriptor of our own: the standard library's buffer for standard input is never wiped.
    let own = stdin.as_fd().try_clone_to_owned().map_err(|e| source.unread(e))?;
    read_text(File::from(own), source, Extent::Line)
}

/// How much of a source is the PIN.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Extent {
    All,
    Line,
}

pub(crate) fn read_text(
    mut from: impl Read,
    source: &PinSource,
    extent: Extent,
) -> Result<Pin, Error> {
    // Straight into the memory in which the PIN stays. One octet more than a PIN may have, to see that there is more.
    let mut octets = SecretOctets::zeroed(LONGEST + 1);
    let mut length = 0;
    // Octet by octet, so that a line leaves the rest of the input to others.
    while let Some(next) = octets.get_mut(length..=length) {
        if from.read(next).map_err(|e| source.unread(e))? == 0 {
            break;
        }
        length += 1;
        if extent == Extent::Line && next == b"\n" {
            break;
        }
    }
    if length > LONGEST {
        return Err(Error::Refused(
            format!("the PIN source {source} holds more than {LONGEST} octets: it is not a PIN")
                .into(),
        ));
    }
    octets.shorten(length);
    for end in [b'\n', b'\r'] {
        if octets.last() != Some(&end) {
            break;
        }
        octets.shorten(octets.len() - 1);
    }
    usable(octets, source)
}

fn usable(octets: SecretOctets, source: &PinSource) -> Result<Pin, Error> {
    let refused = |why: &str| Err(Error::Refused(format!("the PIN source {source} {why}").into()));
    match std::str::from_utf8(&octets) {
        Err(_) => refused("is not UTF-8 text: it is not a PIN"),
        Ok(text) if text.is_empty() || text.contains(char::is_control) => {
            refused("gave an empty PIN or one with control characters: give one line of text")
        }
        Ok(_) => Ok(Pin(octets)),
    }
}

impl FromStr for PinSource {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        // The text is not repeated in the error: a PIN typed here by mistake must not reach a log.
        let refused = |why: &str| {
            Err(Error::Refused(
                format!("{why}: a PIN source is file:PATH, fd:NUMBER, credential:NAME or prompt; a PIN itself is never accepted here").into(),
            ))
        };
        if text == "prompt" {
            return Ok(Self::Prompt);
        }
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("fd", number)) => match number.parse() {
                Ok(number) if number >= 0 => Ok(Self::Descriptor(number)),
                _ => refused("fd: needs the number of an open descriptor"),
            },
            Some(("credential", name)) => {
                if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
                    return refused("credential: needs the plain name of a credential");
                }
                Ok(Self::Credential(name.to_owned()))
            }
            _ => refused("this is not a PIN source"),
        }
    }
}

impl fmt::Display for PinSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Descriptor(number) => write!(f, "fd:{number}"),
            Self::Credential(name) => write!(f, "credential:{name}"),
            Self::Prompt => f.write_str("prompt"),
        }
    }
}

impl TryFrom<String> for PinSource {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<PinSource> for String {
    fn from(source: PinSource) -> Self {
        source.to_string()
    }
}

#[cfg(test)]
mod tests;
