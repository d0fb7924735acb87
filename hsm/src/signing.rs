//! Signing keys in the process that loads the module: bound to a public key.
//!
//! Signatures are verified by the client (`client/keys.rs`), where no module can reach the one who judges. What never
//! leaves this process is verified here.
//!
//! A key is found by `CKA_ID`, class and public key together, never by label: after an outage a search by label can
//! return another key, which signs without error.
//!
//! Tokens differ in which hashing mechanisms they have, so the hash is made here and the token signs the digest:
//! `CKM_ECDSA`, or `CKM_RSA_PKCS` over a DigestInfo (RFC 8017 section 9.2).

use std::sync::{Arc, Mutex};

use aws_lc_rs::digest;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use serde::{Deserialize, Serialize};

use crate::error::Fault;
use crate::module::lock;
use crate::public_key::{PublicKey, spki_from_token};
use crate::recovery::{Failure, Operation};
use crate::role::{Origin, Role};
use crate::token::{Serving, Token};
use crate::{AlarmKind, Algorithm, Error, KeyId, ecdsa};

/// Which private key: by id and public key (SubjectPublicKeyInfo, DER).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyReference {
    /// `CKA_ID` of the private key and of its public key.
    pub id: KeyId,
    /// SubjectPublicKeyInfo, DER. Compared octet for octet with what the token says.
    pub public_key: Vec<u8>,
}

/// A private key in a token that signs, and nothing else. Cheap to clone; clones share what they found.
#[derive(Clone)]
pub(crate) struct SigningKey(Arc<Inner>);

struct Inner {
    token: Arc<Token>,
    reference: KeyReference,
    /// `None` if the reference does not hold a public key that we support.
    public: Option<PublicKey>,
    bound: Mutex<Option<Bound>>,
}

/// A key that was found and judged. Valid in one epoch of the connection.
#[derive(Clone, Copy)]
struct Bound {
    epoch: u64,
    handle: ObjectHandle,
    origin: Origin,
}

impl SigningKey {
    pub(crate) fn new(token: Arc<Token>, reference: KeyReference) -> Self {
        let public = PublicKey::from_spki(&reference.public_key).ok();
        Self(Arc::new(Inner { token, reference, public, bound: Mutex::default() }))
    }

    /// Finds the key (by id, class and public key), judges its attributes, and proves it by signing and verifying a
    /// fresh challenge.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let mut challenge = [0; 32];
        self.0.token.random(&mut challenge)?;
        // Looked up anew, so that a key that was destroyed meanwhile is missed here and not at the next certificate.
        *lock(&self.0.bound) = None;
        let message = [&b"hsm key check "[..], &challenge].concat();
        let signature = self.sign(&message)?;
        match self.public()?.verifies(&message, &signature) {
            true => Ok(()),
            false => Err(self.quarantine()),
        }
    }

    /// Whether the key was generated in the token or imported, as the token itself says. Finds the key if need be.
    pub(crate) fn origin(&self) -> Result<Origin, Error> {
        let public = self.public()?;
        self.0.token.operate(Operation::Sign, |serving| Ok(self.bind(serving, public)?.origin))
    }

    /// Signs exactly these octets with the hash that belongs to the key (SHA-256; SHA-384 for P-384). ECDSA: DER
    /// Ecdsa-Sig-Value. RSA: PKCS#1 v1.5. Not verified yet.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let public = self.public()?;
        let signature = self.0.token.operate(Operation::Sign, |serving| {
            let bound = self.bind(serving, public)?;
            sign_with(serving.session, bound.handle, public, message)
                .inspect_err(|_| *lock(&self.0.bound) = None)
        })?;
        signature.ok_or_else(|| self.quarantine())
    }

    fn quarantine(&self) -> Error {
        self.0.token.quarantine(does_not_verify(self.0.reference.id))
    }

    fn public(&self) -> Result<&PublicKey, Error> {
        self.0.public.as_ref().ok_or_else(|| {
            Error::Refused(
                format!(
                    "key {} is recorded with a public key that is not RSA from 2048 bits, P-256 or P-384: make a new key",
                    self.0.reference.id
                )
                .into(),
            )
        })
    }

    /// The handle from before, or a search: exactly one private key with this id, exactly one public key with this
    /// id, and that public key is the one in the reference.
    fn bind(&self, serving: &Serving<'_>, public: &PublicKey) -> Result<Bound, Failure> {
        let epoch = serving.connection.epoch();
        if let Some(bound) = *lock(&self.0.bound)
            && bound.epoch == epoch
        {
            return Ok(bound);
        }
        let KeyReference { id, public_key } = &self.0.reference;
        let role = Role::Issuer(public.algorithm());
        let handle = only(serving, role.class(), *id)?;
        let counterpart = only(serving, ObjectClass::PUBLIC_KEY, *id)?;
        match spki_from_token(serving.session, counterpart)? {
            Some(spki) if spki == *public_key => {}
            Some(_) => {
                return Err(Failure::Final(Error::Refused(
                    Fault::from(format!(
                        "the token holds another public key under the id {id} than the one on record: the key was \
                         replaced. Nothing is signed with it; restore the token or install a new key"
                    ))
                    .alarming(AlarmKind::Replaced),
                )));
            }
            None => return Err(Failure::Missing(no_such_key(*id))),
        }
        let origin = role.judge(serving.session, handle, *id)?;
        let bound = Bound { epoch, handle, origin };
        *lock(&self.0.bound) = Some(bound);
        Ok(bound)
    }
}

