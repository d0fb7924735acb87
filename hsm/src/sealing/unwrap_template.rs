//! `CKA_UNWRAP_TEMPLATE` of a wrapping key: what every key that it unwraps must be.
//!
//! Without it, whoever has the PIN and a wrapped key could unwrap it as readable, or as a generic secret. It does not
//! stop everything: whoever has the PIN can still unwrap the key as what it is and wrap it again under a key of their
//! own. It must stay extractable, or the wrapping key could never be changed, and nobody entitled could read the key.

use std::mem::{align_of, size_of};

use cryptoki::error::Error as Pkcs11Error;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};

use super::born::Born;
use super::session_object::SessionObject;
use crate::recovery::Failure;
use crate::role::read;
use crate::token::Serving;

const CKA_CLASS: usize = 0x0000;
const CKA_SENSITIVE: usize = 0x0103;
const CKA_EXTRACTABLE: usize = 0x0162;
const CKA_UNWRAP_TEMPLATE: u64 = 0x4000_0212;

/// `CKO_PRIVATE_KEY`, a `CK_ULONG`.
static PRIVATE_KEY: usize = 3;
/// `CK_TRUE`, a `CK_BBOOL`.
static TRUE: u8 = 1;

/// The template {`CKA_CLASS` private key, `CKA_SENSITIVE` true, `CKA_EXTRACTABLE` true} as an attribute.
///
/// `cryptoki` has no variant for it. Its `VendorDefined` passes any number and any octets on to the module as they are,
/// and the value of this attribute is by the standard an array of `CK_ATTRIBUTE`: type, pointer, length. On every system
/// that we support, `CK_ULONG` is as wide as a pointer and the structure has no padding, so it is three numbers of that
/// width. What the pointers point to is static, so it outlives every call; its provenance is exposed, so the module
/// may read through a pointer that was made from the number; and no module may write there, because templates are
/// input (PKCS#11 section 5.7: the value is only read).
///
/// `None` if the allocator gave the octets a place where the structures would not be aligned.
pub(crate) fn attribute() -> Option<Attribute> {
    let class = (&raw const PRIVATE_KEY).expose_provenance();
    let truth = (&raw const TRUE).expose_provenance();
    let structures = [
        [CKA_CLASS, class, size_of::<usize>()],
        [CKA_SENSITIVE, truth, 1],
        [CKA_EXTRACTABLE, truth, 1],
    ];
    let octets: Vec<u8> =
        structures.as_flattened().iter().flat_map(|number| number.to_ne_bytes()).collect();
    // The octets do not move with the vector. Allocators align to more than this for such a length.
    let aligned = octets.as_ptr().addr().is_multiple_of(align_of::<usize>());
    let kind = AttributeType::VendorDefined(CKA_UNWRAP_TEMPLATE);
    aligned.then_some(Attribute::VendorDefined((kind, octets)))
}

/// An attempt to take a wrapped key out.
pub(crate) struct Theft {
    pub(crate) attempt: &'static str,
    pub(crate) answer: Result<(), Pkcs11Error>,
}

/// Tries to unwrap a key of ours as something readable. `born` was made for the attempt.
pub(crate) fn steal(
    serving: &Serving<'_>,
    wrapping: ObjectHandle,
    born: &Born<'_>,
) -> Result<Vec<Theft>, Failure> {
    let private = |more: &[Attribute]| {
        let rsa = crate::public_key::PublicKey::from_spki(born.public_key)
            .is_ok_and(|public| public.algorithm().curve().is_none());
        let kind = if rsa { KeyType::RSA } else { KeyType::EC };
        let mut template = vec![
            Attribute::Class(ObjectClass::PRIVATE_KEY),
            Attribute::KeyType(kind),
            Attribute::Token(false),
            Attribute::Sign(true),
        ];
        template.extend_from_slice(more);
        template
    };
    let secret = |kind| {
        vec![
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(kind),
            Attribute::Token(false),
            Attribute::Sensitive(false),
            Attribute::Extractable(true),
        ]
    };
    let mut thefts = Vec::new();
    for (attempt, template) in [
        (
            "unwrap a key as not sensitive",
            private(&[Attribute::Sensitive(false), Attribute::Extractable(true)]),
        ),
        ("unwrap a key as a generic secret", secret(KeyType::GENERIC_SECRET)),
        ("unwrap a key without saying what it is to be", private(&[])),
    ] {
        // Each in a session of its own: an attack that begins to succeed leaves its session busy.
        let session = serving.connection.open()?;
        let unwrapped =
            session.unwrap_key(&Mechanism::AesKeyWrapPad, wrapping, born.wrapped, &template);
        let answer = match unwrapped {
            Err(error) => Err(error),
            Ok(taken) => {
                let taken = SessionObject::new(&session, taken);
                let sensitive = read(&session, taken.handle()?, AttributeType::Sensitive)?;
                // A token that fills in what was not said, and fills it in right, has not given the key away.
                if sensitive == Some(Attribute::Sensitive(true)) {
                    continue;
                }
                Ok(())
            }
        };
        thefts.push(Theft { attempt, answer });
    }
    Ok(thefts)
}
