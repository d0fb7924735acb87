//! Live attempts on a new key. A token can lie about an attribute, so the attributes are not only read: the token is
//! asked for what it must refuse.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectHandle};
use cryptoki::session::Session;
use zeroize::Zeroize;

use super::distrust;
use crate::recovery::Failure;
use crate::role::{Role, read};
use crate::sealed::{Header, Sealed};
use crate::sealing::{open_in_token, seal_in_token};
use crate::sessions::random;
use crate::token::Serving;
use crate::{Algorithm, KeyId};

/// Asks the token to tell the key's value, to make it readable, and to wrap it under another key.
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
        Role::Issuer(_) | Role::Sealing(_) | Role::Wrapping => AttributeType::Value,
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
    cannot_be_wrapped(session, key, id)
}

/// NSS wraps a key that says of itself that it is not extractable.
fn cannot_be_wrapped(session: &Session, key: ObjectHandle, id: KeyId) -> Result<(), Failure> {
    let template = [
        Attribute::Token(false),
        Attribute::Sensitive(true),
        Attribute::ValueLen(32_u64.into()),
        Attribute::Wrap(true),
    ];
    // A token that makes no such key has nothing to wrap under.
    let Ok(under) = session.generate_key(&Mechanism::AesKeyGen, &template) else {
        return Ok(());
    };
    let given_away = [Mechanism::AesKeyWrap, Mechanism::AesKeyWrapPad]
        .iter()
        .any(|mechanism| session.wrap_key(mechanism, under, key).is_ok());
    session.destroy_object(under)?;
    if given_away {
        return Err(distrust(id, "it gives the key away, wrapped under another one"));
    }
    Ok(())
}

/// Seals and opens a challenge, and sees that another context does not open it.
pub(super) fn sealing(
    serving: &Serving<'_>,
    key: ObjectHandle,
    header: &Header,
) -> Result<(), Failure> {
    let (session, id) = (serving.session, header.sealing);
    let challenge: [u8; 32] = random(session)?;
    let sealed = seal_in_token(session, key, header, b"one context", &challenge)?;
    let again = seal_in_token(session, key, header, b"one context", &challenge)?;
    let (Some(sealed), Some(again)) = (sealed, again) else {
        let mechanism = header.mechanism;
        return Err(distrust(id, &format!("it does not do {mechanism} as the standard says")));
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
    let doomed = serving.connection.open()?;
    if open_in_token(&doomed, key, b"another context", &sealed).is_ok() {
        return Err(distrust(id, "what it seals opens for another context"));
    }
    Ok(())
}
