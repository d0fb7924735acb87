//! Frames and messages between a client and its agent.

use std::fmt::Debug;
use std::io::{self, Read};

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::error::{Answer as TokenAnswer, Fault};
use crate::wire::{
    self, Answer, Failed, Frame, Frames, HEADER, LONGEST, Opening, Request, Selection, Wiped,
};
use crate::{
    AlarmKind, Algorithm, Error, KeyGeneration, KeyId, KeyReference, Origin, Purpose, Scheme,
    TokenIdentity,
};

mutation::targets! {
    wire: seeds, 8000;
}

/// The first octet says in what pieces the rest arrives.
///
/// A frame is exactly as long as it announced, and no longer than the longest; what was read of it is wiped; a message
/// that can be read is the same when it was sent and read again; octets after the last whole frame are an error.
fn wire(octets: &[u8]) {
    let [size, stream @ ..] = octets else { return };
    let mut frames = Frames::new(Drops(stream, usize::from(*size) + 1));
    let mut passed = 0;
    loop {
        match frames.next() {
            Ok(Some(frame)) => {
                let length = frame.octets().len();
                assert!(length <= LONGEST);
                assert_eq!(*frame.octets(), stream[passed + HEADER..][..length]);
                assert_eq!(length.to_be_bytes()[4..], stream[passed + 2..passed + 6]);
                assert!(frames.only_unread_is_kept(), "what was passed on is wiped");
                passed += HEADER + length;
                reads_the_same_again::<Request>(&frame);
                reads_the_same_again::<Answer>(&frame);
            }
            Ok(None) => break assert_eq!(passed, stream.len()),
            Err(_) => break assert!(passed < stream.len()),
        }
    }
}

fn reads_the_same_again<T: Serialize + DeserializeOwned + Debug>(frame: &Frame) {
    let Ok(message) = frame.read::<T>() else { return };
    let once = sent(frame.number, frame.worn, &message);
    assert!(
        once.len() <= HEADER + frame.octets().len(),
        "the shortest form is the one that is sent"
    );
    let again = Frames::new(once.as_slice()).next().unwrap().unwrap();
    assert_eq!((again.number, again.worn), (frame.number, frame.worn));
    let read = again.read::<T>().unwrap();
    assert_eq!(format!("{read:?}"), format!("{message:?}"));
    assert_eq!(*sent(again.number, again.worn, &read), *once);
}

pub(super) fn sent(number: u64, worn: bool, message: &impl Serialize) -> Vec<u8> {
    let mut octets = Vec::new();
    wire::send(&mut octets, number, worn, message).unwrap();
    octets
}

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

fn seeds() -> Vec<Vec<u8>> {
    let numbered = |(number, message)| sent(number, false, &message);
    let requests: Vec<u8> = (0..).zip(requests(true)).flat_map(numbered).collect();
    let answers: Vec<u8> =
        (0..).zip(answers()).flat_map(|(number, answer)| sent(number, true, &answer)).collect();
    let mut seeds = vec![[&[255], &requests[..]].concat(), [&[0], &answers[..]].concat()];
    seeds.extend(
        self::requests(false).iter().map(|request| [&[20], &sent(1, false, request)[..]].concat()),
    );
    seeds
        .extend(self::answers().iter().map(|answer| [&[20], &sent(1, false, answer)[..]].concat()));
    seeds
}

fn secret(octets: &[u8]) -> Wiped {
    Wiped(Zeroizing::new(octets.to_vec()))
}

pub(super) fn keys() -> KeyGeneration {
    KeyGeneration { number: 7, sealing: KeyId([1; 32]), wrapping: KeyId([2; 32]) }
}

pub(super) fn identity() -> TokenIdentity {
    let text = |text: &str| text.to_owned();
    TokenIdentity {
        label: text("ca"),
        serial: text("0a1b"),
        manufacturer: text("m"),
        model: text("SoftHSM v2"),
    }
}

/// One of each kind, the opening first. `named`: it says which token.
pub(super) fn requests(named: bool) -> Vec<Request> {
    let keys = keys();
    let key = KeyReference { id: KeyId([3; 32]), public_key: vec![4; 91] };
    let selection = Selection {
        module: "/nonexistent/module.so".to_owned(),
        uri: "pkcs11:token=ca".to_owned(),
        pin_source: "file:/nonexistent/pin".to_owned(),
        pin: Some(secret(b"1234")),
    };
    let octets = || vec![5; 40];
    vec![
        Request::Open(Opening {
            token: named.then_some(selection),
            seen: named.then(identity),
            login_in_doubt: named,
        }),
        Request::Check,
        Request::Reload,
        Request::Random(32),
        Request::ProveSigningKey(key.clone()),
        Request::Origin(key.clone()),
        Request::Sign { key, purpose: Purpose::Certificate, message: octets() },
        Request::ProveGeneration(keys),
        Request::Seal { keys, context: octets(), secret: secret(b"secret") },
        Request::Unseal { keys, context: octets(), sealed: octets() },
        Request::Reseal {
            keys,
            old: keys,
            old_context: octets(),
            context: octets(),
            sealed: octets(),
        },
        Request::Generate { keys, algorithm: Algorithm::Rsa(2048), context: octets() },
        Request::SignSealed {
            keys,
            context: octets(),
            sealed: octets(),
            purpose: Purpose::Tls,
            scheme: Scheme::EcdsaP256Sha256,
            message: octets(),
        },
    ]
}

/// One of each kind.
pub(super) fn answers() -> Vec<Answer> {
    use cryptoki::context::Function;
    use cryptoki::error::{Error as Pkcs11Error, RvError};
    let told = TokenAnswer::from(Pkcs11Error::Pkcs11(RvError::DeviceRemoved, Function::Sign));
    let gone = Error::Unavailable(Fault::caused_by("the token does not sign", told));
    let replaced = Error::Refused(Fault::from("another token").alarming(AlarmKind::Replaced));
    vec![
        Answer::Done,
        Answer::Identity(identity()),
        Answer::Origin(Origin::Generated),
        Answer::Signature(vec![6; 70]),
        Answer::Sealed(vec![7; 90]),
        Answer::Secret(secret(&[8; 32])),
        Answer::Generated { public_key: vec![9; 91], sealed: vec![10; 300] },
        Answer::Failed(Failed::new(&gone)),
        Answer::Failed(Failed::new(&replaced)),
    ]
}
