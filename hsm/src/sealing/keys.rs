//! The keys of one generation at work.

use std::sync::{Arc, Mutex};

use cryptoki::object::ObjectHandle;
use zeroize::Zeroizing;

use super::born::{self, Born};
use super::stored_key::{self, BroughtIn, Name, StoredKey};
use super::{GeneratedKey, KeyGeneration, open_in_token, seal_in_token, unreadable};
use crate::module::lock;
use crate::recovery::{Failure, Operation};
use crate::role::Role;
use crate::sealed::{Content, Header, Sealed, SealingMechanism};
use crate::signing::only;
use crate::token::{Serving, Token};
use crate::{Algorithm, Error, KeyId, Scheme};

/// The keys of one generation at work. Cheap to clone.
#[derive(Clone)]
pub(crate) struct SealingKeys(Arc<Inner>);

struct Inner {
    token: Arc<Token>,
    generation: KeyGeneration,
    sealing: Mutex<Option<Bound>>,
    wrapping: Mutex<Option<Bound>>,
}

/// A key that was found and judged. Valid in one epoch of the connection.
#[derive(Clone, Copy)]
struct Bound {
    epoch: u64,
    handle: ObjectHandle,
    role: Role,
}

impl SealingKeys {
    pub(crate) fn new(token: Arc<Token>, generation: KeyGeneration) -> Self {
        let (sealing, wrapping) = Default::default();
        Self(Arc::new(Inner { token, generation, sealing, wrapping }))
    }

