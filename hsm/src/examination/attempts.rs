//! The live attempts. Each asks for something that must be refused; the last asks for what the key is for.

use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::elliptic_curve::{EcKdf, Ecdh1DeriveParams};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use zeroize::Zeroize;

use super::keys::{Subject, held};
use super::{Check, Observation, Outcome, wrapping};
use crate::public_key::PublicKey;
use crate::recovery::Failure;
use crate::role::{Role, read};
use crate::sealed::{Content, Header, Sealed};
use crate::sealing::{open_in_token, seal_in_token};
use crate::sessions::random;
use crate::signing::sign_and_verify;
use crate::token::Serving;
use crate::{Algorithm, Answer, SealingMechanism};

/// In the order of [`Check`].
pub(super) fn all(serving: &Serving<'_>, subject: &Subject) -> Result<Vec<Observation>, Failure> {
    // Each in a session of its own: an attack that begins to succeed leaves its session busy.
    let fresh = || serving.connection.open();
    let mut told = vec![
        value(&fresh()?, subject)?,
        weaken(&fresh()?, subject)?,
        copy(&fresh()?, subject),
        wrap(&fresh()?, subject),
        other_usage(fresh, subject)?,
    ];
    // With a key that was made for this, which is also the proof that the key works.
    if subject.role == Role::Wrapping {
        told.extend(wrapping::observe(serving, subject)?);
    } else {
        told.push(prove(fresh, subject)?);
    }
    Ok(told)
}

/// What the token answered to something that it must refuse.
pub(super) enum Answered {
    Refused(String),
    /// A fault, or a refusal that has nothing to do with the key.
    Unclear(String),
    /// It did it.
    Obeyed(String),
}

impl Answered {
    pub(super) fn of<T>(attempt: &str, result: Result<T, Pkcs11Error>) -> Self {
        let error = match result {
            Ok(_) => return Self::Obeyed(attempt.to_owned()),
            Err(error) => error,
        };
        let unclear = matches!(
            error,
            Pkcs11Error::Pkcs11(
                RvError::GeneralError
                    | RvError::FunctionFailed
                    | RvError::DeviceError
                    | RvError::DeviceRemoved
                    | RvError::DeviceMemory
                    | RvError::HostMemory
                    | RvError::TokenNotPresent
                    | RvError::SessionHandleInvalid
                    | RvError::SessionClosed
                    | RvError::SessionReadOnly
                    | RvError::TokenWriteProtected
                    | RvError::UserNotLoggedIn
                    | RvError::CryptokiNotInitialized,
                _
            )
        );
        let answer = Answer::from(error);
        let said = answer.return_value().unwrap_or_else(|| answer.to_string());
        let detail = format!("{attempt}: {said}");
        if unclear { Self::Unclear(detail) } else { Self::Refused(detail) }
    }
}

