//! What parent and child say to each other: one JSON object a line, of bounded length.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::base::KeyAlgorithm;
use crate::config::TokenSection;

/// Octets in the longest line, without its end: a PKCS#8 of RSA-8192 in hex with room to spare.
pub(super) const LONGEST_LINE: usize = 64 * 1024;

/// Octets of the largest certificate that goes over the pipe; written as numbers it fits into a line.
pub(super) const LARGEST_CERTIFICATE: usize = 12 * 1024;

/// One piece of work.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    /// The token as configured; set-up asks before there is a configuration file.
    pub(super) token: TokenSection,
    /// The user PIN, where its source answers only once and the parent has asked it.
    pub(super) pin: Option<SecretText>,
    pub(super) work: Work,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Work {
    CreateToken {
        label: String,
        so_pin: PinWords,
        user_pin: PinWords,
    },
    Identity,
    /// The sealing key and the wrapping key of a generation.
    GenerateGeneration {
        number: u32,
    },
    GenerateSigningKey {
        label: String,
        algorithm: KeyAlgorithm,
    },
    ImportSigningKey {
        label: String,
        /// PKCS#8 DER in hex.
        pkcs8: SecretText,
    },
    /// Look, and try to break custody; change nothing.
    Examine {
        expected: hsm::examination::Expected,
    },
    DestroyGeneration {
        generation: hsm::KeyGeneration,
    },
    ProveGeneration {
        generation: hsm::KeyGeneration,
    },
    ProveSigningKey {
        id: String,
        /// SubjectPublicKeyInfo, DER.
        public_key: Vec<u8>,
    },
    /// Sign a CA certificate for the key itself.
    SignCaCertificate {
        id: String,
        /// SubjectPublicKeyInfo, DER.
        public_key: Vec<u8>,
        /// TBSCertificate, DER.
        tbs: Vec<u8>,
    },
    /// Write a CA certificate down for the policy of the token.
    RecordIssuer {
        id: String,
        /// SubjectPublicKeyInfo, DER.
        public_key: Vec<u8>,
        /// DER.
        certificate: Vec<u8>,
    },
}

/// A PIN by its source, or itself where the source answers only once.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum PinWords {
    Source(String),
    Text(SecretText),
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Answer {
    Identity {
        label: String,
        serial: String,
        manufacturer: String,
        model: String,
    },
    Generation(Box<hsm::provision::MadeGeneration>),
    Destroyed(Box<Destroyed>),
    SigningKey {
        id: String,
        /// SubjectPublicKeyInfo, DER.
        public_key: Vec<u8>,
    },
    Examined(Box<hsm::examination::Examination>),
    /// The key is there, is what it should be, and works.
    Proved,
    /// A signature that verifies with the key's public key.
    Signature {
        octets: Vec<u8>,
    },
    /// The certificate is written down.
    Recorded,
    Failed {
        word: Word,
        what: String,
    },
}

/// The evidence that the keys of a generation are gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Destroyed {
    /// What the token answered.
    pub destruction: hsm::provision::Destruction,
    /// How many copies of a software token's directory were removed, because they still held the keys. `None` for a
    /// token without a directory.
    pub copies_removed: Option<usize>,
}

/// The word of `hsm::Error`, or the workshop's own failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Word {
    Unavailable,
    Locked,
    NoSuchKey,
    Refused,
    Unreadable,
    Unsupported,
    Workshop,
}

impl Word {
    pub(super) const fn of(error: &hsm::Error) -> Self {
        match error {
            hsm::Error::Unavailable(_) => Self::Unavailable,
            hsm::Error::Locked(_) => Self::Locked,
            hsm::Error::NoSuchKey(_) => Self::NoSuchKey,
            hsm::Error::Refused(_) => Self::Refused,
            hsm::Error::Unreadable(_) => Self::Unreadable,
            hsm::Error::Unsupported(_) => Self::Unsupported,
        }
    }
}

/// Secret text on its way over the pipe; wiped when dropped.
pub(super) struct SecretText(Zeroizing<String>);

impl SecretText {
    pub(super) const fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    pub(super) fn into_inner(self) -> Zeroizing<String> {
        self.0
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

impl Serialize for SecretText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Sends one line.
pub(super) fn send(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    // The capacity from the start, because a buffer that grows leaves copies behind.
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST_LINE + 1));
    serde_json::to_writer(&mut *line, message)?;
    if line.len() > LONGEST_LINE {
        return Err(too_long());
    }
    line.push(b'\n');
    to.write_all(&line)?;
    to.flush()
}

/// Receives one line; `None` where the other side has closed the pipe between two lines.
///
/// Octet by octet, so that no buffer keeps what was secret; the lines are short and few.
pub(super) fn receive<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST_LINE));
    let mut octet = [0];
    loop {
        match from.read(&mut octet) {
            Ok(0) if line.is_empty() => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) if octet[0] == b'\n' => break,
            Ok(_) if line.len() == LONGEST_LINE => return Err(too_long()),
            Ok(_) => line.push(octet[0]),
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    serde_json::from_slice(&line).map(Some).map_err(io::Error::from)
}

fn too_long() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("a line has more than {LONGEST_LINE} octets"),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Answer, LARGEST_CERTIFICATE, LONGEST_LINE, SecretText, Word, receive, send};
    use std::io::ErrorKind;

    #[test]
    fn lines_arrive_one_by_one_and_the_end_is_an_end() {
        let mut pipe = Vec::new();
        let answers = [
            Answer::SigningKey { id: "00".to_owned(), public_key: vec![1] },
            Answer::Failed { word: Word::Locked, what: "a\nb".to_owned() },
        ];
        for answer in &answers {
            send(&mut pipe, answer).unwrap();
        }
        let mut pipe = pipe.as_slice();
        for answer in answers {
            assert_eq!(receive::<Answer>(&mut pipe).unwrap(), Some(answer));
        }
        assert_eq!(receive::<Answer>(&mut pipe).unwrap(), None);
    }

    #[test]
    fn a_line_without_end_is_not_read_for_ever() {
        let mut endless = std::io::repeat(b'x');
        let refusal = receive::<String>(&mut endless).unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn the_longest_line_passes_and_one_octet_more_does_not() {
        // Two octets are the quotation marks.
        let longest = "x".repeat(LONGEST_LINE - 2);
        let mut pipe = Vec::new();
        send(&mut pipe, &longest).unwrap();
        assert_eq!(receive::<String>(&mut pipe.as_slice()).unwrap(), Some(longest.clone()));
        assert!(send(&mut Vec::new(), &format!("{longest}x")).is_err());
    }

    #[test]
    fn the_largest_certificate_leaves_room_in_its_line() {
        let mut pipe = Vec::new();
        send(&mut pipe, &Answer::Signature { octets: vec![255; LARGEST_CERTIFICATE] }).unwrap();
        assert!(pipe.len() + 8 * 1024 < LONGEST_LINE, "{}", pipe.len());
    }

    #[test]
    fn half_a_line_and_foreign_words_are_errors() {
        assert_eq!(
            receive::<String>(&mut &b"\"half"[..]).unwrap_err().kind(),
            ErrorKind::UnexpectedEof
        );
        assert!(receive::<Answer>(&mut &b"{\"identity\":{}}\n"[..]).is_err());
    }

    #[test]
    fn secret_text_passes_unchanged() {
        let mut pipe = Vec::new();
        send(&mut pipe, &SecretText::new("pin".to_owned().into())).unwrap();
        let text: Option<SecretText> = receive(&mut pipe.as_slice()).unwrap();
        assert_eq!(text.unwrap().into_inner().as_str(), "pin");
    }
}
