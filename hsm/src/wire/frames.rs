//! Frames: how messages are told apart on the socket.
//!
//! | Octets | What |
//! |---|---|
//! | 0 | version of the wire |
//! | 1 | marks: bit 0 of an answer says that this agent should be replaced by a fresh one |
//! | 2..6 | octets of the message, big-endian, at most [`LONGEST`] |
//! | 6..14 | number of the request, big-endian |
//! | 14.. | the message |

use std::io::{self, Read, Write};

use postcard::ser_flavors::Size;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::{Zeroize, Zeroizing};

use super::VERSION;

/// Octets in the header of a frame.
pub(crate) const HEADER: usize = 14;
/// The longest message: a revocation list of a hundred thousand certificates has about 4 MiB.
pub(crate) const LONGEST: usize = 16 * 1024 * 1024;
/// What is read ahead. Most frames are far smaller.
const AHEAD: usize = 64 * 1024;

/// A frame as it was received. Its message is wiped when it is dropped.
pub(crate) struct Frame {
    pub(crate) number: u64,
    /// The sender should be replaced.
    pub(crate) worn: bool,
    message: Zeroizing<Vec<u8>>,
}

impl Frame {
    /// Reads the message; octets left over are an error.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> io::Result<T> {
        match postcard::take_from_bytes(&self.message) {
            Ok((message, [])) => Ok(message),
            // The cause could repeat what was in it.
            _ => Err(malformed("a message that cannot be read")),
        }
    }

    /// The message as it came.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn octets(&self) -> &[u8] {
        &self.message
    }
}

/// Sends one frame. The octets are wiped afterwards.
pub(crate) fn send(
    to: &mut impl Write,
    number: u64,
    worn: bool,
    message: &impl Serialize,
) -> io::Result<()> {
    let length = length_of(message)?;
    // The exact size from the start, because a buffer that grows leaves copies behind.
    let mut frame = Zeroizing::new(vec![0; HEADER + length]);
    write_frame(&mut frame, number, worn, message)?;
    to.write_all(&frame)
}

/// Messages that go out together, in one write. The octets are wiped when they are dropped.
pub(crate) struct Outgoing {
    octets: Zeroizing<Vec<u8>>,
    lengths: Vec<usize>,
}

impl Outgoing {
    /// Fails where a message is too long.
    pub(crate) fn of(messages: &[&impl Serialize]) -> io::Result<Self> {
        let lengths = messages
            .iter()
            .map(|message| Ok(HEADER + length_of(message)?))
            .collect::<io::Result<Vec<_>>>()?;
        let mut octets = Zeroizing::new(vec![0; lengths.iter().sum()]);
        let mut rest = octets.as_mut_slice();
        for (message, length) in messages.iter().zip(&lengths) {
            let (frame, after) = rest.split_at_mut(*length);
            write_frame(frame, 0, false, message)?;
            rest = after;
        }
        Ok(Self { octets, lengths })
    }

    /// Sends them with numbers from `first` on.
    pub(crate) fn send(mut self, to: &mut impl Write, first: u64) -> io::Result<()> {
        let mut at = 0;
        for (number, length) in (first..).zip(&self.lengths) {
            self.octets[at + 6..at + HEADER].copy_from_slice(&number.to_be_bytes());
            at += length;
        }
        to.write_all(&self.octets)
    }
}

fn length_of(message: &impl Serialize) -> io::Result<usize> {
    let length =
        postcard::serialize_with_flavor(message, Size::default()).map_err(io::Error::other)?;
    if length > LONGEST {
        return Err(malformed("a message that is too long for a token agent"));
    }
    Ok(length)
}

/// Fills a frame that is exactly as long as its message needs.
fn write_frame(
    frame: &mut [u8],
    number: u64,
    worn: bool,
    message: &impl Serialize,
) -> io::Result<()> {
    let length = frame.len() - HEADER;
    frame[0] = VERSION;
    frame[1] = u8::from(worn);
    frame[2..6].copy_from_slice(&(length as u32).to_be_bytes());
    frame[6..HEADER].copy_from_slice(&number.to_be_bytes());
    postcard::to_slice(message, &mut frame[HEADER..]).map_err(io::Error::other)?;
    Ok(())
}

/// Takes frames out of a stream. What was read is wiped as soon as it has been passed on.
pub(crate) struct Frames<R> {
    from: R,
    ahead: Zeroizing<Vec<u8>>,
    start: usize,
    end: usize,
}

impl<R: Read> Frames<R> {
    pub(crate) fn new(from: R) -> Self {
        Self { from, ahead: Zeroizing::new(vec![0; AHEAD]), start: 0, end: 0 }
    }

