//! The agent, with a client that was taken over.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use super::wire::{requests, sent};
use crate::agent::{Guard, Service, serve};
use crate::wire::{Answer, Frames, Request};
use crate::{KeyReference, Purpose, TokenConfig};

mutation::targets! {
    agent: seeds, 1000;
}

/// Far longer than anything here takes: who waits for so long hangs.
const BOUND: Duration = Duration::from_secs(60);
/// The only folder from which a module would be loaded. It does not exist.
const NOWHERE: &str = "/nonexistent/";

/// The first octet says how the agent serves; the rest is what its client sends. The token's module does not exist.
///
/// Every whole request gets one answer, under its number, until something is no request; no answer says that anything
/// was done; no fault of the agent's own; it ends when the client hangs up, and the sandbox is entered once at most.
fn agent(octets: &[u8]) {
    let [mode, stream @ ..] = octets else { return };
    let service = Service {
        token: (mode & 1 == 0).then(|| TokenConfig {
            module: format!("{NOWHERE}module.so").into(),
            uri: "pkcs11:token=ca".parse().unwrap(),
            pin: "file:/nonexistent/pin".parse().unwrap(),
        }),
        workers: usize::from(mode >> 2 & 3),
        wear: 3,
        replaceable: mode & 2 == 0,
    };
    let guard = Arc::new(Watching(AtomicUsize::new(0)));
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(BOUND)).unwrap();
    let (tell, told) = channel();
    let watched = Arc::clone(&guard);
    std::thread::spawn(move || tell.send(serve(theirs, &service, watched).is_ok()));
    std::thread::scope(|scope| {
        // The agent may hang up before it has read all of this.
        scope.spawn(|| drop((&ours).write_all(stream)));
        listen(&ours, stream);
    });
    told.recv_timeout(BOUND).expect("the agent ends when its client is gone");
    assert!(guard.0.load(Ordering::SeqCst) <= 1);
}

fn listen(ours: &UnixStream, stream: &[u8]) {
    let (mut numbers, whole, opened) = asked(stream);
    let mut answers = Frames::new(ours);
    let mut first = true;
    while !numbers.is_empty() {
        let Ok(Some(frame)) = answers.next() else { break };
        let at = numbers.iter().position(|number| *number == frame.number);
        numbers.swap_remove(at.expect("an answer has the number of a request"));
        match frame.read::<Answer>().expect("an answer can be read") {
            Answer::Done => {}
            Answer::Failed(failed) => {
                assert!(!failed.sentence().contains("fault of its own"), "{}", failed.sentence());
                if first {
                    // Nothing follows a refused opening.
                    numbers.clear();
                }
            }
            other => panic!("the agent has no token and says {other:?}"),
        }
        first = false;
    }
    // What is no frame ends the connection, and answers that were under way with it.
    assert!(numbers.is_empty() || !whole || !opened, "no answer to {numbers:?}");
    let _ = ours.shutdown(Shutdown::Write);
    let mut rest = Vec::new();
    let _ = (&*ours).read_to_end(&mut rest);
    let _ = ours.shutdown(Shutdown::Both);
}

/// The numbers of the frames of a stream; whether they are all of it, or as good as all: half a frame is waited for; and
/// whether the first is an opening.
fn asked(stream: &[u8]) -> (Vec<u64>, bool, bool) {
    let (mut numbers, mut opened) = (Vec::new(), false);
    let mut frames = Frames::new(stream);
    loop {
        match frames.next() {
            Ok(Some(frame)) => {
                if numbers.is_empty() {
                    opened = matches!(frame.read::<Request>(), Ok(Request::Open(_)));
                }
                numbers.push(frame.number);
            }
            Ok(None) => break (numbers, true, opened),
            Err(cause) => {
                break (numbers, cause.kind() == std::io::ErrorKind::UnexpectedEof, opened);
            }
        }
    }
}

/// Lets no module in that could exist, and counts.
struct Watching(AtomicUsize);

impl Guard for Watching {
    fn enter(&self, token: &TokenConfig) -> Result<(), String> {
        self.0.fetch_add(1, Ordering::SeqCst);
        match token
            .module
            .to_str()
            .is_some_and(|path| path.starts_with(NOWHERE) && !path.contains(".."))
        {
            true => Ok(()),
            false => Err("not this module".to_owned()),
        }
    }

    fn judge(&self, _: Purpose, _: &KeyReference, message: &[u8]) -> Result<(), String> {
        if message.len().is_multiple_of(2) { Ok(()) } else { Err("not this message".to_owned()) }
    }

    fn judge_sealed(&self, _: Purpose, _: &[u8], _: &[u8]) -> Result<(), String> {
        Ok(())
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let stream = |mode: u8, requests: Vec<Request>| {
        let frames =
            (0..).zip(requests).flat_map(|(number, request)| sent(number, false, &request));
        [mode].into_iter().chain(frames).collect::<Vec<u8>>()
    };
    let mut twice = requests(false);
    twice.extend(requests(true));
    vec![
        stream(0b0000, requests(false)),
        stream(0b0110, requests(false)),
        stream(0b1001, requests(true)),
        stream(0b1111, requests(true)),
        // A token where none may be named, none where one must be, no opening, a second one.
        stream(0b0000, requests(true)),
        stream(0b0001, requests(false)),
        stream(0b0000, requests(false).split_off(1)),
        stream(0b1000, twice),
    ]
}
