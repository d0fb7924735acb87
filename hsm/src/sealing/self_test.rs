//! Whether a token does what it lists: a key that is known here goes into the token for a moment, and the token's
//! answers are compared with those of other implementations.
//!
//! The list of mechanisms is not enough. One number of AES key wrap is RFC 5649 in one token and PKCS#7 in another,
//! and there are tokens that list mechanisms which they refuse to use.

use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, KeyType, ObjectClass};
use serde::{Deserialize, Serialize};

use super::session_object::{SessionObject, bring_in};
use super::{gcm, key_wrap};
use crate::recovery::Failure;
use crate::sealed::{IV, SealingMechanism, TAG};
use crate::token::Serving;

/// What became of the self-test of a mechanism.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelfTest {
    /// What was tested.
    pub mechanism: SealingMechanism,
    /// How it came out.
    pub outcome: SelfTestOutcome,
}

/// How a self-test came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SelfTestOutcome {
    /// The token gave the answers of other implementations, and refused what was changed.
    KnownAnswer,
    /// The token takes no key from outside, for the reason given. With a key of its own it opened what it sealed, and
    /// refused what was changed.
    RoundTrip(String),
    /// The token does not do it, or does it in another way.
    Failed(String),
}

impl SelfTest {
    /// Whether the mechanism can be used.
    pub fn passed(&self) -> bool {
        !matches!(self.outcome, SelfTestOutcome::Failed(_))
    }
}

/// Leaves nothing in the token. The caller holds the guard around logins and key generation.
pub(crate) fn run(serving: &Serving<'_>, mechanism: SealingMechanism) -> Result<SelfTest, Failure> {
    let tested = match mechanism {
        SealingMechanism::Gcm => gcm_test(serving),
        SealingMechanism::KeyWrap => key_wrap_test(serving),
    };
    let outcome = match tested {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(why)) => SelfTestOutcome::Failed(why.to_owned()),
        Err(Failure::Answer(answer)) if !answer.error().is_some_and(is_outage) => {
            SelfTestOutcome::Failed(answer.to_string())
        }
        Err(failure) => return Err(failure),
    };
    Ok(SelfTest { mechanism, outcome })
}

/// Whether this says more about the state of the token than about what it can do.
fn is_outage(error: &Pkcs11Error) -> bool {
    matches!(
        error,
        Pkcs11Error::Pkcs11(
            RvError::DeviceError
                | RvError::DeviceMemory
                | RvError::DeviceRemoved
                | RvError::HostMemory
                | RvError::TokenNotPresent
                | RvError::SessionHandleInvalid
                | RvError::SessionClosed
                | RvError::UserNotLoggedIn
                | RvError::CryptokiNotInitialized,
            _
        )
    )
}

type Tested = Result<Result<SelfTestOutcome, &'static str>, Failure>;

/// Octets from hexadecimal digits, for the vectors.
const fn hex<const N: usize>(text: &[u8]) -> [u8; N] {
    const fn digit(letter: u8) -> u8 {
        match letter {
            b'0'..=b'9' => letter - b'0',
            _ => letter - b'a' + 10,
        }
    }
    let mut octets = [0; N];
    let mut at = 0;
    while at < N {
        octets[at] = digit(text[2 * at]) << 4 | digit(text[2 * at + 1]);
        at += 1;
    }
    octets
}

/// Test case 16 of "The Galois/Counter Mode of Operation" (McGrew, Viega), which SP 800-38D is made from.
mod case_16 {
    use super::{IV, TAG, hex};

