//! Roles of keys: the attributes that a key of each role is created with, and the judgement over what the token
//! says about it afterwards.

use cryptoki::mechanism::MechanismType;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use serde::{Deserialize, Serialize};

use crate::error::Fault;
use crate::recovery::Failure;
use crate::{AlarmKind, Algorithm, Error, KeyId, SealingMechanism};

/// What a key is for. One role, one usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Signs certificates, requests and revocation lists: `CKA_SIGN` and nothing else.
    Issuer(Algorithm),
    /// Seals data. With AES-GCM `CKA_ENCRYPT` and `CKA_DECRYPT` and nothing else: it neither wraps nor unwraps, because
    /// whoever may unwrap under a key can take the unwrapped value out again. Where the token has no AES-GCM, `CKA_WRAP`
    /// and `CKA_UNWRAP` and nothing else, for data keys that serve once.
    Sealing(SealingMechanism),
    /// Wraps and unwraps keys born in the token: `CKA_WRAP` and `CKA_UNWRAP` and nothing else.
    Wrapping,
}

/// Where a key was born.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// Generated inside the token (`CKA_LOCAL` is true).
    Generated,
    /// Brought in from outside, so copies may exist. Marked so for ever (`CKA_LOCAL` is false).
    Imported,
}

impl Role {
    pub(crate) fn class(self) -> ObjectClass {
        match self {
            Self::Issuer(_) => ObjectClass::PRIVATE_KEY,
            Self::Sealing(_) | Self::Wrapping => ObjectClass::SECRET_KEY,
        }
    }

    fn key_type(self) -> KeyType {
        match self {
            Self::Issuer(Algorithm::Rsa(_)) => KeyType::RSA,
            Self::Issuer(Algorithm::P256 | Algorithm::P384) => KeyType::EC,
            Self::Sealing(_) | Self::Wrapping => KeyType::AES,
        }
    }

    /// The only mechanism that the key may be used with.
    fn mechanism(self) -> MechanismType {
        match self {
            Self::Issuer(Algorithm::Rsa(_)) => MechanismType::RSA_PKCS,
            Self::Issuer(Algorithm::P256 | Algorithm::P384) => MechanismType::ECDSA,
            Self::Sealing(SealingMechanism::Gcm) => MechanismType::AES_GCM,
            Self::Sealing(SealingMechanism::KeyWrap) | Self::Wrapping => {
                MechanismType::AES_KEY_WRAP_PAD
            }
        }
    }

    fn generation_mechanism(self) -> MechanismType {
        match self {
            Self::Issuer(Algorithm::Rsa(_)) => MechanismType::RSA_PKCS_KEY_PAIR_GEN,
            Self::Issuer(Algorithm::P256 | Algorithm::P384) => MechanismType::ECC_KEY_PAIR_GEN,
            Self::Sealing(_) | Self::Wrapping => MechanismType::AES_KEY_GEN,
        }
    }

    /// Usage bits that are valid for the object's class, each with the value it must have.
    fn usage(self) -> Vec<Attribute> {
        match self {
            // SoftHSM sets CKA_SIGN_RECOVER unless told otherwise, for EC keys too.
            Self::Issuer(_) => vec![
                Attribute::Sign(true),
                Attribute::SignRecover(false),
                Attribute::Decrypt(false),
                Attribute::Unwrap(false),
                Attribute::Derive(false),
            ],
            Self::Sealing(_) | Self::Wrapping => {
                let encrypts = self == Self::Sealing(SealingMechanism::Gcm);
                vec![
                    Attribute::Encrypt(encrypts),
                    Attribute::Decrypt(encrypts),
                    Attribute::Sign(false),
                    Attribute::Verify(false),
                    Attribute::Wrap(!encrypts),
                    Attribute::Unwrap(!encrypts),
                    Attribute::Derive(false),
                ]
            }
        }
    }

    /// The template of the private or secret key, for generation and for import alike.
    pub(crate) fn template(self, id: KeyId, label: &str) -> Vec<Attribute> {
        let mut template = vec![
            Attribute::Class(self.class()),
            Attribute::KeyType(self.key_type()),
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Modifiable(false),
            Attribute::Copyable(false),
            Attribute::Id(id.0.to_vec()),
            Attribute::Label(label.as_bytes().to_vec()),
            Attribute::AllowedMechanisms(vec![self.mechanism()]),
        ];
        template.extend(self.usage());
        template
    }

