//! One key of ours: what the token says about it, then what it does when it is attacked.

use aws_lc_rs::digest;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use super::strangers::{id, label, of_class};
use super::{Check, ExaminedKey, Expected, ExpectedKey, Observation, Outcome, attempts};
use crate::public_key::{PublicKey, spki_from_token};
use crate::recovery::Failure;
use crate::role::{Role, Weight, read};
use crate::token::Serving;
use crate::{Algorithm, KeyId};

/// What is known about the key while it is examined.
pub(super) struct Subject {
    pub(super) id: KeyId,
    pub(super) handle: ObjectHandle,
    pub(super) role: Role,
    /// SubjectPublicKeyInfo as the token tells it, and the key made of it; none for an AES key.
    pub(super) public: Option<(Vec<u8>, PublicKey)>,
}

/// The keys on record; where the record is not complete, every key pair of the token besides.
pub(super) fn with_unrecorded(
    serving: &Serving<'_>,
    expected: &Expected,
) -> Result<Vec<ExpectedKey>, Failure> {
    let mut keys = expected.keys.clone();
    if expected.complete {
        return Ok(keys);
    }
    for object in of_class(serving.session, ObjectClass::PRIVATE_KEY)? {
        let Ok(found) = <[u8; 32]>::try_from(id(serving.session, object)?) else { continue };
        if keys.iter().all(|key| key.id().0 != found) {
            keys.push(ExpectedKey::Signing {
                id: KeyId(found),
                public_key_sha256: None,
                imported: None,
            });
        }
    }
    Ok(keys)
}

pub(super) fn examine(
    serving: &Serving<'_>,
    expected: &ExpectedKey,
) -> Result<ExaminedKey, Failure> {
    let mut examined = ExaminedKey {
        id: expected.id(),
        label: String::new(),
        kind: String::new(),
        observations: Vec::new(),
    };
    let session = serving.session;
    let Some(handle) = present(session, expected, &mut examined.observations)? else {
        return Ok(examined);
    };
    examined.label = label(session, handle)?;
    let told = &mut examined.observations;
    told.push(alone_by_label(session, &examined.label)?);
    let subject = match expected {
        ExpectedKey::Sealing { id } => {
            examined.kind = "AES-256".to_owned();
            let role = Role::Sealing(Role::sealing_mechanism(session, handle)?);
            Subject { id: *id, handle, role, public: None }
        }
        ExpectedKey::Wrapping { id } => {
            examined.kind = "AES-256".to_owned();
            Subject { id: *id, handle, role: Role::Wrapping, public: None }
        }
        ExpectedKey::Signing { id, public_key_sha256, .. } => {
            let public = public_key(session, *id, public_key_sha256.as_deref(), told)?;
            let algorithm = match &public {
                Some((_, public)) => {
                    examined.kind = public.algorithm().to_string();
                    public.algorithm()
                }
                // The attempts below still need to know what kind of secret it has.
                None => match read(session, handle, AttributeType::KeyType)? {
                    Some(Attribute::KeyType(KeyType::RSA)) => Algorithm::Rsa(0),
                    _ => Algorithm::P256,
                },
            };
            Subject { id: *id, handle, role: Role::Issuer(algorithm), public }
        }
    };
    told.extend(attributes(session, &subject, expected)?);
    told.extend(attempts::all(serving, &subject)?);
    Ok(examined)
}

/// The private or secret key, where it is clear which one that is.
fn present(
    session: &Session,
    expected: &ExpectedKey,
    told: &mut Vec<Observation>,
) -> Result<Option<ObjectHandle>, Failure> {
    let mut handle = None;
    for class in expected.classes() {
        let found = session.find_objects(&[
            Attribute::Token(true),
            Attribute::Class(*class),
            Attribute::Id(expected.id().0.to_vec()),
        ])?;
        if found.len() != 1 {
            let detail = format!("{} objects of class {class} have this id", found.len());
            told.push(Observation { check: Check::Present, outcome: Outcome::Broken, detail });
            return Ok(None);
        }
        handle = handle.or(found.first().copied());
    }
    told.push(held(Check::Present, "exactly one"));
    Ok(handle)
}

fn alone_by_label(session: &Session, wanted: &str) -> Result<Observation, Failure> {
    let mut found = 0;
    for class in [ObjectClass::PRIVATE_KEY, ObjectClass::SECRET_KEY] {
        for object in of_class(session, class)? {
            found += usize::from(label(session, object)? == wanted);
        }
    }
    Ok(if found > 1 {
        let detail = format!("{found} keys are called \"{wanted}\"");
        Observation { check: Check::Label, outcome: Outcome::Doubtful, detail }
    } else {
        held(Check::Label, wanted)
    })
}