    pub(super) const KEY: [u8; 32] =
        hex(b"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
    pub(super) const VECTOR: [u8; IV] = hex(b"cafebabefacedbaddecaf888");
    pub(super) const BOUND: [u8; 20] = hex(b"feedfacedeadbeeffeedfacedeadbeefabaddad2");
    pub(super) const PLAINTEXT: [u8; 60] =
        hex(b"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
          1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
    pub(super) const SEALED: [u8; 60 + TAG] =
        hex(b"522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa\
          8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662\
          76fc6ece0f4e1768cddf8853bb2d551b");
}

fn gcm_test(serving: &Serving<'_>) -> Tested {
    use case_16::{BOUND, KEY, PLAINTEXT, SEALED, VECTOR};
    let session = serving.session;
    let usage = [Attribute::Extractable(false), Attribute::Encrypt(true), Attribute::Decrypt(true)];
    let (key, known) = match bring_in(session, KeyType::AES, &KEY, &usage) {
        Ok(key) => (key, Ok(())),
        Err(Failure::Answer(why)) if !why.error().is_some_and(is_outage) => {
            (made(serving, &usage)?, Err(why.to_string()))
        }
        Err(failure) => return Err(failure),
    };
    let handle = key.handle()?;
    let sealed = gcm::encrypt(session, handle, VECTOR, &BOUND, &PLAINTEXT)?;
    if sealed.len() != SEALED.len() || known.is_ok() && sealed != SEALED {
        return Ok(Err("it encrypts to something else than the standard says"));
    }
    if gcm::decrypt(session, handle, VECTOR, &BOUND, &sealed)?.as_slice() != PLAINTEXT {
        return Ok(Err("it decrypts to something else than was encrypted"));
    }
    let opens = |bound: &[u8], sealed: &[u8]| -> Result<bool, Failure> {
        // In a session of its own, because a failed operation may leave it busy.
        let doomed = serving.connection.open()?;
        Ok(gcm::decrypt(&doomed, handle, VECTOR, bound, sealed).is_ok())
    };
    if opens(&BOUND[1..], &sealed)? {
        return Ok(Err("it does not look at the additional data"));
    }
    for at in [0, PLAINTEXT.len() - 1, PLAINTEXT.len(), sealed.len() - 1] {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        if opens(&BOUND, &changed)? {
            return Ok(Err("it decrypts what was changed"));
        }
    }
    key.destroy()?;
    Ok(Ok(outcome(known)))
}

fn outcome(known: Result<(), String>) -> SelfTestOutcome {
    known.map_or_else(SelfTestOutcome::RoundTrip, |()| SelfTestOutcome::KnownAnswer)
}

/// A session key of the token's own.
fn made<'a>(serving: &Serving<'a>, usage: &[Attribute]) -> Result<SessionObject<'a>, Failure> {
    let mut template = vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::ValueLen(32_u64.into()),
    ];
    template.extend_from_slice(usage);
    let key = serving.session.generate_key(&Mechanism::AesKeyGen, &template)?;
    Ok(SessionObject::new(serving.session, key))
}

/// The first of the values below with four zeros behind it.
const WITH_ZEROS: [u8; 32] =
    hex(b"431632e17c16513fdcea0a3af7b1461d1e80cd8705c1012186201dc7231c4492");

const WRAPPING: [u8; 32] = hex(b"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");

/// RFC 5649 under a key of 256 bits, made by OpenSSL and by Python's `cryptography`, which agree: the 20 octets of the
/// RFC's own example, which need padding, and 32, which do not.
///
/// SoftHSM 2.6.1 puts zeros behind a value that needs padding before it wraps it, and unwraps what others wrapped. That
/// is RFC 5649 of a longer value, and nothing is lost: a private key's DER says where it ends.
const WRAPPED: [(KeyType, &[u8], &[u8]); 2] = [
    (
        KeyType::GENERIC_SECRET,
        &hex::<20>(b"c37b7e6492584340bed12207808941155068f738"),
        &hex::<32>(b"29b7fa191c2165684374eee9f74595e2a42bace75c425b3053efa26ffe1bb32f"),
    ),
    (
        KeyType::AES,
        &hex::<32>(b"e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"),
        &hex::<40>(
            b"32d9d514f36aa867a7a5e5ad43e643595e7f4926c4f3d4754092884765e55ab2ae24029788a1df2c",
        ),
    ),
];

