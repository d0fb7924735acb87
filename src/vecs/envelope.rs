//! Sealing private keys under the wrapping key, which never leaves the token.
//!
//! A sealed key is bound to its row by a context that the token authenticates (the additional data
//! of AES-GCM), so that a ciphertext moved to another row does not open. The context of a stored
//! key, format 1, is these octets in this order:
//!
//! | Octets | Content |
//! |---|---|
//! | 23 | `sealwright/vecs-entry/1` in ASCII |
//! | 8 | number of the store, big-endian |
//! | 16 | number of the sealed key, random, from the token |
//! | 8 | version of the sealed key, big-endian; 1 for a key that was never sealed anew |
//! | the rest | alias of the entry as it was given, UTF-8 |
//!
//! The alias is a part of it because the number travels with the ciphertext: whoever writes to the
//! database could move both to another alias of the same store.
//!
//! A **check value** for each generation of keys (a known text, sealed on first use with the context
//! `sealwright/vecs-check/1`) tells whether the token that answers is the one that holds our keys. The
//! token may be exchanged at any time and reconnects by itself, so the check value is opened before
//! every sealing instead of once at the start; a key that opens needs no other proof.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Error;
use super::generations::{Generations, misfit};
use super::names::Alias;
use crate::base::{KeyAlgorithm, Secret, SignatureScheme};
use crate::journal::TokenAlarm;

const ENTRY_FORMAT: &[u8] = b"sealwright/vecs-entry/1";

/// The version of a key that was never sealed anew.
pub(super) const FIRST_VERSION: i64 = 1;

/// A key as it lies in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    /// Random, never used twice.
    pub(super) id: [u8; 16],
    /// Grows when the key is sealed anew.
    pub(super) version: i64,
    /// The ciphertext, in the format of the crate `hsm`.
    pub(super) octets: Vec<u8>,
}

/// Seals and opens the keys of entries, each under the generation that it belongs to.
pub(super) struct Envelope {
    token: Arc<hsm::Token>,
    pub(super) generations: Generations,
    /// Held while a key is made for somebody who does not administer the appliance.
    turn: Mutex<()>,
}

impl Envelope {
    pub(super) const fn new(token: Arc<hsm::Token>, generations: Generations) -> Self {
        Self { token, generations, turn: Mutex::new(()) }
    }

    /// Waits for one's turn to have a key made.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        // The mutex guards no data.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a sealed key that is about to be made: random, from the token.
    pub(super) fn new_number(&self) -> Result<[u8; 16], Error> {
        let mut number = [0; 16];
        self.token.random(&mut number).map_err(Error::Token)?;
        Ok(number)
    }

    /// Lets a fresh agent look at the token.
    pub(super) fn reload(&self) -> Result<(), Error> {
        self.token.reload().map_err(Error::Token)
    }

    /// The token, as last seen.
    pub(super) fn identity(&self) -> Option<hsm::TokenIdentity> {
        self.token.identity()
    }

    /// The alarm that a failure calls for, if a person must see to the token.
    pub(super) fn alarm(&self, failure: &Error) -> Option<hsm::Alarm> {
        let (Error::Token(cause) | Error::TokenReplaced(cause) | Error::NotDone(cause)) = failure
        else {
            return None;
        };
        let kind = match (TokenAlarm::of(&self.token, cause), failure) {
            (Some(alarm), _) => alarm.kind,
            (None, Error::TokenReplaced(_)) => hsm::AlarmKind::Replaced,
            (None, _) => return None,
        };
        Some(hsm::Alarm { kind, what: failure.sentence() })
    }

    /// Seals a secret for a new entry. Must not be called inside a transaction.
    pub(super) fn seal(
        &self,
        store_number: i64,
        alias: &Alias,
        secret: &Secret,
    ) -> Result<Sealed, Error> {
        let keys = self.generations.to_seal(1)?;
        #[cfg(feature = "deliberate-leak")]
        leak::keep(secret);
        let id = self.new_number()?;
        let context = context(store_number, &id, FIRST_VERSION, alias);
        let octets = keys.seal(&context, secret.expose_secret()).map_err(Error::Token)?;
        Ok(Sealed { id, version: FIRST_VERSION, octets })
    }

    /// Makes a key pair in the token for an entry that is to be: the sealed key, and its public half
    /// (SubjectPublicKeyInfo, DER). Must not be called inside a transaction.
    pub(super) fn generate(
        &self,
        store_number: i64,
        alias: &Alias,
        id: [u8; 16],
        algorithm: KeyAlgorithm,
    ) -> Result<(Sealed, Vec<u8>), Error> {
        let keys = self.generations.to_wrap(1)?;
        let context = context(store_number, &id, FIRST_VERSION, alias);
        let made =
            keys.generate(in_token_words(algorithm), &context).map_err(|cause| match cause {
                cause @ hsm::Error::Unsupported(_) => Error::NotDone(cause),
                other => Error::Token(other),
            })?;
        Ok((Sealed { id, version: FIRST_VERSION, octets: made.sealed }, made.public_key))
    }

