//! AES-256-GCM inside the token.

use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use zeroize::Zeroizing;

use super::unreadable;
use crate::recovery::Failure;
use crate::sealed::{IV, TAG};
use crate::sessions::random;

const TAG_BITS: u64 = 8 * TAG as u64;

/// The body of sealed data. `None`: what the token gave back cannot be a ciphertext with its tag.
pub(super) fn seal(
    session: &Session,
    key: ObjectHandle,
    bound: &[u8],
    plaintext: &[u8],
) -> Result<Option<Vec<u8>>, Failure> {
    // A new vector in each attempt: one that the token may have used already is never used again.
    let iv: [u8; IV] = random(session)?;
    let ciphertext = encrypt(session, key, iv, bound, plaintext)?;
    if ciphertext.len() != plaintext.len() + TAG || iv == [0; IV] {
        return Ok(None);
    }
    Ok(Some([&iv[..], &ciphertext].concat()))
}

pub(super) fn open(
    session: &Session,
    key: ObjectHandle,
    bound: &[u8],
    body: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let (iv, ciphertext) = body.split_first_chunk().ok_or_else(unreadable)?;
    decrypt(session, key, *iv, bound, ciphertext)
}

/// Ciphertext and tag.
pub(crate) fn encrypt(
    session: &Session,
    key: ObjectHandle,
    mut iv: [u8; IV],
    bound: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, Failure> {
    let parameters = GcmParams::new(&mut iv, bound, TAG_BITS.into())?;
    Ok(session.encrypt(&Mechanism::AesGcm(parameters), key, plaintext)?)
}

pub(super) fn decrypt(
    session: &Session,
    key: ObjectHandle,
    mut iv: [u8; IV],
    bound: &[u8],
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let parameters = GcmParams::new(&mut iv, bound, TAG_BITS.into())?;
    Ok(Zeroizing::new(session.decrypt(&Mechanism::AesGcm(parameters), key, ciphertext)?))
}
