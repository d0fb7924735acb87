//! What a scenario finds out: a line of the table, and what this token does there.

use std::io::Write;
use std::path::PathBuf;

use hsm::Error;

/// Facts are written as they are found, so that those before a crash are there.
pub(crate) struct Facts(pub(crate) PathBuf);

impl Facts {
    /// `what`: the line of the table. `found`: what stands in the token's column.
    pub(crate) fn tell(&self, what: &str, found: impl AsRef<str>) {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.create(true).append(true).open(&self.0).unwrap();
        let found = plain(found.as_ref());
        assert!(!what.contains('\t') && !found.is_empty());
        writeln!(file, "{what}\t{found}").unwrap();
    }

    /// The same of something that may fail, which is a difference and no fault of the test.
    pub(crate) fn tell_of<T>(&self, what: &str, outcome: Result<T, Error>) -> Option<T> {
        match outcome {
            Ok(value) => {
                self.tell(what, "yes");
                Some(value)
            }
            Err(error) => {
                self.tell(what, said(&error));
                None
            }
        }
    }
}

/// An error in few words that are the same in every run.
pub(crate) fn said(error: &Error) -> String {
    let (word, fault) = match error {
        Error::Unavailable(fault) => ("unavailable", fault),
        Error::Locked(fault) => ("locked", fault),
        Error::NoSuchKey(fault) => ("no such key", fault),
        Error::Refused(fault) => ("refused", fault),
        Error::Unreadable(fault) => ("unreadable", fault),
        Error::Unsupported(fault) => ("unsupported", fault),
    };
    match fault.answer() {
        Some(answer) => format!("{word}: {answer}"),
        None => format!("{word}: {fault}"),
    }
}

/// One line without what differs from run to run: ids of keys. Without what would end a cell.
fn plain(text: &str) -> String {
    let is_id = |word: &str| {
        let word = word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
        word.len() == 64 && word.chars().all(|letter| letter.is_ascii_hexdigit())
    };
    let words = text.split_whitespace().map(|word| if is_id(word) { "ID" } else { word });
    // tpm2-pkcs11 fills the names of its token up with zeros.
    words.collect::<Vec<_>>().join(" ").replace('|', "/").replace(char::is_control, "")
}
