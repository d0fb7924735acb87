//! One connection to a control socket, from the side that asks.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

pub(crate) struct Line(BufReader<UnixStream>);

impl Line {
    pub(crate) fn connect(path: &Path) -> io::Result<Self> {
        UnixStream::connect(path).map(BufReader::new).map(Self)
    }

    /// Sends one line; the lines of the answer.
    pub(crate) fn ask(&mut self, question: &str) -> io::Result<Vec<String>> {
        self.0.get_mut().write_all(format!("{question}\n").as_bytes())?;
        let mut answer = Vec::new();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line)? == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the controller hung up: look whether the program that listens still runs",
                ));
            }
            let line = line.trim_end();
            if line == "ok" {
                return Ok(answer);
            }
            if let Some(why) = line.strip_prefix("error ") {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, why.to_owned()));
            }
            answer.push(line.to_owned());
        }
    }
}