fn public_key(
    session: &Session,
    id: KeyId,
    recorded: Option<&str>,
    told: &mut Vec<Observation>,
) -> Result<Option<(Vec<u8>, PublicKey)>, Failure> {
    let found = session.find_objects(&[
        Attribute::Token(true),
        Attribute::Class(ObjectClass::PUBLIC_KEY),
        Attribute::Id(id.0.to_vec()),
    ])?;
    let spki = match found.first() {
        Some(public) => spki_from_token(session, *public)?,
        None => None,
    };
    let check = Check::PublicKey;
    let Some((spki, public)) = spki.and_then(|spki| {
        let public = PublicKey::from_spki(&spki).ok()?;
        Some((spki, public))
    }) else {
        let detail = "it does not read as RSA from 2048 bits, P-256 or P-384".to_owned();
        told.push(Observation { check, outcome: Outcome::Broken, detail });
        return Ok(None);
    };
    let fingerprint: String = digest::digest(&digest::SHA256, &spki)
        .as_ref()
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    told.push(match recorded {
        Some(recorded) if recorded == fingerprint => held(check, format!("SHA-256 {fingerprint}")),
        Some(recorded) => Observation {
            check,
            outcome: Outcome::Broken,
            detail: format!("SHA-256 {fingerprint} in the token, {recorded} on record"),
        },
        None => Observation {
            check,
            outcome: Outcome::Doubtful,
            detail: format!("SHA-256 {fingerprint}; there is no record to compare it with"),
        },
    });
    Ok(Some((spki, public)))
}

/// All attributes that the role demands, not only the first one that is wrong.
fn attributes(
    session: &Session,
    subject: &Subject,
    expected: &ExpectedKey,
) -> Result<[Observation; 2], Failure> {
    let local = match read(session, subject.handle, AttributeType::Local)? {
        Some(Attribute::Local(local)) => Some(local),
        _ => None,
    };
    let (mut wrong, mut unknown, mut right) = (Vec::new(), Vec::new(), 0);
    for demand in subject.role.demands() {
        if demand.weight == Weight::IfGenerated && local != Some(true) {
            continue;
        }
        let kind = demand.attribute.attribute_type();
        match read(session, subject.handle, kind)? {
            Some(found) if found == demand.attribute => right += 1,
            None if demand.weight != Weight::Essential => unknown.push(kind.to_string()),
            None => wrong.push(format!("{kind} reads nothing")),
            Some(found) => {
                wrong.push(format!("{kind} must read {:?} and reads {found:?}", demand.attribute))
            }
        }
    }
    let check = Check::Attributes;
    let as_demanded = if !wrong.is_empty() {
        Observation { check, outcome: Outcome::Broken, detail: wrong.join("; ") }
    } else if !unknown.is_empty() {
        let detail = format!("the token does not know {}", unknown.join(", "));
        Observation { check, outcome: Outcome::Doubtful, detail }
    } else {
        held(check, format!("{right} attributes read as they must"))
    };
    Ok([as_demanded, origin(local, expected)])
}

fn origin(local: Option<bool>, expected: &ExpectedKey) -> Observation {
    let imported = match expected {
        ExpectedKey::Signing { imported, .. } => *imported,
        ExpectedKey::Sealing { .. } | ExpectedKey::Wrapping { .. } => Some(false),
    };
    let (outcome, detail) = match (local, imported) {
        (Some(true), Some(false)) => (Outcome::Held, "made in the token"),
        (Some(false), Some(true)) => (Outcome::Held, "brought in from outside, as on record"),
        (Some(false), Some(false)) => (
            Outcome::Broken,
            "on record as made in the token, and the token says that it was brought in from outside",
        ),
        (Some(true), Some(true)) => (
            Outcome::Doubtful,
            "on record as brought in from outside, and the token says that it was made inside",
        ),
        (Some(true), None) => (Outcome::Held, "made in the token, as it says"),
        (Some(false), None) => (Outcome::Doubtful, "brought in from outside, as the token says"),
        (None, _) => (Outcome::Doubtful, "the token does not say where it was made (CKA_LOCAL)"),
    };
    Observation { check: Check::Origin, outcome, detail: detail.to_owned() }
}

pub(super) fn held(check: Check, detail: impl Into<String>) -> Observation {
    Observation { check, outcome: Outcome::Held, detail: detail.into() }
}
