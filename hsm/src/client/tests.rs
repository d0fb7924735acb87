//! The client against agents that do what a test says.

#![allow(clippy::unwrap_used)]

use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, mpsc};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use der::Encode;

use super::{Deadlines, Launch, Socket, Token};
use crate::public_key::ec_spki;
use crate::wire::{Answer, Failed, Frames, LONGEST, Request, send};
use crate::{Algorithm, Error, KeyId, KeyReference, Purpose, TokenIdentity};

/// One connection, seen from the agent.
struct Agent {
    frames: Frames<UnixStream>,
    stream: UnixStream,
}

impl Agent {
    fn accept(listener: &UnixListener) -> Self {
        let (stream, _) = listener.accept().unwrap();
        Self { frames: Frames::new(stream.try_clone().unwrap()), stream }
    }

    fn asked(&mut self) -> Option<(u64, Request)> {
        let frame = self.frames.next().ok()??;
        Some((frame.number, frame.read().unwrap()))
    }

    fn answer(&mut self, number: u64, worn: bool, answer: &Answer) {
        send(&mut self.stream, number, worn, answer).unwrap();
    }

    fn open(&mut self) {
        let (number, request) = self.asked().unwrap();
        assert!(matches!(request, Request::Open(_)));
        self.answer(number, false, &Answer::Done);
        let (number, request) = self.asked().unwrap();
        assert!(matches!(request, Request::Check));
        self.answer(number, false, &Answer::Identity(identity()));
    }
}

fn identity() -> TokenIdentity {
    let word = |word: &str| word.to_owned();
    TokenIdentity {
        label: word("ca"),
        serial: word("1"),
        manufacturer: word("m"),
        model: word("m"),
    }
}

/// A token whose agents are played by `play`, one connection after the other.
fn played(
    deadlines: Deadlines,
    play: impl FnOnce(UnixListener) + Send + 'static,
) -> (tempfile::TempDir, Arc<Token>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || play(listener));
    let peer = rustix::process::geteuid().as_raw();
    (folder, Token::through(Launch::Socket(Socket { path, peer }), deadlines))
}

/// The keys of the token that is played.
static PAIRS: LazyLock<[EcdsaKeyPair; 2]> = LazyLock::new(|| {
    [(); 2].map(|()| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap())
});

/// Number 1 or 2.
fn key(number: u8) -> KeyReference {
    let point = PAIRS[usize::from(number) - 1].public_key().as_ref();
    let curve = Algorithm::P256.curve().unwrap().to_der().unwrap();
    KeyReference { id: KeyId([number; 32]), public_key: ec_spki(&curve, point).unwrap() }
}

/// What the key that is asked for makes of what it is asked to sign.
fn signature(request: &Request) -> Answer {
    let Request::Sign { key, message, .. } = request else { panic!("nothing to sign") };
    let pair = &PAIRS[usize::from(key.id.0[0]) - 1];
    let signature = pair.sign(&SystemRandom::new(), message).unwrap();
    Answer::Signature(signature.as_ref().to_vec())
}

fn no_such_key() -> Answer {
    Answer::Failed(Failed::new(&Error::NoSuchKey("the key is not there".into())))
}

#[test]
fn what_is_too_long_for_an_agent_costs_no_agent() {
    let (_folder, token) = played(Deadlines::default(), |listener| {
        let mut agent = Agent::accept(&listener);
        agent.open();
        // No other agent is ever there.
        drop(listener);
        while let Some((number, request)) = agent.asked() {
            agent.answer(number, false, &signature(&request));
        }
    });
    let signing = token.signing_key(key(1));
    signing.sign(Purpose::Content, b"message").unwrap();
    let refusal = signing.sign(Purpose::Content, &vec![0; LONGEST]).unwrap_err();
    assert!(matches!(refusal, Error::Refused(_)), "{refusal}");
    signing.sign(Purpose::Content, b"message").unwrap();
}

