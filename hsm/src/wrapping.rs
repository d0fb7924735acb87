//! Wrapping keys: seal data inside the token and open it again, bound to a context.
//!
//! AES-256-GCM with an initialisation vector of 12 random octets that we ask the token for and pass explicitly:
//! SoftHSM takes a missing one without complaint and then reuses the same nonce every time. With random vectors one
//! key may seal 2^32 times (SP 800-38D section 8.3). The format of sealed data is described in `sealed.rs`.

use std::sync::{Arc, Mutex};

use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use zeroize::Zeroizing;

use crate::module::lock;
use crate::recovery::{Failure, Operation};
use crate::role::Role;
use crate::sealed::{FIRST_GENERATION, IV, Sealed, TAG, additional_data};
use crate::sessions::random;
use crate::signing::only;
use crate::token::Serving;
use crate::{Error, KeyId, Token};

/// An AES-256 key in a token that seals and opens data, and nothing else. Cheap to clone.
#[derive(Clone)]
pub struct WrappingKey(Arc<Inner>);

struct Inner {
    token: Arc<Token>,
    id: KeyId,
    /// Epoch of the connection and handle in it.
    bound: Mutex<Option<(u64, ObjectHandle)>>,
}

impl WrappingKey {
    pub(crate) fn new(token: Arc<Token>, id: KeyId) -> Self {
        Self(Arc::new(Inner { token, id, bound: Mutex::default() }))
    }

    /// Finds the key by id and class, judges its attributes, and proves it by sealing and opening a fresh challenge.
    pub fn check(&self) -> Result<(), Error> {
        *lock(&self.0.bound) = None;
        let mut challenge = Zeroizing::new([0; 32]);
        self.0.token.random(challenge.as_mut_slice())?;
        let context = b"hsm key check";
        let opened = self.open(context, &self.seal(context, challenge.as_slice())?)?;
        if opened.as_slice() != challenge.as_slice() {
            return Err(self.0.token.quarantine(format!(
                "data sealed under key {} opened to something else",
                self.0.id
            )));
        }
        Ok(())
    }

    /// `CKA_ID` of the key.
    pub fn id(&self) -> KeyId {
        self.0.id
    }

    /// Seals `secret` under this key, bound to `context`: it opens only under the same context. The context is not
    /// secret and not stored; it should say in full what the data is and where it belongs.
    pub fn seal(&self, context: &[u8], secret: &[u8]) -> Result<Vec<u8>, Error> {
        if context.is_empty() {
            return Err(Error::Refused(
                "data is sealed only for a place that it belongs to: the context is empty".into(),
            ));
        }
        let sealed = self.0.token.operate(Operation::Seal, |serving| {
            let key = self.bind(serving)?;
            self.forgetting(seal_in_token(serving.session, key, self.0.id, context, secret))
        })?;
        sealed.ok_or_else(|| {
            Error::Unsupported(
                "the token does not encrypt with AES-GCM as the standard says: use another token"
                    .into(),
            )
        })
    }

    /// Opens what [`Self::seal`] made under this key for this context. Unreadable if the data was changed, cut short,
    /// sealed under another key or for another context; that is never a fault of the token.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let sealed = Sealed::parse(sealed).ok_or_else(|| {
            Error::Unreadable(
                "this is not sealed data, or it was sealed by a newer version: restore the record from a copy".into(),
            )
        })?;
        if sealed.key != self.0.id {
            return Err(Error::Unreadable(
                format!(
                    "the data is sealed under key {}, and this is key {}: configure that key",
                    sealed.key, self.0.id
                )
                .into(),
            ));
        }
        self.0.token.operate(Operation::Open, |serving| {
            let key = self.bind(serving)?;
            self.forgetting(open_in_token(serving.session, key, context, &sealed))
        })
    }

    /// After any fault the handle is looked up again, because it may be what is dead.
    fn forgetting<T>(&self, outcome: Result<T, Failure>) -> Result<T, Failure> {
        outcome.inspect_err(|_| *lock(&self.0.bound) = None)
    }

    fn bind(&self, serving: &Serving<'_>) -> Result<ObjectHandle, Failure> {
        let epoch = serving.connection.epoch();
        if let Some((bound_in, handle)) = *lock(&self.0.bound)
            && bound_in == epoch
        {
            return Ok(handle);
        }
        let handle = only(serving, Role::Wrapping.class(), self.0.id)?;
        Role::Wrapping.judge(serving.session, handle, self.0.id)?;
        *lock(&self.0.bound) = Some((epoch, handle));
        Ok(handle)
    }
}

const TAG_BITS: u64 = 8 * TAG as u64;

/// `None`: what the token gave back cannot be a ciphertext with its tag.
pub(crate) fn seal_in_token(
    session: &Session,
    key: ObjectHandle,
    id: KeyId,
    context: &[u8],
    secret: &[u8],
) -> Result<Option<Vec<u8>>, Failure> {
    // A new vector in each attempt: one that the token may have used already is never used again.
    let mut iv: [u8; IV] = random(session)?;
    let bound = additional_data(FIRST_GENERATION, id, context);
    let parameters = GcmParams::new(&mut iv, &bound, TAG_BITS.into())?;
    let ciphertext = session.encrypt(&Mechanism::AesGcm(parameters), key, secret)?;
    if ciphertext.len() != secret.len() + TAG || iv == [0; IV] {
        return Ok(None);
    }
    let sealed = Sealed { generation: FIRST_GENERATION, key: id, iv, ciphertext: &ciphertext };
    Ok(Some(sealed.to_octets()))
}

pub(crate) fn open_in_token(
    session: &Session,
    key: ObjectHandle,
    context: &[u8],
    sealed: &Sealed<'_>,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut iv = sealed.iv;
    let bound = additional_data(sealed.generation, sealed.key, context);
    let parameters = GcmParams::new(&mut iv, &bound, TAG_BITS.into())?;
    let opened = session.decrypt(&Mechanism::AesGcm(parameters), key, sealed.ciphertext)?;
    Ok(Zeroizing::new(opened))
}
