//! A request becomes one operation of the token, and its outcome an answer.

use std::collections::HashMap;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use zeroize::Zeroizing;

use super::Guard;
use crate::module::lock;
use crate::sealing::SealingKeys;
use crate::signing::SigningKey;
use crate::token::Token;
use crate::wire::{Answer, Failed, Request, Wiped};
use crate::{Error, KeyGeneration, KeyReference};

/// Keys whose handles are remembered. A client that asks for more is not ours, or has lost its way.
const KNOWN_KEYS: usize = 256;
/// The most octets of a public key that is remembered; one of RSA-8192 has about 1,100.
const LONGEST_PUBLIC_KEY: usize = 4096;

/// One token, its guard and the keys that were asked for.
pub(super) struct Desk {
    token: Arc<Token>,
    guard: Arc<dyn Guard>,
    signing: Mutex<HashMap<KeyReference, SigningKey>>,
    sealing: Mutex<HashMap<KeyGeneration, SealingKeys>>,
    session_objects: AtomicU64,
    wear: u64,
}

impl Desk {
    pub(super) fn new(token: Arc<Token>, guard: Arc<dyn Guard>, wear: u64) -> Self {
        Self {
            token,
            guard,
            signing: Mutex::default(),
            sealing: Mutex::default(),
            session_objects: AtomicU64::new(0),
            wear,
        }
    }

    /// Whether a fresh agent should take over.
    pub(super) fn is_worn(&self) -> bool {
        self.token.is_worn() || self.session_objects.load(Ordering::Relaxed) >= self.wear
    }

    pub(super) fn answer(&self, request: Request) -> Answer {
        // A worker that panics would leave its client waiting until the deadline.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.perform(request)));
        let outcome = outcome.unwrap_or_else(|_| {
            Err(Error::Unavailable(
                "the token agent failed by a fault of its own: see its log".into(),
            ))
        });
        outcome.unwrap_or_else(|error| Answer::Failed(Failed::new(&error)))
    }

    fn perform(&self, request: Request) -> Result<Answer, Error> {
        Ok(match request {
            Request::Open(_) => {
                return Err(Error::Refused("a token agent is opened once".into()));
            }
            Request::Check => Answer::Identity(self.token.check()?),
            Request::Reload => {
                self.token.reload()?;
                Answer::Done
            }
            Request::Random(amount) => {
                let mut octets = Zeroizing::new(vec![0; usize::from(amount)]);
                self.token.random(&mut octets)?;
                Answer::Secret(Wiped(octets))
            }
            Request::ProveSigningKey(key) => {
                self.signing_key(key).check()?;
                Answer::Done
            }
            Request::Origin(key) => Answer::Origin(self.signing_key(key).origin()?),
            Request::Sign { key, purpose, message } => {
                self.guard.judge(purpose, &key, &message).map_err(refused)?;
                Answer::Signature(self.signing_key(key).sign(&message)?)
            }
            Request::ProveGeneration(keys) => {
                self.sealing_keys(keys).check()?;
                Answer::Done
            }
            Request::Seal { keys, context, secret } => {
                Answer::Sealed(self.sealing_keys(keys).seal(&context, &secret.0)?)
            }
            Request::Unseal { keys, context, sealed } => {
                self.wear_one();
                Answer::Secret(Wiped(self.sealing_keys(keys).open(&context, &sealed)?))
            }
            Request::Reseal { keys, old, old_context, context, sealed } => {
                self.wear_one();
                let (keys, old) = (self.sealing_keys(keys), self.sealing_keys(old));
                Answer::Sealed(keys.reseal(&old, &old_context, &context, &sealed)?)
            }
            Request::Generate { keys, algorithm, context } => {
                self.wear_one();
                let made = self.sealing_keys(keys).generate(algorithm, &context)?;
                Answer::Generated { public_key: made.public_key, sealed: made.sealed }
            }
            Request::SignSealed { keys, context, sealed, purpose, scheme, message } => {
                self.wear_one();
                let judge = |public_key: &[u8]| {
                    self.guard.judge_sealed(purpose, public_key, &message).map_err(refused)
                };
                let keys = self.sealing_keys(keys);
                Answer::Signature(keys.sign(&context, &sealed, scheme, &message, judge)?)
            }
        })
    }

    fn wear_one(&self) {
        self.session_objects.fetch_add(1, Ordering::Relaxed);
    }

    fn signing_key(&self, key: KeyReference) -> SigningKey {
        if key.public_key.len() > LONGEST_PUBLIC_KEY {
            return self.token.signing_key(key);
        }
        known(&self.signing, key, |key| self.token.signing_key(key))
    }

    fn sealing_keys(&self, keys: KeyGeneration) -> SealingKeys {
        known(&self.sealing, keys, |keys| self.token.sealing_keys(keys))
    }
}

fn refused(why: String) -> Error {
    Error::Refused(format!("the token agent does not sign this: {why}").into())
}

/// The value that stands for a key; its handle in the token is looked up once.
fn known<K: Clone + Eq + Hash, V: Clone>(
    known: &Mutex<HashMap<K, V>>,
    key: K,
    make: impl FnOnce(K) -> V,
) -> V {
    let mut known = lock(known);
    if let Some(value) = known.get(&key) {
        return value.clone();
    }
    if known.len() >= KNOWN_KEYS {
        known.clear();
    }
    let value = make(key.clone());
    known.insert(key, value.clone());
    value
}