#[test]
fn a_key_that_is_not_there_is_nothing_to_those_who_ask_for_another() {
    let (_folder, token) = played(Deadlines::default(), |listener| {
        loop {
            let mut agent = Agent::accept(&listener);
            agent.open();
            std::thread::spawn(move || {
                let mut worn = false;
                while let Some((number, request)) = agent.asked() {
                    let missing =
                        matches!(&request, Request::Sign { key, .. } if key.id == KeyId([1; 32]));
                    worn |= missing;
                    let answer = match missing {
                        true => no_such_key(),
                        false => signature(&request),
                    };
                    agent.answer(number, worn, &answer);
                }
            });
        }
    });
    let (missing, there) = (token.signing_key(key(1)), token.signing_key(key(2)));
    for _ in 0..3 {
        let refusal = missing.sign(Purpose::Content, b"message").unwrap_err();
        assert!(matches!(refusal, Error::NoSuchKey(_)), "{refusal}");
        there.sign(Purpose::Content, b"message").unwrap();
    }
}

/// A token that holds no keys, whose agents ask to be replaced with every answer; and how many there were.
fn without_keys() -> (tempfile::TempDir, Arc<Token>, Arc<AtomicUsize>) {
    let agents = Arc::new(AtomicUsize::new(0));
    let started = Arc::clone(&agents);
    let (folder, token) = played(Deadlines::default(), move |listener| {
        loop {
            let mut agent = Agent::accept(&listener);
            agent.open();
            started.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || {
                while let Some((number, request)) = agent.asked() {
                    let answer = match request {
                        Request::Reload => Answer::Done,
                        Request::Check => Answer::Identity(identity()),
                        Request::Sign { key, .. } => Answer::Failed(Failed::new(
                            &Error::NoSuchKey(format!("{} is not there", key.id).into()),
                        )),
                        _ => panic!("not asked in these tests"),
                    };
                    agent.answer(number, true, &answer);
                }
            });
        }
    });
    (folder, token, agents)
}

#[test]
fn a_key_that_stays_away_does_not_cost_an_agent_with_every_question() {
    const QUESTIONS: usize = 30;
    let (_folder, token, agents) = without_keys();
    // Two keys, in turns, so that neither costs the other its agent.
    for question in 0..QUESTIONS {
        let missing = token.signing_key(key(1 + u8::from(question % 2 == 1)));
        let refusal = missing.sign(Purpose::Content, b"message").unwrap_err();
        assert!(matches!(refusal, Error::NoSuchKey(_)), "{refusal}");
    }
    // Some that missed them first, one to make sure, and another one after each pause of two seconds.
    let agents = agents.load(Ordering::SeqCst);
    assert!((2..QUESTIONS).contains(&agents), "{agents}");
}

#[test]
fn keys_that_were_made_meanwhile_are_seen() {
    let (_folder, token) = played(Deadlines::default(), |listener| {
        // The second one is believed about the key that the first one missed, and about nothing else.
        for agent in 1.. {
            let mut connection = Agent::accept(&listener);
            connection.open();
            std::thread::spawn(move || {
                while let Some((number, request)) = connection.asked() {
                    let answer = match &request {
                        Request::Reload => Answer::Done,
                        Request::Check => Answer::Identity(identity()),
                        Request::Sign { key, .. } if key.id == KeyId([1; 32]) => no_such_key(),
                        Request::Sign { .. } if agent <= 2 => Answer::Failed(Failed::new(
                            &Error::NoSuchKey("the other key is not there".into()),
                        )),
                        _ => signature(&request),
                    };
                    connection.answer(number, true, &answer);
                }
            });
        }
    });
    let missing = || token.signing_key(key(1)).sign(Purpose::Content, b"message").unwrap_err();
    assert!(matches!(missing(), Error::NoSuchKey(_)));
    // Restored by somebody else: another opinion is asked for.
    token.signing_key(key(2)).sign(Purpose::Content, b"message").unwrap();
}