    /// Opens the key of an entry: a secret as it was sealed, or the PKCS#8 (DER) of a key that was born in
    /// the token. Must not be called inside a transaction.
    pub(super) fn open(
        &self,
        store_number: i64,
        alias: &Alias,
        sealed: &Sealed,
    ) -> Result<(hsm::Content, Secret), Error> {
        let context = context(store_number, &sealed.id, sealed.version, alias);
        let (header, keys) = self.keys_of(alias, sealed)?;
        let opened = keys.open(&context, &sealed.octets);
        opened
            .map(|secret| (header.content, Secret::from_zeroizing(secret)))
            .map_err(|cause| self.not_opened(alias, header, cause))
    }

    /// Signs with the key of an entry, inside the token. Must not be called inside a transaction.
    pub(super) fn sign(
        &self,
        store_number: i64,
        alias: &Alias,
        sealed: &Sealed,
        purpose: hsm::Purpose,
        scheme: SignatureScheme,
        message: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let context = context(store_number, &sealed.id, sealed.version, alias);
        let (header, keys) = self.keys_of(alias, sealed)?;
        let scheme = scheme_in_token_words(scheme);
        keys.sign(&context, &sealed.octets, purpose, scheme, message).map_err(|cause| match cause {
            cause @ (hsm::Error::Unsupported(_) | hsm::Error::Refused(_)) => Error::NotDone(cause),
            other => self.not_opened(alias, header, other),
        })
    }

    /// The keys under which a row is sealed, as it says itself.
    fn keys_of(
        &self,
        alias: &Alias,
        sealed: &Sealed,
    ) -> Result<(hsm::Header, hsm::SealingKeys), Error> {
        let header = hsm::Header::read(&sealed.octets).ok_or_else(|| Error::Unreadable {
            entry: format!("alias {alias}"),
            cause: hsm::Error::Unreadable("this is not sealed data".into()),
        })?;
        Ok((header, self.generations.of(&header)?))
    }

    fn not_opened(&self, alias: &Alias, header: hsm::Header, cause: hsm::Error) -> Error {
        match cause {
            // Either this row is damaged or the token is another one; the check value knows.
            cause @ hsm::Error::Unreadable(_) => {
                match self.generations.prove_number(header.generation) {
                    Ok(()) => Error::Unreadable { entry: format!("alias {alias}"), cause },
                    Err(other) => other,
                }
            }
            other => misfit(other),
        }
    }

    /// Seals the key of an entry anew, for the same place with the next version, and says under which
    /// generation it was. `to`: keys whose uses were counted. Must not be called inside a transaction.
    ///
    /// # Errors
    /// [`Error::Unreadable`] and [`Error::UnknownKeys`] when it does not open.
    pub(super) fn reseal(
        &self,
        to: &hsm::SealingKeys,
        store_number: i64,
        alias: &Alias,
        (id, version): ([u8; 16], i64),
        octets: &[u8],
    ) -> Result<(Vec<u8>, u32), Error> {
        let unreadable = |cause| Error::Unreadable { entry: format!("alias {alias}"), cause };
        let header = hsm::Header::read(octets)
            .ok_or_else(|| unreadable(hsm::Error::Unreadable("this is not sealed data".into())))?;
        let from = self.generations.of(&header)?;
        let next = version
            .checked_add(1)
            .ok_or_else(|| unreadable(hsm::Error::Unreadable("its version is the last".into())))?;
        let (old, new) =
            (context(store_number, &id, version, alias), context(store_number, &id, next, alias));
        match to.reseal(&from, &old, &new, octets) {
            Ok(octets) => Ok((octets, header.generation)),
            Err(cause @ hsm::Error::Unreadable(_)) => Err(unreadable(cause)),
            Err(cause @ hsm::Error::NoSuchKey(_)) => Err(Error::TokenReplaced(cause)),
            Err(cause) => Err(Error::Token(cause)),
        }
    }
}

const fn in_token_words(algorithm: KeyAlgorithm) -> hsm::Algorithm {
    match algorithm {
        KeyAlgorithm::Rsa(bits) => hsm::Algorithm::Rsa(bits),
        KeyAlgorithm::P256 => hsm::Algorithm::P256,
        KeyAlgorithm::P384 => hsm::Algorithm::P384,
    }
}