    /// Finds both keys by id and class, judges their attributes, and proves them: the sealing key by sealing and
    /// opening a fresh challenge, the wrapping key by a key pair that is made, wrapped, unwrapped and signs; of a token
    /// that does not wrap keys in this way only the sealing key is proved.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.forget();
        let mut challenge = Zeroizing::new([0; 32]);
        self.0.token.random(challenge.as_mut_slice())?;
        let context = b"hsm key check";
        let opened = self.open(context, &self.seal(context, challenge.as_slice())?)?;
        let KeyGeneration { sealing, wrapping, .. } = self.0.generation;
        if opened.as_slice() != challenge.as_slice() {
            let why = format!("data sealed under key {sealing} opened to something else");
            return Err(self.0.token.quarantine(why));
        }
        if wrapping == sealing {
            // Keys of a former version: there is no wrapping key, and nothing else to prove.
            return Ok(());
        }
        let proved = self.operate(Operation::Seal, |serving| {
            let key = self.wrapping(serving)?;
            if !born::are_possible(serving)? {
                return Ok(true);
            }
            let algorithm = born::quickest(serving)?;
            let _guard = serving.running.admission();
            Ok(born::generate(serving.session, key, algorithm)?.is_some())
        })?;
        match proved {
            true => Ok(()),
            false => Err(self.0.token.quarantine(does_not_come_back(wrapping))),
        }
    }

    /// Seals `secret` under this key, bound to `context`: it opens only under the same context. The context is not
    /// secret and not stored; it should say in full what the data is and where it belongs.
    pub(crate) fn seal(&self, context: &[u8], secret: &[u8]) -> Result<Vec<u8>, Error> {
        for_a_place(context)?;
        self.operate(Operation::Seal, |serving| {
            self.seal_here(serving, Content::Secret, context, secret)
        })
    }

    /// Opens what [`Self::seal`] made under this key for this context, and a key born in the token to its PKCS#8
    /// (DER). Unreadable if the data was changed, cut short, sealed under another key or for another context; that is
    /// never a fault of the token.
    pub(crate) fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let sealed = self.ours(sealed)?;
        self.operate(Operation::Open, |serving| {
            let opened = self.open_here(serving, context, &sealed)?;
            match sealed.header.content {
                Content::Secret => Ok(opened),
                Content::WrappedKey => {
                    let born = Born::parse(&opened).ok_or_else(unreadable)?;
                    born.reveal(serving.session, self.wrapping(serving)?)
                }
            }
        })
    }

    /// Seals anew under these keys what `old` sealed, without it leaving the token's process in clear: a secret is
    /// decrypted and encrypted, a key born in the token is unwrapped and wrapped. `old` may be these keys themselves, and
    /// lies in the same token.
    pub(crate) fn reseal(
        &self,
        old: &SealingKeys,
        old_context: &[u8],
        context: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, Error> {
        for_a_place(context)?;
        let sealed = old.ours(sealed)?;
        let content = sealed.header.content;
        let same_wrapping = self.0.generation.wrapping == old.0.generation.wrapping;
        // Reported as what fails to open, because that is what no other attempt would help.
        self.operate(Operation::Open, |serving| {
            let attempt = || {
                let opened = old.open_here(serving, old_context, &sealed)?;
                if content == Content::Secret || same_wrapping {
                    return self.seal_here(serving, content, context, &opened);
                }
                let born = Born::parse(&opened).ok_or_else(unreadable)?;
                let (from, to) = (old.wrapping(serving)?, self.wrapping(serving)?);
                let rewrapped = born.rewrap(serving.session, from, to)?;
                self.seal_here(serving, content, context, &rewrapped)
            };
            attempt().inspect_err(|_| old.forget())
        })
    }

    /// Makes a key pair in the token, wraps the private key under the wrapping key and seals it for `context`. RSA with
    /// 2048, 3072 or 4096 bits, P-256 or P-384. Nothing of it stays in the token.
    pub(crate) fn generate(
        &self,
        algorithm: Algorithm,
        context: &[u8],
    ) -> Result<GeneratedKey, Error> {
        for_a_place(context)?;
        let made = self.operate(Operation::Seal, |serving| {
            let key = self.wrapping(serving)?;
            let born = {
                // One guard around logins and key generation: SoftHSM has races in both.
                let _guard = serving.running.admission();
                born::generate(serving.session, key, algorithm)?
            };
            let Some(octets) = born else { return Ok(None) };
            let sealed = self.seal_here(serving, Content::WrappedKey, context, &octets)?;
            let born = Born::parse(&octets).ok_or_else(unreadable)?;
            Ok(Some(GeneratedKey { public_key: born.public_key.to_vec(), sealed }))
        })?;
        made.ok_or_else(|| self.0.token.quarantine(does_not_come_back(self.0.generation.wrapping)))
    }

    /// Signs with a sealed private key inside the token: one that was born there, or a sealed PKCS#8 (DER or PEM).
    /// The signature is verified with the key's own public key before it is released.
    ///
    /// The unwrapped key stays in the token for a while, as a session object, because the next signature is likely to
    /// be by the same key. Refused if the key and the scheme do not fit, if what is sealed is no such key, or if `judge`
    /// says no: it is given the key's SubjectPublicKeyInfo (DER) before anything is signed.
    pub(crate) fn sign(
        &self,
        context: &[u8],
        sealed: &[u8],
        scheme: Scheme,
        message: &[u8],
        judge: impl Fn(&[u8]) -> Result<(), Error>,
    ) -> Result<Vec<u8>, Error> {
        let name = stored_key::name(context, sealed);
        let sealed = self.ours(sealed)?;
        let signature = self.operate(Operation::Sign, |serving| {
            let key = self.stored(serving, name, context, &sealed)?;
            judge(key.public_key())?;
            key.sign(serving.session, scheme, message).inspect_err(|failure| {
                if matches!(failure, Failure::Answer(_)) {
                    serving.connection.stored_keys().forget(&name);
                }
            })
        })?;
        signature.ok_or_else(|| {
            self.0.token.quarantine(
                "a signature that it made with a sealed key does not verify with that key's public key"
                    .to_owned(),
            )
        })
    }

    fn stored(
        &self,
        serving: &Serving<'_>,
        name: Name,
        context: &[u8],
        sealed: &Sealed<'_>,
    ) -> Result<Arc<StoredKey>, Failure> {
        let stored = serving.connection.stored_keys();
        if let Some(key) = stored.get(&name) {
            return Ok(key);
        }
        let opened = self.open_here(serving, context, sealed)?;
        let open = || serving.connection.open();
        match sealed.header.content {
            Content::Secret => {
                stored.keep(name, open, |session| BroughtIn::from_outside(session, &opened))
            }
            Content::WrappedKey => {
                let born = Born::parse(&opened).ok_or_else(unreadable)?;
                let wrapping = self.wrapping(serving)?;
                stored.keep(name, open, |session| BroughtIn::born(session, wrapping, &born))
            }
        }
    }

    /// Sealed data that says that it is sealed under these keys.
    fn ours<'a>(&self, sealed: &'a [u8]) -> Result<Sealed<'a>, Error> {
        let sealed = Sealed::parse(sealed).ok_or_else(|| {
            Error::Unreadable(
                "this is not sealed data, or it was sealed by a newer version: restore the record from a copy".into(),
            )
        })?;
        let (found, ours) = (sealed.header.sealing, self.0.generation.sealing);
        if found != ours {
            return Err(Error::Unreadable(
                format!(
                    "the data is sealed under key {found}, and this is key {ours}: configure that key"
                )
                .into(),
            ));
        }
        Ok(sealed)
    }

    fn seal_here(
        &self,
        serving: &Serving<'_>,
        content: Content,
        context: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        let (key, mechanism) = self.sealing(serving)?;
        let KeyGeneration { number: generation, sealing, .. } = self.0.generation;
        let header = Header { generation, sealing, mechanism, content };
        seal_in_token(serving.session, key, &header, context, plaintext)?.ok_or_else(|| {
            Failure::Final(Error::Unsupported(
                format!(
                    "the token does not do {mechanism} as the standard says: use another token"
                )
                .into(),
            ))
        })
    }

    fn open_here(
        &self,
        serving: &Serving<'_>,
        context: &[u8],
        sealed: &Sealed<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let (key, mechanism) = self.sealing(serving)?;
        // A key does one mechanism, so a header that names another one was changed.
        if mechanism != sealed.header.mechanism {
            return Err(unreadable());
        }
        open_in_token(serving.session, key, context, sealed)
    }

    /// After any fault the handles are looked up again, because one of them may be what is dead.
    fn operate<T>(
        &self,
        operation: Operation,
        mut act: impl FnMut(&Serving<'_>) -> Result<T, Failure>,
    ) -> Result<T, Error> {
        self.0.token.operate(operation, |serving| act(serving).inspect_err(|_| self.forget()))
    }

    fn forget(&self) {
        *lock(&self.0.sealing) = None;
        *lock(&self.0.wrapping) = None;
    }

    /// The sealing key, and the mechanism that it was made for.
    fn sealing(&self, serving: &Serving<'_>) -> Result<(ObjectHandle, SealingMechanism), Failure> {
        let bound = bind(serving, &self.0.sealing, self.0.generation.sealing, |handle| {
            Ok(Role::Sealing(Role::sealing_mechanism(serving.session, handle)?))
        })?;
        Ok(match bound.role {
            Role::Sealing(mechanism) => (bound.handle, mechanism),
            _ => (bound.handle, SealingMechanism::Gcm),
        })
    }

    fn wrapping(&self, serving: &Serving<'_>) -> Result<ObjectHandle, Failure> {
        let KeyGeneration { sealing, wrapping: id, .. } = self.0.generation;
        if id == sealing {
            return Err(Failure::Final(Error::Refused(
                "these sealing keys were made by a former version, without a wrapping key: change the keys (`sealwright \
                 rewrap`), then try again"
                    .into(),
            )));
        }
        Ok(bind(serving, &self.0.wrapping, id, |_| Ok(Role::Wrapping))?.handle)
    }
}

fn bind(
    serving: &Serving<'_>,
    bound: &Mutex<Option<Bound>>,
    id: KeyId,
    role: impl FnOnce(ObjectHandle) -> Result<Role, Failure>,
) -> Result<Bound, Failure> {
    let epoch = serving.connection.epoch();
    if let Some(bound) = *lock(bound)
        && bound.epoch == epoch
    {
        return Ok(bound);
    }
    let handle = only(serving, Role::Wrapping.class(), id)?;
    let role = role(handle)?;
    role.judge(serving.session, handle, id)?;
    let found = Bound { epoch, handle, role };
    *lock(bound) = Some(found);
    Ok(found)
}

fn for_a_place(context: &[u8]) -> Result<(), Error> {
    if context.is_empty() {
        return Err(Error::Refused(
            "data is sealed only for a place that it belongs to: the context is empty".into(),
        ));
    }
    Ok(())
}

fn does_not_come_back(wrapping: KeyId) -> String {
    format!("a key that it wrapped under key {wrapping} does not come back as what it was")
}
