//! PINs, and the places that a PIN may come from. Never a command line, never an environment variable.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::Error;
use crate::error::Fault;

/// Longest PIN file that we read, in octets. SoftHSM's own limit for a PIN is 255.
const LONGEST: usize = 1024;

/// A PIN of the user or of the security officer. Wipes itself.
pub struct Pin(Zeroizing<String>);

impl Pin {
    /// Makes a PIN of 192 random bits, written as 48 hexadecimal digits: a short PIN falls in minutes to whoever
    /// holds a copy of a software token.
    pub fn random() -> Result<Self, Error> {
        let mut octets = Zeroizing::new([0_u8; 24]);
        aws_lc_rs::rand::fill(octets.as_mut_slice()).map_err(|_| {
            Error::Unavailable("the system gives no random octets: no PIN was made".into())
        })?;
        // The exact capacity from the start, because a buffer that grows leaves copies behind.
        let mut text = Zeroizing::new(String::with_capacity(2 * octets.len()));
        for octet in octets.iter() {
            for nibble in [octet >> 4, octet & 15] {
                text.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
            }
        }
        Ok(Self(text))
    }

    /// Takes over a PIN that the caller already holds.
    pub fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The PIN itself, to hand it to a token or to write it into its file.
    pub fn expose_secret(&self) -> &str {
        &self.0
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
        return usable(Zeroizing::new(text), source);
    }
    // A descriptor of our own: the standard library's buffer for standard input is never wiped.
    let own = stdin.as_fd().try_clone_to_owned().map_err(|e| source.unread(e))?;
    read_text(File::from(own), source, Extent::Line)
}

/// How much of a source is the PIN.
#[derive(Clone, Copy, PartialEq)]
enum Extent {
    All,
    Line,
}

fn read_text(mut from: impl Read, source: &PinSource, extent: Extent) -> Result<Pin, Error> {
    let mut octets = Zeroizing::new(Vec::with_capacity(LONGEST));
    let mut next = [0_u8; 1];
    // Octet by octet, so that a line leaves the rest of the input to others and nothing is left in a buffer.
    while from.read(&mut next).map_err(|e| source.unread(e))? == 1 {
        if octets.len() == LONGEST {
            return Err(Error::Refused(
                format!(
                    "the PIN source {source} holds more than {LONGEST} octets: it is not a PIN"
                )
                .into(),
            ));
        }
        octets.push(next[0]);
        if extent == Extent::Line && next[0] == b'\n' {
            break;
        }
    }
    if octets.last() == Some(&b'\n') {
        octets.pop();
        if octets.last() == Some(&b'\r') {
            octets.pop();
        }
    }
    let Ok(text) = std::str::from_utf8(&octets) else {
        return Err(Error::Refused(
            format!("the PIN source {source} is not UTF-8 text: it is not a PIN").into(),
        ));
    };
    let mut exact = Zeroizing::new(String::with_capacity(text.len()));
    exact.push_str(text);
    usable(exact, source)
}

fn usable(text: Zeroizing<String>, source: &PinSource) -> Result<Pin, Error> {
    if text.is_empty() || text.contains(|c: char| c.is_control()) {
        return Err(Error::Refused(
            format!("the PIN source {source} gave an empty PIN or one with control characters: give one line of text")
                .into(),
        ));
    }
    Ok(Pin(text))
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
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn sources_survive_their_text() {
        for text in ["file:/run/pin", "fd:7", "credential:ca-pin", "prompt"] {
            assert_eq!(text.parse::<PinSource>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_refused_without_being_repeated() {
        for text in ["1234hunter2", "file:", "fd:x", "fd:-1", "credential:../x", "pin:1234hunter2"]
        {
            let Err(Error::Refused(fault)) = text.parse::<PinSource>() else {
                panic!("{text} was accepted")
            };
            assert!(!fault.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn random_pins_are_long_and_differ() {
        let (one, two) = (Pin::random().unwrap(), Pin::random().unwrap());
        assert_eq!(one.expose_secret().len(), 48);
        assert_ne!(one.expose_secret(), two.expose_secret());
        assert_eq!(format!("{one:?}"), "Pin(..)");
    }

    fn pin_file(content: &[u8], mode: u32) -> (tempfile::TempDir, PinSource) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pin");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (folder, PinSource::File(path))
    }

    #[test]
    fn a_private_file_is_read_without_its_line_end() {
        for content in [&b"secret"[..], b"secret\n", b"secret\r\n"] {
            let (_folder, source) = pin_file(content, 0o600);
            assert_eq!(source.read().unwrap().expose_secret(), "secret");
        }
    }

    #[test]
    fn a_file_open_to_others_is_refused() {
        for mode in [0o640, 0o604, 0o620, 0o666] {
            let (_folder, source) = pin_file(b"secret", mode);
            let Err(Error::Refused(fault)) = source.read() else {
                panic!("mode {mode:o} was accepted")
            };
            assert!(fault.to_string().contains("chmod 600"));
        }
    }

    #[test]
    fn text_that_is_no_pin_is_refused() {
        for content in [&b""[..], b"\n", b"a\nb", b"\xff\xfe", &[b'x'; LONGEST + 1]] {
            let (_folder, source) = pin_file(content, 0o600);
            assert!(matches!(source.read(), Err(Error::Refused(_))));
        }
    }

    #[test]
    fn a_missing_file_may_come_back() {
        let source = PinSource::File("/nonexistent/pin".into());
        assert!(matches!(source.read(), Err(Error::Unavailable(_))));
    }

    #[test]
    fn a_descriptor_is_read_to_its_end() {
        let (_folder, source) = pin_file(b"secret\n", 0o600);
        let PinSource::File(path) = source else { unreachable!() };
        let file = File::open(path).unwrap();
        let source = PinSource::Descriptor(file.as_raw_fd());
        assert_eq!(source.read().unwrap().expose_secret(), "secret");
    }

    #[test]
    fn only_one_line_of_standard_input_is_taken() {
        let mut input = &b"secret\nthe next line"[..];
        let pin = read_text(&mut input, &PinSource::Prompt, Extent::Line).unwrap();
        assert_eq!(pin.expose_secret(), "secret");
        assert_eq!(input, b"the next line");
    }
}
