//! The client, with an agent that was taken over.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use super::wire::{answers, identity, keys, sent};
use crate::wire::{Answer, HEADER};
use crate::{
    Algorithm, Deadlines, Error, Health, KeyId, KeyReference, Launch, Purpose, Scheme, Socket,
    Token,
};

mutation::targets! {
    client: seeds, 500;
}

/// Far longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(60);
/// How long the agent waits for a request before it answers unasked.
const PATIENCE: Duration = Duration::from_millis(3);
/// The longest sentence that may come of what an agent says.
const LONGEST_SENTENCE: usize = 16 * 1024;

/// The first octet says what the client asks, the rest is what its agent answers, a frame for each request.
///
/// The client comes back before its deadline, with an error or with what was asked for; it has no answer from an agent
/// that did not say which token it has; what it says of a failure is short, and can be shown on a terminal.
fn client(octets: &[u8]) {
    let [question, stream @ ..] = octets else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent");
    let listener = UnixListener::bind(&path).unwrap();
    let peer = rustix::process::geteuid().as_raw();
    let deadlines = Deadlines { connect: DEADLINE, operation: DEADLINE, generate: DEADLINE };
    let token = Token::through(Launch::Socket(Socket { path, peer }), deadlines);
    std::thread::scope(|scope| {
        scope.spawn(move || answer(listener, stream));
        let outcome = ask(&token, *question);
        match &outcome {
            Ok(()) => {
                assert!(token.identity().is_some(), "the agent did not say which token it has")
            }
            Err(error) => {
                is_presentable(&error.to_string());
                let mut cause = std::error::Error::source(error);
                while let Some(below) = cause {
                    is_presentable(&below.to_string());
                    cause = below.source();
                }
            }
        }
        if let Health::Alarm(alarm) = token.health() {
            is_presentable(&alarm.what);
        }
        if let Some(identity) = token.identity() {
            assert!(identity.label.len() + identity.serial.len() < 1000, "{identity:?}");
        }
    });
}

fn is_presentable(sentence: &str) {
    assert!(!sentence.contains("within 60 s"), "the client waited for its deadline");
    assert!(sentence.len() <= LONGEST_SENTENCE, "a sentence of {} octets", sentence.len());
    assert!(!sentence.contains(char::is_control), "{sentence:?}");
}

/// The agent: a frame whenever it is asked, or has waited long enough.
fn answer(listener: UnixListener, mut stream: &[u8]) {
    let Ok((mut peer, _)) = listener.accept() else { return };
    let _ = peer.set_read_timeout(Some(PATIENCE));
    let mut asked = [0; 4096];
    while let Some(length) = stream.get(2..6) {
        let length = length.iter().fold(HEADER, |length, octet| length << 8 | usize::from(*octet));
        let _ = peer.read(&mut asked);
        let (frame, rest) = stream.split_at(stream.len().min(length & 0xff_ffff));
        stream = rest;
        if peer.write_all(frame).is_err() || frame.is_empty() {
            break;
        }
    }
    let _ = peer.write_all(stream);
    // Nobody may wait for a second connection.
    drop(listener);
}

fn ask(token: &std::sync::Arc<Token>, question: u8) -> Result<(), Error> {
    let sealing = token.sealing_keys(keys());
    let signing = token.signing_key(KeyReference { id: KeyId([3; 32]), public_key: vec![4; 91] });
    match question % 11 {
        0 => token.check().map(drop),
        1 => token.reload(),
        2 => token.random(&mut [0; 32]),
        3 => signing.check(),
        4 => signing.origin().map(drop),
        5 => signing.sign(Purpose::Certificate, b"message").map(drop),
        6 => sealing.check(),
        7 => sealing.seal(b"context", b"secret").map(drop),
        8 => sealing.open(b"context", b"sealed").map(drop),
        9 => sealing.generate(Algorithm::P256, b"context").map(drop),
        _ => {
            let (purpose, scheme) = (Purpose::Tls, Scheme::EcdsaP256Sha256);
            sealing.sign(b"context", b"sealed", purpose, scheme, b"message").map(drop)
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for question in 0..11 {
        for last in answers() {
            let first = [Answer::Done, Answer::Identity(identity()), last];
            let frames = (0..).zip(&first).flat_map(|(number, answer)| sent(number, false, answer));
            seeds.push([question].into_iter().chain(frames).collect());
        }
    }
    // A long answer to another question.
    let first = [Answer::Done, Answer::Identity(identity()), Answer::Signature(vec![6; 20_000])];
    let frames = (0..).zip(&first).flat_map(|(number, answer)| sent(number, false, answer));
    seeds.push([0].into_iter().chain(frames).collect());
    // An agent that says nothing of its token, and one that wants to be replaced.
    let done = (0..3).flat_map(|number| sent(number, false, &Answer::Done));
    seeds.push([3].into_iter().chain(done).collect());
    let worn = answers().pop().into_iter().flat_map(|answer| sent(0, true, &answer));
    seeds.push([0].into_iter().chain(worn).collect());
    seeds
}
