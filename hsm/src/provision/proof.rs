//! Live attempts on a new key. A token can lie about an attribute, so the attributes are not only read: the token is
//! asked for what it must refuse.

use cryptoki::object::{Attribute, AttributeType, ObjectHandle};
use cryptoki::session::Session;
use zeroize::Zeroize;

use super::distrust;
use crate::recovery::Failure;
use crate::role::{Role, read};
use crate::sealed::Sealed;
use crate::sessions::random;
use crate::token::Serving;
use crate::wrapping::{open_in_token, seal_in_token};
use crate::{Algorithm, KeyId};

/// Asks the token to tell the key's value, to make it extractable, and to show it in the clear.
///
/// The session is read-write: in a read-only one each attempt would fail for the wrong reason.
pub(super) fn stays_inside(
    session: &Session,
    key: ObjectHandle,
    role: Role,
    id: KeyId,
) -> Result<(), Failure> {
    let secret = match role {
        Role::Issuer(Algorithm::Rsa(_)) => AttributeType::PrivateExponent,
        Role::Issuer(_) | Role::Wrapping => AttributeType::Value,
    };
    // `cryptoki` answers with an empty value where the token says CKR_ATTRIBUTE_SENSITIVE.
    if let Some(Attribute::Value(mut value) | Attribute::PrivateExponent(mut value)) =
        read(session, key, secret)?
        && !value.is_empty()
    {
        value.zeroize();
        return Err(distrust(id, "it tells the key's value"));
    }
    for weaker in [Attribute::Extractable(true), Attribute::Sensitive(false)] {
        let kind = weaker.attribute_type();
        // Any answer but success is right, and tokens differ in which one they give.
        let _ = session.update_attributes(key, std::slice::from_ref(&weaker));
        if read(session, key, kind)? == Some(weaker) {
            return Err(distrust(id, "it lets the key be made readable"));
        }
    }
    Ok(())
}

/// Seals and opens a challenge, and sees that another context does not open it.
pub(super) fn sealing(serving: &Serving<'_>, key: ObjectHandle, id: KeyId) -> Result<(), Failure> {
    let session = serving.session;
    let challenge: [u8; 32] = random(session)?;
    let sealed = seal_in_token(session, key, id, b"one context", &challenge)?;
    let again = seal_in_token(session, key, id, b"one context", &challenge)?;
    let (Some(sealed), Some(again)) = (sealed, again) else {
        return Err(distrust(id, "it does not encrypt with AES-GCM as the standard says"));
    };
    if sealed == again {
        return Err(distrust(id, "it seals the same data twice in the same way"));
    }
    let Some(sealed) = Sealed::parse(&sealed) else {
        return Err(distrust(id, "what it seals does not parse"));
    };
    let opened = open_in_token(session, key, b"one context", &sealed)?;
    if opened.as_slice() != challenge {
        return Err(distrust(id, "what it seals opens to something else"));
    }
    // In a session of its own, because a failed operation may leave it busy.
    let doomed = serving.connection.check_out()?;
    if open_in_token(&doomed, key, b"another context", &sealed).is_ok() {
        return Err(distrust(id, "what it seals opens for another context"));
    }
    Ok(())
}