fn key_wrap_test(serving: &Serving<'_>) -> Tested {
    let session = serving.session;
    let usage = [Attribute::Extractable(false), Attribute::Wrap(true), Attribute::Unwrap(true)];
    let key = match bring_in(session, KeyType::AES, &WRAPPING, &usage) {
        Ok(key) => key,
        Err(Failure::Answer(why)) if !why.error().is_some_and(is_outage) => {
            return key_wrap_round_trip(serving, made(serving, &usage)?, why.to_string());
        }
        Err(failure) => return Err(failure),
    };
    for (kind, value, expected) in WRAPPED {
        let secret = bring_in(session, kind, value, &[Attribute::Extractable(true)])?;
        let wrapped =
            session.wrap_key(&Mechanism::AesKeyWrapPad, key.handle()?, secret.handle()?)?;
        secret.destroy()?;
        if wrapped != expected && (value.len() != 20 || wrapped != WITH_ZEROS) {
            return Ok(Err("it wraps to something else than the standard says"));
        }
        if let Err(why) = comes_back(serving, &key, kind, expected, value)? {
            return Ok(Err(why));
        }
    }
    key.destroy()?;
    Ok(Ok(SelfTestOutcome::KnownAnswer))
}

fn key_wrap_round_trip(serving: &Serving<'_>, key: SessionObject<'_>, why: String) -> Tested {
    let session = serving.session;
    let readable = [Attribute::Extractable(true), Attribute::Sensitive(false)];
    let secret = made(serving, &readable)?;
    let wrapped = session.wrap_key(&Mechanism::AesKeyWrapPad, key.handle()?, secret.handle()?)?;
    let value =
        match crate::role::read(session, secret.handle()?, cryptoki::object::AttributeType::Value)?
        {
            Some(Attribute::Value(value)) => value,
            _ => Vec::new(),
        };
    secret.destroy()?;
    // PKCS#7 would have added a whole block.
    if value.len() != 32 || wrapped.len() != 40 {
        return Ok(Err("it wraps to another length than the standard says"));
    }
    if let Err(why) = comes_back(serving, &key, KeyType::AES, &wrapped, &value)? {
        return Ok(Err(why));
    }
    key.destroy()?;
    Ok(Ok(SelfTestOutcome::RoundTrip(why)))
}

/// Unwraps to what was wrapped, and nothing that was changed unwraps.
fn comes_back(
    serving: &Serving<'_>,
    key: &SessionObject<'_>,
    kind: KeyType,
    wrapped: &[u8],
    value: &[u8],
) -> Result<Result<(), &'static str>, Failure> {
    let handle = key.handle()?;
    if key_wrap::unwrap_secret(serving.session, handle, wrapped, kind)?.as_slice() != value {
        return Ok(Err("it unwraps to something else than was wrapped"));
    }
    for at in [0, wrapped.len() - 1] {
        let mut changed = wrapped.to_vec();
        changed[at] ^= 1;
        let doomed = serving.connection.open()?;
        if key_wrap::unwrap_secret(&doomed, handle, &changed, kind).is_ok() {
            return Ok(Err("it unwraps what was changed"));
        }
    }
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{WITH_ZEROS, WRAPPED, WRAPPING, case_16};
    use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
    use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};

    #[test]
    fn the_known_answers_are_those_of_another_implementation() {
        let mut octets = case_16::PLAINTEXT.to_vec();
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &case_16::KEY).unwrap())
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(case_16::VECTOR),
                Aad::from(case_16::BOUND),
                &mut octets,
            )
            .unwrap();
        assert_eq!(octets, case_16::SEALED);
        let longer = [WRAPPED[0].1, &[0; 4]].concat();
        for (value, expected) in WRAPPED
            .map(|(_, value, expected)| (value, expected))
            .into_iter()
            .chain([(&longer[..], &WITH_ZEROS[..])])
        {
            let mut wrapped = [0; 48];
            let kek = AesKek::new(&AES_256, &WRAPPING).unwrap();
            assert_eq!(kek.wrap_with_padding(value, &mut wrapped).unwrap(), expected);
        }
    }
}