/// The worst answer decides.
pub(super) fn judge(check: Check, answers: Vec<Answered>) -> Observation {
    let (mut obeyed, mut unclear, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for answer in answers {
        match answer {
            Answered::Obeyed(what) => obeyed.push(what),
            Answered::Unclear(what) => unclear.push(what),
            Answered::Refused(what) => refused.push(what),
        }
    }
    let (outcome, detail) = if !obeyed.is_empty() {
        (Outcome::Broken, format!("the token obeyed: {}", obeyed.join("; ")))
    } else if !unclear.is_empty() {
        (Outcome::Doubtful, format!("not refused because of the key: {}", unclear.join("; ")))
    } else {
        (Outcome::Held, format!("refused: {}", refused.join("; ")))
    };
    Observation { check, outcome, detail }
}

fn value(session: &Session, subject: &Subject) -> Result<Observation, Failure> {
    let secrets: &[AttributeType] = match subject.role {
        Role::Issuer(Algorithm::Rsa(_)) => &[
            AttributeType::PrivateExponent,
            AttributeType::Prime1,
            AttributeType::Prime2,
            AttributeType::Exponent1,
            AttributeType::Exponent2,
            AttributeType::Coefficient,
        ],
        Role::Issuer(_) | Role::Sealing(_) | Role::Wrapping => &[AttributeType::Value],
    };
    let mut told = Vec::new();
    for kind in secrets {
        // The binding answers with nothing where the token says CKR_ATTRIBUTE_SENSITIVE.
        if let Some(
            Attribute::Value(mut octets)
            | Attribute::PrivateExponent(mut octets)
            | Attribute::Prime1(mut octets)
            | Attribute::Prime2(mut octets)
            | Attribute::Exponent1(mut octets)
            | Attribute::Exponent2(mut octets)
            | Attribute::Coefficient(mut octets),
        ) = read(session, subject.handle, *kind)?
        {
            if !octets.is_empty() {
                told.push(kind.to_string());
            }
            octets.zeroize();
        }
    }
    let check = Check::ValueNotTold;
    Ok(if told.is_empty() {
        held(check, "the token tells nothing of it")
    } else {
        let detail = format!("the token told {}", told.join(", "));
        Observation { check, outcome: Outcome::Broken, detail }
    })
}

/// Tries to make the key readable. What could be changed is set back.
fn weaken(session: &Session, subject: &Subject) -> Result<Observation, Failure> {
    let mut answers = Vec::new();
    for (weaker, right) in [
        (Attribute::Extractable(true), Attribute::Extractable(false)),
        (Attribute::Sensitive(false), Attribute::Sensitive(true)),
    ] {
        let kind = weaker.attribute_type();
        let attempt = format!("set {kind}");
        if read(session, subject.handle, kind)?.as_ref() == Some(&weaker) {
            answers.push(Answered::Refused(format!("{attempt} not tried, it reads so already")));
            continue;
        }
        let result = session.update_attributes(subject.handle, std::slice::from_ref(&weaker));
        let changed = read(session, subject.handle, kind)?.as_ref() == Some(&weaker);
        answers.push(match (changed, result) {
            (true, _) => {
                let back = session.update_attributes(subject.handle, std::slice::from_ref(&right));
                Answered::Obeyed(match back {
                    Ok(()) => format!("{attempt} (set back again)"),
                    Err(error) => {
                        format!("{attempt} (NOT set back: {})", Answer::from(error))
                    }
                })
            }
            (false, Ok(())) => {
                Answered::Unclear(format!("{attempt}: CKR_OK, and the attribute did not change"))
            }
            (false, refused) => Answered::of(&attempt, refused),
        });
    }
    Ok(judge(Check::AttributesHold, answers))
}

fn copy(session: &Session, subject: &Subject) -> Observation {
    let answers = [Attribute::Extractable(true), Attribute::Sensitive(false)].map(|weaker| {
        let attempt = format!("copy with {weaker:?}");
        let copied = session.copy_object(subject.handle, &[Attribute::Token(false), weaker]);
        if let Ok(copied) = copied {
            // A session object: it is gone with the session at the latest.
            let _ = session.destroy_object(copied);
        }
        Answered::of(&attempt, copied)
    });
    judge(Check::NotCopied, answers.into())
}

/// An AES key that lives as long as the session.
fn session_key(session: &Session, extractable: bool) -> Result<ObjectHandle, Pkcs11Error> {
    session.generate_key(
        &Mechanism::AesKeyGen,
        &[
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::Token(false),
            Attribute::Sensitive(true),
            Attribute::Extractable(extractable),
            Attribute::Encrypt(true),
            Attribute::Wrap(true),
            Attribute::ValueLen(32_u64.into()),
        ],
    )
}

/// Tries to take the key out under a key that was made for this.
fn wrap(session: &Session, subject: &Subject) -> Observation {
    let wrapping = match session_key(session, false) {
        Ok(wrapping) => wrapping,
        // A token that makes no such key has nothing to wrap under.
        Err(error) => {
            let made = Answered::of("make a key to wrap it with", Err::<(), _>(error));
            return judge(Check::NotWrapped, vec![made]);
        }
    };
    let answers = [
        ("CKM_AES_KEY_WRAP_PAD", Mechanism::AesKeyWrapPad),
        ("CKM_AES_KEY_WRAP", Mechanism::AesKeyWrap),
        ("CKM_AES_CBC_PAD", Mechanism::AesCbcPad([0; 16])),
    ]
    .map(|(name, mechanism)| {
        Answered::of(name, session.wrap_key(&mechanism, wrapping, subject.handle))
    });
    let _ = session.destroy_object(wrapping);
    judge(Check::NotWrapped, answers.into())
}

/// Tries what the role forbids.
fn other_usage(
    fresh: impl Fn() -> Result<Session, Failure>,
    subject: &Subject,
) -> Result<Observation, Failure> {
    let key = subject.handle;
    let mut answers = Vec::new();
    match subject.role {
        Role::Sealing(_) | Role::Wrapping => {
            for (attempt, mechanism) in [
                ("sign with CKM_AES_CMAC", Mechanism::AesCMac),
                ("sign with CKM_SHA256_HMAC", Mechanism::Sha256Hmac),
            ] {
                answers.push(Answered::of(attempt, fresh()?.sign(&mechanism, key, b"challenge")));
            }
            if subject.role == Role::Sealing(SealingMechanism::Gcm) {
                let session = fresh()?;
                if let Ok(other) = session_key(&session, true) {
                    let wrapped = session.wrap_key(&Mechanism::AesKeyWrap, key, other);
                    answers.push(Answered::of("wrap another key", wrapped));
                    let _ = session.destroy_object(other);
                }
            } else {
                // Whoever may decrypt with it decrypts what it wrapped.
                let mechanism = Mechanism::AesCbcPad([0; 16]);
                let encrypted = fresh()?.encrypt(&mechanism, key, b"challenge");
                answers.push(Answered::of("encrypt", encrypted));
                let decrypted = fresh()?.decrypt(&mechanism, key, &[0; 32]);
                answers.push(Answered::of("decrypt", decrypted));
            }
        }
        Role::Issuer(Algorithm::Rsa(_)) => {
            let decrypted = fresh()?.decrypt_init(&Mechanism::RsaPkcs, key);
            answers.push(Answered::of("decrypt", decrypted));
            let encrypted = fresh()?.encrypt_init(&Mechanism::RsaPkcs, key);
            answers.push(Answered::of("encrypt", encrypted));
        }
        Role::Issuer(algorithm) => {
            answers.extend(derive(&fresh()?, subject, algorithm));
            let encrypted = fresh()?.encrypt(&Mechanism::AesCbcPad([0; 16]), key, b"challenge");
            answers.push(Answered::of("encrypt", encrypted));
        }
    }
    Ok(judge(Check::OneUsage, answers))
}

/// Tries to agree on a key with the CA key (ECDH), its own public key being the other side.
fn derive(session: &Session, subject: &Subject, algorithm: Algorithm) -> Option<Answered> {
    let (spki, _) = subject.public.as_ref()?;
    // An uncompressed point is the end of the SubjectPublicKeyInfo.
    let point = spki.get(spki.len().checked_sub(1 + 2 * algorithm.coordinate_octets()?)?..)?;
    let mechanism = Mechanism::Ecdh1Derive(Ecdh1DeriveParams::new(EcKdf::null(), point));
    let derived = session.derive_key(
        &mechanism,
        subject.handle,
        &[
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::GENERIC_SECRET),
            Attribute::Token(false),
            Attribute::ValueLen(32_u64.into()),
        ],
    );
    if let Ok(derived) = derived {
        let _ = session.destroy_object(derived);
    }
    Some(Answered::of("derive a key", derived))
}