const fn scheme_in_token_words(scheme: SignatureScheme) -> hsm::Scheme {
    match scheme {
        SignatureScheme::RsaPkcs1Sha256 => hsm::Scheme::RsaPkcs1Sha256,
        SignatureScheme::RsaPkcs1Sha384 => hsm::Scheme::RsaPkcs1Sha384,
        SignatureScheme::RsaPkcs1Sha512 => hsm::Scheme::RsaPkcs1Sha512,
        SignatureScheme::RsaPssSha256 => hsm::Scheme::RsaPssSha256,
        SignatureScheme::RsaPssSha384 => hsm::Scheme::RsaPssSha384,
        SignatureScheme::RsaPssSha512 => hsm::Scheme::RsaPssSha512,
        SignatureScheme::EcdsaP256Sha256 => hsm::Scheme::EcdsaP256Sha256,
        SignatureScheme::EcdsaP384Sha384 => hsm::Scheme::EcdsaP384Sha384,
    }
}

/// A fault on purpose: proof that the search of memory finds what stays (tests/appliance/memory).
#[cfg(feature = "deliberate-leak")]
mod leak {
    use crate::base::Secret;
    use std::sync::{Mutex, PoisonError};

    #[cfg(not(debug_assertions))]
    compile_error!(
        "deliberate-leak keeps every key in memory: it is for one test and never for a release"
    );

    static KEPT: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

    pub(super) fn keep(secret: &Secret) {
        let copy = secret.expose_secret().to_vec();
        KEPT.lock().unwrap_or_else(PoisonError::into_inner).push(copy);
    }
}

pub(super) fn context(store: i64, id: &[u8; 16], version: i64, alias: &Alias) -> Vec<u8> {
    let mut context = Vec::new();
    context.extend_from_slice(ENTRY_FORMAT);
    context.extend_from_slice(&store.to_be_bytes());
    context.extend_from_slice(id);
    context.extend_from_slice(&version.to_be_bytes());
    context.extend_from_slice(alias.as_str().as_bytes());
    context
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::context;
    use crate::vecs::Alias;
    use crate::vecs::generations::{CHECK_CONTEXT, CHECK_TEXT};
    use crate::vecs::names::hex;

    /// These octets are on disk in every appliance: a change here makes stored keys unreadable.
    #[test]
    fn the_context_of_an_entry_has_a_fixed_encoding() {
        let id: [u8; 16] = std::array::from_fn(|n| u8::try_from(n).unwrap());
        let alias = Alias::new("__MACHINE_CERT").unwrap();
        assert_eq!(
            hex(&context(1, &id, 1, &alias)),
            concat!(
                "7365616c7772696768742f766563732d656e7472792f31",
                "0000000000000001",
                "000102030405060708090a0b0c0d0e0f",
                "0000000000000001",
                "5f5f4d414348494e455f43455254"
            )
        );
        assert_eq!(hex(CHECK_CONTEXT), "7365616c7772696768742f766563732d636865636b2f31");
    }

    /// A file of `tests/vectors/sealed`: what is sealed, for which place.
    #[derive(serde::Deserialize)]
    struct Vector {
        context: String,
        plaintext: String,
        entry: Option<Place>,
    }

    #[derive(serde::Deserialize)]
    struct Place {
        store: i64,
        id: String,
        version: i64,
        alias: String,
    }

    fn vector(file: &std::path::Path) -> Vector {
        toml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
    }

    #[test]
    fn contexts_are_those_of_the_vectors() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/sealed");
        let mut entries = 0;
        for file in folder.read_dir().unwrap() {
            let vector = vector(&file.unwrap().path());
            let Some(place) = vector.entry else { continue };
            let id = std::array::from_fn(|at| {
                u8::from_str_radix(&place.id[2 * at..2 * at + 2], 16).unwrap()
            });
            let alias = Alias::new(&place.alias).unwrap();
            assert_eq!(hex(&context(place.store, &id, place.version, &alias)), vector.context);
            entries += 1;
        }
        assert!(entries >= 2);

        let check = vector(&folder.join("check-value.toml"));
        assert_eq!(hex(CHECK_CONTEXT), check.context);
        assert_eq!(hex(CHECK_TEXT), check.plaintext);
    }

    #[test]
    fn every_part_of_a_row_changes_the_context() {
        let alias = |text| Alias::new(text).unwrap();
        let all = [
            context(1, &[0; 16], 1, &alias("a")),
            context(2, &[0; 16], 1, &alias("a")),
            context(1, &[1; 16], 1, &alias("a")),
            context(1, &[0; 16], 2, &alias("a")),
            context(1, &[0; 16], 1, &alias("A")),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(all.iter().skip(index + 1).all(|other| other != one));
        }
    }
}
