//! AES key wrap with padding (RFC 5649) inside the token, AES-256-GCM on the host: for tokens without AES-GCM.
//!
//! Each piece of data has a data key of its own that serves once, so that a vector cannot meet its key again.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use zeroize::Zeroizing;

use super::session_object::{SessionObject, known_key};
use super::unreadable;
use crate::Error;
use crate::recovery::Failure;
use crate::role::read;
use crate::sealed::{IV, TAG, WRAPPED_DATA_KEY};
use crate::sessions::random;

/// The body of sealed data. `None`: what the token gave back cannot be a wrapped data key.
pub(super) fn seal(
    session: &Session,
    key: ObjectHandle,
    bound: &[u8],
    plaintext: &[u8],
) -> Result<Option<Vec<u8>>, Failure> {
    let data_key = known_key(session, &[Attribute::Extractable(true)])?;
    let wrapped = session.wrap_key(&Mechanism::AesKeyWrapPad, key, data_key.object.handle()?)?;
    data_key.object.destroy()?;
    let iv: [u8; IV] = random(session)?;
    if wrapped.len() != WRAPPED_DATA_KEY || iv == [0; IV] {
        return Ok(None);
    }
    // The capacity from the start, because a buffer that grows leaves copies behind.
    let mut octets = Zeroizing::new(Vec::with_capacity(plaintext.len() + TAG));
    octets.extend_from_slice(plaintext);
    let sealed = cipher(&data_key.octets)?.seal_in_place_append_tag(
        Nonce::assume_unique_for_key(iv),
        Aad::from(bound),
        &mut *octets,
    );
    if sealed.is_err() {
        return Ok(None);
    }
    Ok(Some([&wrapped[..], &iv, octets.as_slice()].concat()))
}

pub(super) fn open(
    session: &Session,
    key: ObjectHandle,
    bound: &[u8],
    body: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let (wrapped, rest) = body.split_first_chunk::<WRAPPED_DATA_KEY>().ok_or_else(unreadable)?;
    let (iv, ciphertext) = rest.split_first_chunk().ok_or_else(unreadable)?;
    let data_key = unwrap_secret(session, key, wrapped, KeyType::AES)?;
    let data_key: &[u8; 32] = data_key.as_slice().try_into().map_err(|_| unreadable())?;
    let mut octets = Zeroizing::new(ciphertext.to_vec());
    let nonce = Nonce::assume_unique_for_key(*iv);
    let length = cipher(data_key)?
        .open_in_place(nonce, Aad::from(bound), &mut octets)
        .map_err(|_| unreadable())?
        .len();
    octets.truncate(length);
    Ok(octets)
}

/// Unwraps a secret key and reads its value. The object is gone afterwards.
pub(super) fn unwrap_secret(
    session: &Session,
    key: ObjectHandle,
    wrapped: &[u8],
    kind: KeyType,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(kind),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
    ];
    let unwrapped = session.unwrap_key(&Mechanism::AesKeyWrapPad, key, wrapped, &template)?;
    let unwrapped = SessionObject::new(session, unwrapped);
    let value = match read(session, unwrapped.handle()?, AttributeType::Value)? {
        Some(Attribute::Value(value)) => Zeroizing::new(value),
        _ => Zeroizing::default(),
    };
    unwrapped.destroy()?;
    Ok(value)
}

fn cipher(key: &[u8; 32]) -> Result<LessSafeKey, Failure> {
    let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| {
        Failure::Final(Error::Unsupported(
            "this program's AES-GCM does not take a key of 32 octets: install it anew".into(),
        ))
    })?;
    Ok(LessSafeKey::new(key))
}
