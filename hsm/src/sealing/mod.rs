//! Sealing keys: seal data inside the token and open it again, bound to a context; make keys that leave the token only
//! wrapped, and sign with what was sealed.
//!
//! Two keys with one job each. The **sealing key** encrypts and decrypts what arrives from outside. The **wrapping key**
//! wraps and unwraps keys born in the token. One key for both would be no custody: whoever may unwrap under a key can
//! have what it sealed unwrapped as something readable.
//!
//! Every initialisation vector is 12 random octets that we ask the token for and pass explicitly: SoftHSM takes a
//! missing one without complaint and then reuses the same nonce every time. With random vectors one key may seal 2^32
//! times (SP 800-38D section 8.3). The format of sealed data is described in `sealed.rs`.

pub(crate) mod born;
pub(crate) mod gcm;
mod key_wrap;
mod keys;
mod scheme;
pub(crate) mod self_test;
pub(crate) mod session_object;
pub(crate) mod stored_key;
pub(crate) mod unwrap_template;

use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::recovery::Failure;
use crate::sealed::{Header, Sealed, SealingMechanism};
use crate::{Error, KeyId};

pub(crate) use keys::SealingKeys;

/// One generation of the two keys that protect what is stored outside the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyGeneration {
    /// 1 for the first; grows by one whenever other keys take the place of these.
    pub number: u32,
    /// `CKA_ID` of the sealing key: encrypts and decrypts what arrives from outside, and nothing else.
    pub sealing: KeyId,
    /// `CKA_ID` of the wrapping key: wraps and unwraps keys born in the token, and nothing else. The sealing key's in
    /// keys of a former version, which had none: no key can be born under them.
    pub wrapping: KeyId,
}

/// A key pair that was made in the token and left it only wrapped.
#[derive(Debug)]
pub struct GeneratedKey {
    /// SubjectPublicKeyInfo, DER.
    pub public_key: Vec<u8>,
    /// The private key: wrapped, then sealed for its context.
    pub sealed: Vec<u8>,
}

/// `None`: what the token gave back cannot be what the mechanism makes.
pub(crate) fn seal_in_token(
    session: &Session,
    key: ObjectHandle,
    header: &Header,
    context: &[u8],
    plaintext: &[u8],
) -> Result<Option<Vec<u8>>, Failure> {
    let bound = header.additional_data(context);
    let body = match header.mechanism {
        SealingMechanism::Gcm => gcm::seal(session, key, &bound, plaintext)?,
        SealingMechanism::KeyWrap => key_wrap::seal(session, key, &bound, plaintext)?,
    };
    Ok(body.map(|body| header.followed_by(&body)))
}

pub(crate) fn open_in_token(
    session: &Session,
    key: ObjectHandle,
    context: &[u8],
    sealed: &Sealed<'_>,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let bound = sealed.header.additional_data(context);
    match sealed.header.mechanism {
        SealingMechanism::Gcm => gcm::open(session, key, &bound, sealed.body),
        SealingMechanism::KeyWrap => key_wrap::open(session, key, &bound, sealed.body),
    }
}

fn unreadable() -> Failure {
    Failure::Final(Error::Unreadable(
        "the sealed data does not open: it was changed or cut short, or it was sealed for another place"
            .into(),
    ))
}