#[test]
fn a_reload_replaces_also_an_agent_that_has_just_been_started() {
    let (_folder, token, agents) = without_keys();
    token.signing_key(key(1)).sign(Purpose::Content, b"message").unwrap_err();
    let before = agents.load(Ordering::SeqCst);
    token.reload().unwrap();
    assert!(agents.load(Ordering::SeqCst) > before);
}

#[test]
fn an_answer_does_not_wait_for_the_agent_that_comes_next() {
    let (wait, waited) = mpsc::channel::<()>();
    let (next, next_is_there) = mpsc::channel();
    let (_folder, token) = played(Deadlines::default(), move |listener| {
        let mut agent = Agent::accept(&listener);
        agent.open();
        let (mut first, mut second) = (agent.asked().unwrap(), agent.asked().unwrap());
        if matches!(&second.1, Request::Sign { key, .. } if key.id == KeyId([1; 32])) {
            std::mem::swap(&mut first, &mut second);
        }
        agent.answer(first.0, true, &no_such_key());
        // The next one does not log in as long as nothing is told of the second answer.
        let mut late = Agent::accept(&listener);
        next.send(()).unwrap();
        agent.answer(second.0, true, &signature(&second.1));
        waited.recv().unwrap();
        late.open();
        let (number, _) = late.asked().unwrap();
        late.answer(number, false, &no_such_key());
    });
    let (missing, there) = (token.signing_key(key(1)), token.signing_key(key(2)));
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| missing.sign(Purpose::Content, b"message"));
        there.sign(Purpose::Content, b"message").unwrap();
        next_is_there.recv().unwrap();
        assert!(!looking.is_finished());
        wait.send(()).unwrap();
        assert!(matches!(looking.join().unwrap(), Err(Error::NoSuchKey(_))));
    });
}

#[test]
fn a_deadline_does_not_wait_for_an_agent_that_reads_nothing() {
    let deadlines = Deadlines {
        operation: Duration::from_millis(200),
        // Whoever makes a key may wait for the agent to read.
        generate: Duration::from_secs(3600),
        ..Deadlines::default()
    };
    let (begun, is_begun) = mpsc::channel();
    let (_folder, token) = played(deadlines, move |listener| {
        let mut agent = Agent::accept(&listener);
        agent.open();
        begun.send(agent.asked().unwrap().0).unwrap();
        drop(listener);
        // It reads no more, and does not hang up either.
        std::thread::park();
        drop(agent);
    });
    std::thread::scope(|scope| {
        let late = scope.spawn(|| token.signing_key(key(1)).sign(Purpose::Content, b"message"));
        is_begun.recv().unwrap();
        // More than the socket takes, so that it holds on to the connection.
        let keys = token.sealing_keys(crate::KeyGeneration {
            number: 1,
            sealing: KeyId([1; 32]),
            wrapping: KeyId([2; 32]),
        });
        let made = keys.generate(crate::Algorithm::P256, &vec![0; LONGEST / 2]);
        assert!(made.is_err());
        let Err(Error::Unavailable(fault)) = late.join().unwrap() else { panic!("it signed") };
        assert!(fault.to_string().contains("did not answer within 0.2 s"), "{fault}");
    });
}

