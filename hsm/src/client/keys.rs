//! Keys as a service sees them: every act is one request to the agent.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Token, unexpected};
use crate::public_key::PublicKey;
use crate::signing::does_not_verify;
use crate::wire::{Answer, Request, Wiped};
use crate::{Algorithm, Error, GeneratedKey, KeyGeneration, KeyReference, Origin, Purpose, Scheme};

/// A private key in a token that signs, and nothing else. Cheap to clone.
///
/// It is found by `CKA_ID`, class and public key together, and every signature is verified with that public key before
/// it is released: here, outside the process that the PKCS#11 module runs in.
#[derive(Clone)]
pub struct SigningKey {
    token: Arc<Token>,
    key: Arc<Key>,
}

struct Key {
    reference: KeyReference,
    /// `None` if the reference does not hold a public key that we support.
    public: Option<PublicKey>,
}

impl SigningKey {
    pub(super) fn new(token: Arc<Token>, reference: KeyReference) -> Self {
        let public = PublicKey::from_spki(&reference.public_key).ok();
        Self { token, key: Arc::new(Key { reference, public }) }
    }

    /// What the key was asked for by.
    pub fn reference(&self) -> &KeyReference {
        &self.key.reference
    }

    /// The key's algorithm, from its reference. `Rsa(0)` if the reference holds no public key that we support; such
    /// a key checks and signs as Refused.
    pub fn algorithm(&self) -> Algorithm {
        self.key.public.as_ref().map_or(Algorithm::Rsa(0), PublicKey::algorithm)
    }

    /// Finds the key (by id, class and public key), judges its attributes, and proves it by signing and verifying a
    /// fresh challenge.
    pub fn check(&self) -> Result<(), Error> {
        done(self.token.operate(&Request::ProveSigningKey(self.key.reference.clone()))?)
    }

    /// Whether the key was generated in the token or imported, as the token itself says. Finds the key if need be.
    pub fn origin(&self) -> Result<Origin, Error> {
        match self.token.operate(&Request::Origin(self.key.reference.clone()))? {
            Answer::Origin(origin) => Ok(origin),
            other => Err(unexpected(&other)),
        }
    }

    /// Signs exactly these octets with the hash that belongs to the key (SHA-256; SHA-384 for P-384). ECDSA: DER
    /// Ecdsa-Sig-Value. RSA: PKCS#1 v1.5.
    ///
    /// `purpose` says what the octets are; the agent refuses what they are not, and what its policy does not allow. A
    /// signature that does not verify puts the token into quarantine.
    pub fn sign(&self, purpose: Purpose, message: &[u8]) -> Result<Vec<u8>, Error> {
        let request = self.request(purpose, message);
        self.judge(message, self.token.operate(&request)?)
    }

    /// The same for several messages, which are under way at once; outcomes stand in their order.
    pub fn sign_all(&self, purpose: Purpose, messages: &[&[u8]]) -> Vec<Result<Vec<u8>, Error>> {
        let requests: Vec<_> =
            messages.iter().map(|message| self.request(purpose, message)).collect();
        let answers = self
            .token
            .call_all(&requests.iter().collect::<Vec<_>>(), self.token.deadlines.operation);
        let judged = answers.into_iter().zip(messages);
        judged.map(|(answer, message)| self.judge(message, answer?)).collect()
    }

    fn request(&self, purpose: Purpose, message: &[u8]) -> Request {
        Request::Sign { key: self.key.reference.clone(), purpose, message: message.to_vec() }
    }

    /// Lets go only of what is this key's signature of exactly this message.
    fn judge(&self, message: &[u8], answer: Answer) -> Result<Vec<u8>, Error> {
        let signature = signature(answer)?;
        self.token.refuse_quarantined()?;
        match &self.key.public {
            Some(public) if public.verifies(message, &signature) => Ok(signature),
            _ => Err(self.token.quarantine(&does_not_verify(self.key.reference.id))),
        }
    }
}

