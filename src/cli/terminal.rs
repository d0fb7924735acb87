//! Standard input, output and error of a tool.

use std::fs::File;
use std::io::{self, BufRead as _, ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd as _;

use crate::api::KeyText;

/// An answer to a question is one character; more than this is not an answer.
const LONGEST_ANSWER: u64 = 4096;

/// The three streams. It remembers output that could not be written, so that a full disk behind a
/// redirection is not reported as success.
#[derive(Debug, Default)]
pub(super) struct Terminal {
    lost: Option<io::Error>,
    closed: bool,
}

impl Terminal {
    /// Writes to standard output, as it is.
    pub(super) fn out(&mut self, text: &str) {
        let written = io::stdout().lock().write_all(text.as_bytes());
        self.note(written);
    }

    /// Writes a private key and a newline to standard output past the buffer of the standard
    /// library, which would keep the key for as long as the process lives.
    pub(super) fn out_key(&mut self, key: &KeyText) {
        let written = (|| {
            let mut stdout = io::stdout().lock();
            stdout.flush()?;
            let mut raw = File::from(stdout.as_fd().try_clone_to_owned()?);
            raw.write_all(key.expose_secret().trim_end_matches('\n').as_bytes())?;
            raw.write_all(b"\n")
        })();
        self.note(written);
    }

    /// Writes one line to standard error. There is nowhere left to report a failure of that.
    pub(super) fn err(&mut self, line: &str) {
        let _ = io::stdout().lock().flush();
        let _ = writeln!(io::stderr().lock(), "{line}");
    }

    /// Asks, and reads one line; end of input is an empty answer.
    pub(super) fn ask(&mut self, question: &str) -> String {
        self.out(question);
        let _ = io::stdout().lock().flush();
        let mut line = Vec::new();
        // Input that cannot be read is no consent.
        let _ = io::stdin().lock().take(LONGEST_ANSWER).read_until(b'\n', &mut line);
        String::from_utf8_lossy(&line).trim().to_owned()
    }

    /// Whether nobody reads standard output any more.
    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// What became of the output, at the end.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let flushed = io::stdout().lock().flush();
        self.note(flushed);
        self.lost.map_or(Ok(()), Err)
    }

    fn note(&mut self, written: io::Result<()>) {
        match written {
            // The reader has seen enough (`| head`); that is no failure.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => self.closed = true,
            Err(error) => self.lost = self.lost.take().or(Some(error)),
            Ok(()) => {}
        }
    }
}
