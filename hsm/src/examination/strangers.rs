//! Keys in the token that are on no record: litter of an interrupted act, or a substitution.

use std::fmt;

use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use serde::{Deserialize, Serialize};

use super::{ExpectedKey, MOST_STRANGERS};
use crate::recovery::Failure;
use crate::role::read;
use crate::token::Serving;

/// A key object that nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stranger {
    /// What kind of object.
    pub kind: StrangerKind,
    /// `CKA_ID` in hex, cut after 64 octets.
    pub id: String,
    /// `CKA_LABEL`, cut after 64 characters.
    pub label: String,
    /// Whether it has the label or the id of a key of ours: what a substitution looks like.
    pub resembles_ours: bool,
}

/// A class of key objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StrangerKind {
    /// `CKO_PRIVATE_KEY`.
    PrivateKey,
    /// `CKO_SECRET_KEY`.
    SecretKey,
    /// `CKO_PUBLIC_KEY`.
    PublicKey,
}

impl fmt::Display for StrangerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PrivateKey => "private key",
            Self::SecretKey => "secret key",
            Self::PublicKey => "public key",
        })
    }
}

const CLASSES: [(ObjectClass, StrangerKind); 3] = [
    (ObjectClass::PRIVATE_KEY, StrangerKind::PrivateKey),
    (ObjectClass::SECRET_KEY, StrangerKind::SecretKey),
    (ObjectClass::PUBLIC_KEY, StrangerKind::PublicKey),
];

/// The strangers, and how many more there are.
pub(super) fn find(
    serving: &Serving<'_>,
    known: &[ExpectedKey],
) -> Result<(Vec<Stranger>, usize), Failure> {
    let session = serving.session;
    let (mut strangers, mut labels_of_ours) = (Vec::new(), Vec::new());
    for (class, kind) in CLASSES {
        for object in of_class(session, class)? {
            let (id, label) = (id(session, object)?, label(session, object)?);
            let same_id = known.iter().find(|key| key.id().0[..] == id);
            if same_id.is_some_and(|key| key.classes().contains(&class)) {
                labels_of_ours.push(label);
            } else {
                strangers.push((kind, id, label, same_id.is_some()));
            }
        }
    }
    let more = strangers.len().saturating_sub(MOST_STRANGERS);
    let told = strangers.into_iter().take(MOST_STRANGERS).map(|(kind, id, label, same_id)| {
        let same_label = !label.is_empty() && labels_of_ours.contains(&label);
        Stranger {
            kind,
            id: id.iter().take(64).map(|octet| format!("{octet:02x}")).collect(),
            resembles_ours: same_id || same_label,
            label: label.chars().take(64).collect(),
        }
    });
    Ok((told.collect(), more))
}

pub(super) fn of_class(
    session: &Session,
    class: ObjectClass,
) -> Result<Vec<ObjectHandle>, Failure> {
    Ok(session.find_objects(&[Attribute::Token(true), Attribute::Class(class)])?)
}

pub(super) fn id(session: &Session, object: ObjectHandle) -> Result<Vec<u8>, Failure> {
    Ok(match read(session, object, AttributeType::Id)? {
        Some(Attribute::Id(id)) => id,
        _ => Vec::new(),
    })
}

pub(super) fn label(session: &Session, object: ObjectHandle) -> Result<String, Failure> {
    Ok(match read(session, object, AttributeType::Label)? {
        Some(Attribute::Label(label)) => String::from_utf8_lossy(&label).into_owned(),
        _ => String::new(),
    })
}