/// A fresh challenge is signed and verified, or sealed and opened.
fn prove(
    fresh: impl Fn() -> Result<Session, Failure>,
    subject: &Subject,
) -> Result<Observation, Failure> {
    let session = fresh()?;
    let challenge: [u8; 32] = random(&session)?;
    let outcome = match (&subject.role, &subject.public) {
        (Role::Issuer(_), Some((_, public))) => signs(&session, subject, public, &challenge),
        (Role::Issuer(_), None) => Ok(Err("there is no public key to verify a signature with")),
        (Role::Sealing(mechanism), _) => {
            let header = Header {
                generation: 0,
                sealing: subject.id,
                mechanism: *mechanism,
                content: Content::Secret,
            };
            seals(&session, &fresh()?, subject.handle, &header, &challenge)
        }
        (Role::Wrapping, _) => Ok(Err("it was not tried")),
    };
    let check = Check::Proof;
    let broken = |detail: String| Observation { check, outcome: Outcome::Broken, detail };
    Ok(match outcome {
        Ok(Ok(what)) => held(check, what),
        Ok(Err(why)) => broken(why.to_owned()),
        Err(Failure::Answer(answer)) => broken(answer.to_string()),
        Err(Failure::Missing(error) | Failure::Final(error)) => broken(error.to_string()),
    })
}

type Proven = Result<Result<&'static str, &'static str>, Failure>;

fn signs(session: &Session, subject: &Subject, public: &PublicKey, challenge: &[u8]) -> Proven {
    // Never octets that could be a certificate: the challenge has a prefix of our own.
    let message = [&b"sealwright examination "[..], challenge].concat();
    Ok(match sign_and_verify(session, subject.handle, public, &message)? {
        Some(_) => Ok("signed a fresh challenge, which verifies"),
        None => Err("its signature does not verify with its public key"),
    })
}

fn seals(
    session: &Session,
    doomed: &Session,
    key: ObjectHandle,
    header: &Header,
    challenge: &[u8],
) -> Proven {
    let context = &b"sealwright examination"[..];
    let sealed = seal_in_token(session, key, header, context, challenge)?;
    let again = seal_in_token(session, key, header, context, challenge)?;
    let (Some(sealed), Some(again)) = (sealed, again) else {
        return Ok(Err("it does not seal as the standard says"));
    };
    if sealed == again {
        return Ok(Err("it sealed the same data twice in the same way"));
    }
    let Some(sealed) = Sealed::parse(&sealed) else {
        return Ok(Err("what it sealed does not parse"));
    };
    if open_in_token(session, key, context, &sealed)?.as_slice() != challenge {
        return Ok(Err("what it sealed opened to something else"));
    }
    Ok(match open_in_token(doomed, key, b"another context", &sealed) {
        Ok(_) => Err("what it sealed for one context opened for another"),
        Err(_) => Ok("sealed a fresh challenge, which opens for its context only"),
    })
}