/// `None`: the token made a signature that does not verify with this public key. It is not passed on.
pub(crate) fn sign_and_verify(
    session: &Session,
    handle: ObjectHandle,
    public: &PublicKey,
    message: &[u8],
) -> Result<Option<Vec<u8>>, Failure> {
    let signature = sign_with(session, handle, public, message)?;
    Ok(signature.filter(|signature| public.verifies(message, signature)))
}

/// `None`: what the token made is no signature at all.
fn sign_with(
    session: &Session,
    handle: ObjectHandle,
    public: &PublicKey,
    message: &[u8],
) -> Result<Option<Vec<u8>>, Failure> {
    let (mechanism, input) = token_input(public.algorithm(), message);
    let raw = session.sign(&mechanism, handle, &input)?;
    Ok(match public.algorithm().coordinate_octets() {
        Some(octets) => ecdsa::to_der(&raw, octets),
        None => Some(raw),
    })
}

/// Why a token is quarantined.
pub(crate) fn does_not_verify(key: KeyId) -> String {
    format!("a signature that it made with key {key} does not verify with that key's public key")
}

/// The only token object of this class with this id.
pub(crate) fn only(
    serving: &Serving<'_>,
    class: ObjectClass,
    id: KeyId,
) -> Result<ObjectHandle, Failure> {
    let found = serving.session.find_objects(&[
        Attribute::Token(true),
        Attribute::Class(class),
        Attribute::Id(id.0.to_vec()),
    ])?;
    match found[..] {
        [] => Err(Failure::Missing(no_such_key(id))),
        [only] => Ok(only),
        _ => Err(Failure::Final(Error::Refused(
            format!(
                "the token holds {} objects of class {class} with the id {id}: it is not clear which one is meant. \
                 Remove the others",
                found.len()
            )
            .into(),
        ))),
    }
}

fn no_such_key(id: KeyId) -> Error {
    Error::NoSuchKey(
        format!(
            "the token holds no complete key with the id {id}: bring back the token that holds it, or restore its copy"
        )
        .into(),
    )
}

/// DER of a DigestInfo for SHA-256 up to the digest itself (RFC 8017 section 9.2, note 1).
const SHA256_DIGEST_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];

/// What the token is given to sign. The digest is exactly as long as the curve takes: a token cuts a longer one off
/// in silence.
fn token_input(algorithm: Algorithm, message: &[u8]) -> (Mechanism<'static>, Vec<u8>) {
    match algorithm {
        Algorithm::Rsa(_) => {
            let hash = digest::digest(&digest::SHA256, message);
            (Mechanism::RsaPkcs, [&SHA256_DIGEST_INFO[..], hash.as_ref()].concat())
        }
        Algorithm::P256 => {
            (Mechanism::Ecdsa, digest::digest(&digest::SHA256, message).as_ref().to_vec())
        }
        Algorithm::P384 => {
            (Mechanism::Ecdsa, digest::digest(&digest::SHA384, message).as_ref().to_vec())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_input_has_the_length_that_the_key_takes() {
        for (algorithm, octets) in
            [(Algorithm::Rsa(2048), 19 + 32), (Algorithm::P256, 32), (Algorithm::P384, 48)]
        {
            assert_eq!(token_input(algorithm, b"message").1.len(), octets);
        }
    }
}