#[test]
fn a_signature_by_another_key_is_not_released_and_the_token_is_not_asked_again() {
    let (_folder, token) = played(Deadlines::default(), |listener| {
        let mut agent = Agent::accept(&listener);
        agent.open();
        let (number, request) = agent.asked().unwrap();
        let Request::Sign { purpose, message, .. } = request else { panic!("nothing to sign") };
        let other = Request::Sign { key: key(2), purpose, message };
        agent.answer(number, false, &signature(&other));
        assert!(agent.asked().is_none(), "it is asked again");
        // Nor is a fresh one started: there is nobody to connect to.
        drop(listener);
    });
    let Err(Error::Refused(fault)) = token.signing_key(key(1)).sign(Purpose::Content, b"message")
    else {
        panic!("it signed")
    };
    assert!(fault.to_string().contains("quarantine"), "{fault}");
    let refusal = token.signing_key(key(2)).sign(Purpose::Content, b"message").unwrap_err();
    assert_eq!(refusal.alarm(), Some(crate::AlarmKind::Quarantine));
    assert!(matches!(token.health(), crate::Health::Alarm(_)));
}

#[test]
fn messages_that_are_signed_together_keep_their_order_and_their_own_outcomes() {
    let (_folder, token) = played(Deadlines::default(), |listener| {
        let mut agent = Agent::accept(&listener);
        agent.open();
        let mut asked: Vec<_> = (0..5).map(|_| agent.asked().unwrap()).collect();
        asked.reverse();
        for (number, request) in asked {
            let Request::Sign { message, .. } = &request else { panic!("nothing to sign") };
            let answer = match message[..] {
                [b'3'] => Answer::Failed(Failed::new(&Error::Refused("not this one".into()))),
                _ => signature(&request),
            };
            agent.answer(number, false, &answer);
        }
        while agent.asked().is_some() {}
    });
    let messages: [&[u8]; 5] = [b"0", b"1", b"2", b"3", b"4"];
    let key = token.signing_key(key(1));
    // That each signature is one of its own message is verified on the way.
    let signed: Vec<bool> =
        key.sign_all(Purpose::Content, &messages).iter().map(Result::is_ok).collect();
    assert_eq!(signed, [true, true, true, false, true]);
    assert_eq!(token.health(), crate::Health::Serving(identity()));
}

#[test]
fn what_an_ended_agent_left_unanswered_is_asked_of_a_fresh_one() {
    let (_folder, token) = played(Deadlines::default(), |listener| {
        let mut agent = Agent::accept(&listener);
        agent.open();
        let asked: Vec<_> = (0..3).map(|_| agent.asked().unwrap()).collect();
        agent.answer(asked[1].0, false, &signature(&asked[1].1));
        drop(agent);
        let mut agent = Agent::accept(&listener);
        agent.open();
        for expected in [&b"0"[..], b"2"] {
            let (number, request) = agent.asked().unwrap();
            assert!(matches!(&request, Request::Sign { message, .. } if message == expected));
            agent.answer(number, false, &signature(&request));
        }
        while agent.asked().is_some() {}
    });
    let key = token.signing_key(key(1));
    for signed in key.sign_all(Purpose::Content, &[b"0", b"1", b"2"]) {
        signed.unwrap();
    }
}

/// A slow token with many requests before it is not a token that hangs.
#[test]
fn what_waits_for_its_turn_is_not_late() {
    const MANY: usize = 12;
    let deadlines = Deadlines { operation: Duration::from_millis(1500), ..Deadlines::default() };
    let (_folder, token) = played(deadlines, |listener| {
        let mut agent = Agent::accept(&listener);
        agent.open();
        let asked: Vec<_> = (0..MANY).map(|_| agent.asked().unwrap()).collect();
        for (number, request) in asked {
            // Together they take far longer than one may.
            std::thread::sleep(Duration::from_millis(150));
            agent.answer(number, false, &signature(&request));
        }
        // The next one is taken and not answered.
        agent.asked().unwrap();
        while agent.asked().is_some() {}
    });
    let key = token.signing_key(key(1));
    for signed in key.sign_all(Purpose::Content, &[b"message"; MANY].map(|message| &message[..])) {
        signed.unwrap();
    }
    let Err(Error::Unavailable(fault)) = key.sign(Purpose::Content, b"message") else {
        panic!("it signed")
    };
    assert!(fault.to_string().contains("did not answer within 1.5 s"), "{fault}");
}