    /// The next frame; `None` where the other end hung up between two frames.
    pub(crate) fn next(&mut self) -> io::Result<Option<Frame>> {
        let mut header = [0; HEADER];
        if !self.fill(&mut header)? {
            return Ok(None);
        }
        let [version, marks, a, b, c, d, number @ ..] = header;
        if version != VERSION {
            return Err(malformed(
                "a token agent and its client have different versions: restart both with the same program version",
            ));
        }
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length > LONGEST || marks > 1 {
            return Err(malformed("octets that are no frame"));
        }
        let mut message = Zeroizing::new(vec![0; length]);
        if !self.fill(&mut message)? && length > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some(Frame { number: u64::from_be_bytes(number), worn: marks == 1, message }))
    }

    /// Whether nothing is left of what was passed on.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn only_unread_is_kept(&self) -> bool {
        let (passed_on, behind) = (&self.ahead[..self.start], &self.ahead[self.end..]);
        passed_on.iter().chain(behind).all(|octet| *octet == 0)
    }

    /// Fills `octets`; false where the stream ended before the first of them.
    fn fill(&mut self, octets: &mut [u8]) -> io::Result<bool> {
        let mut filled = 0;
        while filled < octets.len() {
            if self.start == self.end {
                let left = octets.len() - filled;
                let amount = if left >= AHEAD {
                    // A long message goes where it belongs at once.
                    let amount = read(&mut self.from, &mut octets[filled..])?;
                    filled += amount;
                    amount
                } else {
                    self.start = 0;
                    self.end = read(&mut self.from, &mut self.ahead)?;
                    self.end
                };
                match (amount, filled) {
                    (0, 0) => return Ok(false),
                    (0, _) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    _ => continue,
                }
            }
            let amount = (self.end - self.start).min(octets.len() - filled);
            let ahead = &mut self.ahead[self.start..self.start + amount];
            octets[filled..filled + amount].copy_from_slice(ahead);
            ahead.zeroize();
            self.start += amount;
            filled += amount;
        }
        Ok(true)
    }
}

fn read(from: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(into) {
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Gives its octets in pieces of any size.
    struct Drops<'a>(&'a [u8], usize);

    impl Read for Drops<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let amount = self.1.min(into.len()).min(self.0.len());
            let (now, later) = self.0.split_at(amount);
            into[..amount].copy_from_slice(now);
            self.0 = later;
            Ok(amount)
        }
    }

    #[test]
    fn frames_arrive_whole_in_pieces_of_any_size() {
        let messages = [vec![], vec![1; 10], vec![2; AHEAD - 1], vec![3; 3 * AHEAD + 7], vec![4]];
        let mut stream = Vec::new();
        for (number, message) in messages.iter().enumerate() {
            send(&mut stream, number as u64, number % 2 == 1, message).unwrap();
        }
        for size in [1, 7, 4096, AHEAD, usize::MAX] {
            let mut frames = Frames::new(Drops(&stream, size));
            for (number, message) in messages.iter().enumerate() {
                let frame = frames.next().unwrap().unwrap();
                assert_eq!((frame.number, frame.worn), (number as u64, number % 2 == 1));
                assert_eq!(&frame.read::<Vec<u8>>().unwrap(), message);
            }
            assert!(frames.next().unwrap().is_none());
            assert!(frames.ahead.iter().all(|octet| *octet == 0), "what was read ahead is wiped");
        }
    }

    #[test]
    fn half_a_frame_is_an_error_and_not_an_end() {
        let mut stream = Vec::new();
        send(&mut stream, 1, false, &vec![9_u8; 40]).unwrap();
        for length in 1..stream.len() {
            assert!(Frames::new(&stream[..length]).next().is_err(), "{length}");
        }
    }

    #[test]
    fn other_versions_and_lengths_without_measure_are_refused() {
        let mut stream = Vec::new();
        send(&mut stream, 1, false, &1_u8).unwrap();
        for (at, octet) in [(0, VERSION + 1), (1, 2), (2, 0xff)] {
            let mut other = stream.clone();
            other[at] = octet;
            let refusal = Frames::new(other.as_slice()).next().err().unwrap();
            assert_eq!(refusal.kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn octets_left_over_are_an_error() {
        let mut stream = Vec::new();
        send(&mut stream, 1, false, &(1_u8, 2_u8)).unwrap();
        let frame = Frames::new(stream.as_slice()).next().unwrap().unwrap();
        assert!(frame.read::<u8>().is_err());
        assert_eq!(frame.read::<(u8, u8)>().unwrap(), (1, 2));
    }
}