/// The keys of one generation at work. Cheap to clone.
#[derive(Clone)]
pub struct SealingKeys {
    token: Arc<Token>,
    keys: KeyGeneration,
}

impl SealingKeys {
    pub(super) const fn new(token: Arc<Token>, keys: KeyGeneration) -> Self {
        Self { token, keys }
    }

    /// Which keys these are.
    pub const fn generation(&self) -> KeyGeneration {
        self.keys
    }

    /// Finds the keys by id and class, judges their attributes, and proves them on fresh challenges.
    pub fn check(&self) -> Result<(), Error> {
        done(self.token.operate(&Request::ProveGeneration(self.keys))?)
    }

    /// Seals `secret` under these keys, bound to `context`: it opens only under the same context. The context is not
    /// secret and not stored; it should say in full what the data is and where it belongs.
    pub fn seal(&self, context: &[u8], secret: &[u8]) -> Result<Vec<u8>, Error> {
        let secret = Wiped(Zeroizing::new(secret.to_vec()));
        let request = Request::Seal { keys: self.keys, context: context.to_vec(), secret };
        sealed(self.token.operate(&request)?)
    }

    /// Opens what [`Self::seal`] or [`Self::generate`] made under these keys for this context; a generated key opens
    /// to its PKCS#8 (DER). Unreadable if the data was changed, cut short, sealed under another key or for another
    /// context; that is never a fault of the token.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let (context, sealed) = (context.to_vec(), sealed.to_vec());
        match self.token.operate(&Request::Unseal { keys: self.keys, context, sealed })? {
            Answer::Secret(opened) => Ok(opened.0),
            other => Err(unexpected(&other)),
        }
    }

    /// Seals anew under these keys what `old` sealed, without it leaving the agent in clear: a secret is decrypted and
    /// encrypted, a key born in the token is unwrapped and wrapped. `old` may be these keys themselves.
    pub fn reseal(
        &self,
        old: &SealingKeys,
        old_context: &[u8],
        context: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, Error> {
        sealed(self.token.operate(&Request::Reseal {
            keys: self.keys,
            old: old.keys,
            old_context: old_context.to_vec(),
            context: context.to_vec(),
            sealed: data.to_vec(),
        })?)
    }

    /// Makes a key pair in the token, wraps the private key under the wrapping key and seals it for `context`.
    pub fn generate(&self, algorithm: Algorithm, context: &[u8]) -> Result<GeneratedKey, Error> {
        let request = Request::Generate { keys: self.keys, algorithm, context: context.to_vec() };
        match self.token.call(&request, self.token.deadlines.generate)? {
            Answer::Generated { public_key, sealed } => Ok(GeneratedKey { public_key, sealed }),
            other => Err(unexpected(&other)),
        }
    }

    /// Signs with a sealed private key inside the token: one that was born there, or a sealed PKCS#8 (DER or PEM).
    /// The signature is verified with the key's own public key before it is released.
    pub fn sign(
        &self,
        context: &[u8],
        sealed: &[u8],
        purpose: Purpose,
        scheme: Scheme,
        message: &[u8],
    ) -> Result<Vec<u8>, Error> {
        signature(self.token.operate(&Request::SignSealed {
            keys: self.keys,
            context: context.to_vec(),
            sealed: sealed.to_vec(),
            purpose,
            scheme,
            message: message.to_vec(),
        })?)
    }
}

fn done(answer: Answer) -> Result<(), Error> {
    match answer {
        Answer::Done => Ok(()),
        other => Err(unexpected(&other)),
    }
}

fn signature(answer: Answer) -> Result<Vec<u8>, Error> {
    match answer {
        Answer::Signature(signature) => Ok(signature),
        other => Err(unexpected(&other)),
    }
}

fn sealed(answer: Answer) -> Result<Vec<u8>, Error> {
    match answer {
        Answer::Sealed(sealed) => Ok(sealed),
        other => Err(unexpected(&other)),
    }
}