    /// Everything that must hold for a key of this role, in the order it is asked.
    pub(crate) fn demands(self) -> Vec<Demand> {
        use Attribute as A;
        let essential = |attribute| Demand { attribute, weight: Weight::Essential };
        let known = |attribute| Demand { attribute, weight: Weight::IfKnown };
        let born = |attribute| Demand { attribute, weight: Weight::IfGenerated };
        let mut demands = vec![
            essential(A::KeyType(self.key_type())),
            essential(A::Token(true)),
            essential(A::Private(true)),
            essential(A::Sensitive(true)),
            essential(A::Extractable(false)),
            known(A::Modifiable(false)),
            known(A::Copyable(false)),
            known(A::AllowedMechanisms(vec![self.mechanism()])),
            born(A::AlwaysSensitive(true)),
            born(A::NeverExtractable(true)),
            born(A::KeyGenMechanism(self.generation_mechanism())),
        ];
        demands.extend(self.usage().into_iter().map(known));
        if self.class() == ObjectClass::SECRET_KEY {
            demands.push(essential(A::ValueLen(32_u64.into())));
        }
        demands
    }

    /// The mechanism that a sealing key was made for, by what it may do. Its other attributes are not judged.
    pub(crate) fn sealing_mechanism(
        session: &Session,
        key: ObjectHandle,
    ) -> Result<SealingMechanism, Failure> {
        Ok(match read(session, key, AttributeType::Encrypt)? {
            Some(Attribute::Encrypt(false)) => SealingMechanism::KeyWrap,
            _ => SealingMechanism::Gcm,
        })
    }

    /// Reads the key's attributes back, one at a time, and refuses the key if one of them is not as the role demands.
    ///
    /// An attribute that the token does not know is tolerated, and reported in the log, unless everything hangs on it.
    /// Called after creation and again whenever a key is bound, so that a key made by other means serves only if it
    /// is held as safely.
    pub(crate) fn judge(
        self,
        session: &Session,
        key: ObjectHandle,
        id: KeyId,
    ) -> Result<Origin, Failure> {
        let origin = match read(session, key, AttributeType::Local)? {
            Some(Attribute::Local(true)) => Origin::Generated,
            _ => Origin::Imported,
        };
        let mut unknown = Vec::new();
        for Demand { attribute, weight } in self.demands() {
            if weight == Weight::IfGenerated && origin == Origin::Imported {
                continue;
            }
            let kind = attribute.attribute_type();
            match read(session, key, kind)? {
                Some(found) if found == attribute => {}
                None if weight != Weight::Essential => unknown.push(kind),
                found => return Err(Failure::Final(unfit(id, kind, &attribute, found))),
            }
        }
        if !unknown.is_empty() {
            let names: Vec<_> = unknown.iter().map(ToString::to_string).collect();
            tracing::warn!(key = %id, unknown = names.join(" "), "the token does not know some attributes of a key");
        }
        Ok(origin)
    }
}

pub(crate) struct Demand {
    pub(crate) attribute: Attribute,
    pub(crate) weight: Weight,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Weight {
    /// Every token knows it; silence is a refusal.
    Essential,
    /// Tolerated where the token does not know the attribute, and reported.
    IfKnown,
    /// Like `IfKnown`, and demanded only of keys that were generated in the token.
    IfGenerated,
}

fn unfit(id: KeyId, kind: AttributeType, wanted: &Attribute, found: Option<Attribute>) -> Error {
    let found = found.map_or_else(|| "nothing".to_owned(), |found| format!("{found:?}"));
    // No key of ours was ever otherwise, so this is another one under its id.
    Error::Refused(
        Fault::from(format!(
            "key {id} is not held as it must be: {kind} must read {wanted:?} and reads {found}. Use a key that this \
             software made, or make a new one"
        ))
        .alarming(AlarmKind::Replaced),
    )
}

/// One attribute; `None` if the token does not know it, will not tell it, or tells it in a form nobody knows.
///
/// One at a time, because a single attribute that a token does not know would spoil the answers about all others.
pub(crate) fn read(
    session: &Session,
    object: ObjectHandle,
    kind: AttributeType,
) -> Result<Option<Attribute>, Failure> {
    use cryptoki::error::{Error as Pkcs11Error, RvError};
    match session.get_attributes(object, &[kind]) {
        Ok(attributes) => Ok(attributes.into_iter().next()),
        Err(Pkcs11Error::Pkcs11(
            RvError::AttributeTypeInvalid | RvError::AttributeSensitive,
            _,
        )) => Ok(None),
        Err(
            Pkcs11Error::NotSupported | Pkcs11Error::InvalidValue | Pkcs11Error::TryFromSlice(_),
        ) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
