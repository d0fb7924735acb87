//! Answers of HTTP/1.1 (RFC 9112), as far as our services and their peers write them: with a length.

use memchr::memmem;

use crate::fault::{Outcome, While, fault};

/// A whole request on a connection that is kept.
pub(crate) fn http_request(method: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let mut octets = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: keep-alive\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    octets.extend_from_slice(body);
    octets
}

/// What a good answer holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    /// A certificate of ours, and its serial number in hex.
    Certificate,
    /// These words.
    Words(&'static str),
}

impl Expected {
    /// The serial number, where there is one.
    pub(super) fn check(self, body: &[u8]) -> Outcome<Option<u128>> {
        let words = match self {
            Self::Certificate => "-----BEGIN CERTIFICATE-----",
            Self::Words(words) => words,
        };
        if memmem::find(body, words.as_bytes()).is_none() {
            return fault(format!(
                "an answer without {words:?}: {}",
                String::from_utf8_lossy(body)
            ));
        }
        match self {
            Self::Certificate => serial(body).map(Some),
            Self::Words(_) => Ok(None),
        }
    }
}

fn serial(body: &[u8]) -> Outcome<u128> {
    const NAME: &[u8] = b"\"serial\":\"";
    let at = memmem::rfind(body, NAME).when("an answer without a serial number")? + NAME.len();
    let digits = body.get(at..at + 32).when("a serial number that is cut off")?;
    Ok(u128::from_str_radix(std::str::from_utf8(digits)?, 16)?)
}

/// One answer.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    pub(super) body: &'a [u8],
}

/// What has come on a connection and is not yet used.
#[derive(Debug, Default)]
pub(super) struct Answers {
    octets: Vec<u8>,
    /// Where the octets end that have come; behind them there is room.
    filled: usize,
    /// Length of the answer that was given last.
    given: usize,
}

/// Room for one call: an answer and its certificates fit.
const ROOM: usize = 16 * 1024;

impl Answers {
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.octets.len() < self.filled + ROOM {
            self.octets.resize(self.filled + ROOM, 0);
        }
        &mut self.octets[self.filled..]
    }

    pub(super) const fn filled(&mut self, more: usize) {
        self.filled += more;
    }

    /// The first answer, if all of it has come.
    pub(super) fn next(&mut self) -> Outcome<Option<Answer<'_>>> {
        let come = &self.octets[..self.filled];
        let Some(end) = memmem::find(come, b"\r\n\r\n") else { return Ok(None) };
        let (head, rest) = come.split_at(end + 4);
        let status = head
            .strip_prefix(b"HTTP/1.1 ")
            .and_then(|rest| std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok())
            .when("an answer that is not HTTP/1.1")?;
        let length = length(head).when("an answer without a length")?;
        let Some(body) = rest.get(..length) else { return Ok(None) };
        self.given = head.len() + length;
        Ok(Some(Answer { status, body }))
    }

    /// The answer that was given last is no longer needed.
    pub(super) fn done(&mut self) {
        self.octets.copy_within(self.given..self.filled, 0);
        self.filled -= self.given;
        self.given = 0;
    }
}

fn length(head: &[u8]) -> Option<usize> {
    head.split(|octet| *octet == b'\n').find_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        let (name, value) = line.split_at(colon);
        name.eq_ignore_ascii_case(b"content-length")
            .then(|| std::str::from_utf8(&value[1..]).ok()?.trim().parse().ok())?
    })
}
