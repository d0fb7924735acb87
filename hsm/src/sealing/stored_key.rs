//! Sealed private keys that sign: brought into the token as session objects, and kept there for a while.
//!
//! Unwrapping costs ten signatures or more, and a server signs with the same key again and again. So the objects stay:
//! at most [`KEPT`] of them, the ones used last, in a session of their own that no operation uses. They go with the
//! connection.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest;
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use der::SecretDocument;

use super::born::Born;
use super::session_object::SessionObject;
use super::unreadable;
use crate::error::Answer;
use crate::module::lock;
use crate::provision::import;
use crate::public_key::PublicKey;
use crate::recovery::Failure;
use crate::{Algorithm, Error, Scheme, ecdsa};

/// How many keys stay in the token.
pub(crate) const KEPT: usize = 64;

/// SHA-256 of what a stored key was sealed for and of what it is sealed in.
pub(super) type Name = [u8; 32];

/// The context's length goes before it, so that no octet can pass from one to the other.
pub(super) fn name(context: &[u8], sealed: &[u8]) -> Name {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(&(context.len() as u64).to_be_bytes());
    hash.update(context);
    hash.update(sealed);
    let mut name = [0; 32];
    name.copy_from_slice(hash.finish().as_ref());
    name
}

/// The stored keys of one connection.
#[derive(Default)]
pub(crate) struct StoredKeys {
    /// The one used last is last.
    recent: Mutex<VecDeque<(Name, Arc<StoredKey>)>>,
    owner: Mutex<Option<Arc<Owner>>>,
}

/// A session whose objects are the stored keys. It closes when the last of them is gone.
struct Owner(Mutex<Session>);

/// A private key in the token, for as long as somebody has this value.
pub(super) struct StoredKey {
    owner: Arc<Owner>,
    handle: ObjectHandle,
    public_key: Vec<u8>,
    algorithm: Algorithm,
}

impl Drop for StoredKey {
    fn drop(&mut self) {
        if let Err(error) = lock(&self.owner.0).destroy_object(self.handle) {
            tracing::debug!(error = %Answer::from(error), "a stored key was gone from the token already");
        }
    }
}

impl StoredKeys {
    pub(super) fn get(&self, name: &Name) -> Option<Arc<StoredKey>> {
        let mut recent = lock(&self.recent);
        let at = recent.iter().position(|(found, _)| found == name)?;
        let entry = recent.remove(at)?;
        let key = Arc::clone(&entry.1);
        recent.push_back(entry);
        Some(key)
    }

    /// Brings a key in and keeps it. `open` opens a session on the same token.
    pub(super) fn keep(
        &self,
        name: Name,
        open: impl FnOnce() -> Result<Session, Failure>,
        bring_in: impl FnOnce(&Session) -> Result<BroughtIn, Failure>,
    ) -> Result<Arc<StoredKey>, Failure> {
        let owner = {
            let mut owner = lock(&self.owner);
            match &*owner {
                Some(owner) => Arc::clone(owner),
                None => Arc::clone(owner.insert(Arc::new(Owner(Mutex::new(open()?))))),
            }
        };
        let brought_in = bring_in(&lock(&owner.0)).inspect_err(|_| {
            // The session may be busy for ever. Keys that are in it stay until they are forgotten.
            let mut current = lock(&self.owner);
            if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, &owner)) {
                *current = None;
            }
        })?;
        let BroughtIn { handle, public_key, algorithm } = brought_in;
        let key = Arc::new(StoredKey { owner, handle, public_key, algorithm });
        let mut forgotten = Vec::new();
        {
            let mut recent = lock(&self.recent);
            recent.push_back((name, Arc::clone(&key)));
            while recent.len() > KEPT {
                forgotten.extend(recent.pop_front());
            }
        }
        // Dropped after the lock is free, because dropping calls into the module.
        drop(forgotten);
        Ok(key)
    }

    /// After a fault the key is brought in again, because its handle may be what is dead.
    pub(super) fn forget(&self, name: &Name) {
        let mut forgotten = Vec::new();
        {
            let mut recent = lock(&self.recent);
            while let Some(at) = recent.iter().position(|(found, _)| found == name) {
                forgotten.extend(recent.remove(at));
            }
        }
        drop(forgotten);
    }
}

/// A private key that was brought into a session.
pub(super) struct BroughtIn {
    handle: ObjectHandle,
    public_key: Vec<u8>,
    algorithm: Algorithm,
}

impl BroughtIn {
    /// A key born in the token.
    pub(super) fn born(
        session: &Session,
        wrapping: ObjectHandle,
        born: &Born<'_>,
    ) -> Result<Self, Failure> {
        let public = PublicKey::from_spki(born.public_key).map_err(|_| unreadable())?;
        let key = born.unwrap(session, wrapping)?;
        Self::of(key, born.public_key.to_vec(), public.algorithm())
    }

    /// A key that came from outside: PKCS#8, as DER or as PEM.
    pub(super) fn from_outside(session: &Session, secret: &[u8]) -> Result<Self, Failure> {
        let from_pem;
        let pkcs8 = if secret.starts_with(b"-----BEGIN ") {
            // The document is wiped when it is dropped, and decoded without a buffer that grows.
            let text = std::str::from_utf8(secret).map_err(|_| no_key())?;
            let (label, document) = SecretDocument::from_pem(text).map_err(|_| no_key())?;
            if label != "PRIVATE KEY" {
                return Err(no_key());
            }
            from_pem = document;
            from_pem.as_bytes()
        } else {
            secret
        };
        let imported = import::parse(pkcs8).map_err(|_| no_key())?;
        let template = imported.private.joined_to(import::session_template(imported.algorithm));
        let key = SessionObject::new(session, session.create_object(template.attributes())?);
        Self::of(key, imported.spki, imported.algorithm)
    }

    fn of(
        key: SessionObject<'_>,
        public_key: Vec<u8>,
        algorithm: Algorithm,
    ) -> Result<Self, Failure> {
        let handle = key.handle()?;
        key.into_handle();
        Ok(Self { handle, public_key, algorithm })
    }
}

fn no_key() -> Failure {
    Failure::Final(Error::Refused(
        "what is sealed here is not a private key that can sign in the token: store an unencrypted PKCS#8 key of RSA \
         with 2048, 3072 or 4096 bits, P-256 or P-384"
            .into(),
    ))
}

impl StoredKey {
    /// Its SubjectPublicKeyInfo, DER.
    pub(super) fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// `None`: the token made a signature that does not verify with the key's public key. It is not passed on.
    pub(super) fn sign(
        &self,
        session: &Session,
        scheme: Scheme,
        message: &[u8],
    ) -> Result<Option<Vec<u8>>, Failure> {
        if !scheme.fits(self.algorithm) {
            return Err(Failure::Final(Error::Refused(
                format!(
                    "a key of the kind {} does not sign as {scheme:?}: ask for a scheme of its kind",
                    self.algorithm
                )
                .into(),
            )));
        }
        let (mechanism, input) = scheme.token_input(message);
        let raw = session.sign(&mechanism, self.handle, &input)?;
        let signature = match self.algorithm.coordinate_octets() {
            Some(octets) => ecdsa::to_der(&raw, octets),
            None => Some(raw),
        };
        Ok(signature.filter(|signature| scheme.verifies(&self.public_key, message, signature)))
    }
}
