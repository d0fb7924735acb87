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
//! A **check value** (a known text, sealed on first use with the context `sealwright/vecs-check/1`)
//! tells whether the token that answers is the one that holds our wrapping key. The token may be
//! exchanged at any time and reconnects by itself, so the check value is opened before every
//! sealing instead of once at the start; a key that opens needs no other proof.

use std::sync::Arc;

use super::names::Alias;
use super::{Error, records};
use crate::base::Secret;
use crate::store::{self, Store};

const ENTRY_FORMAT: &[u8] = b"sealwright/vecs-entry/1";
const CHECK_CONTEXT: &[u8] = b"sealwright/vecs-check/1";
const CHECK_TEXT: &[u8] = b"This token holds the wrapping key of this store.";

/// The version of a key that was never sealed anew.
const FIRST_VERSION: i64 = 1;

/// A key as it lies in the database.
#[derive(Clone, Debug)]
pub(super) struct Sealed {
    /// Random, never used twice.
    pub(super) id: [u8; 16],
    /// Grows when the key is sealed anew.
    pub(super) version: i64,
    /// The ciphertext, in the format of the crate `hsm`.
    pub(super) octets: Vec<u8>,
}

pub(super) struct Envelope {
    token: Arc<hsm::Token>,
    key: hsm::WrappingKey,
}

impl Envelope {
    pub(super) fn new(token: Arc<hsm::Token>, wrapping_key: hsm::KeyId) -> Self {
        Self { key: token.wrapping_key(wrapping_key), token }
    }

    /// The token, as last seen.
    pub(super) fn identity(&self) -> Option<hsm::TokenIdentity> {
        self.token.identity()
    }

    /// Opens the check value; seals it first where there is none yet.
    pub(super) fn prove(&self, store: &Store) -> Result<(), Error> {
        let (check, any_sealed) = store.read(|tx| {
            Ok::<_, store::Error>((records::check_value(tx)?, records::any_sealed(tx)?))
        })?;
        match check {
            Some(sealed) => {
                let text = self.key.open(CHECK_CONTEXT, &sealed).map_err(misfit)?;
                if text.as_slice() == CHECK_TEXT {
                    Ok(())
                } else {
                    Err(store::Error::Content("a wrong check value".to_owned()).into())
                }
            }
            // A new check value would vouch for a token that never sealed these keys.
            None if any_sealed => Err(store::Error::Content(
                "sealed keys, but not the check value of the wrapping key: it was taken away"
                    .to_owned(),
            )
            .into()),
            None => {
                let sealed = self.key.seal(CHECK_CONTEXT, CHECK_TEXT).map_err(Error::Token)?;
                store.write(move |tx| {
                    records::insert_check_value(tx, &sealed)?;
                    Ok(())
                })
            }
        }
    }

    /// Seals a secret for a new entry. Must not be called inside a transaction.
    pub(super) fn seal(
        &self,
        store: &Store,
        store_number: i64,
        alias: &Alias,
        secret: &Secret,
    ) -> Result<Sealed, Error> {
        self.prove(store)?;
        let mut id = [0; 16];
        self.token.random(&mut id).map_err(Error::Token)?;
        let context = context(store_number, &id, FIRST_VERSION, alias);
        let octets = self.key.seal(&context, secret.expose_secret()).map_err(Error::Token)?;
        Ok(Sealed { id, version: FIRST_VERSION, octets })
    }

    /// Opens the key of an entry. Must not be called inside a transaction.
    pub(super) fn open(
        &self,
        store: &Store,
        store_number: i64,
        alias: &Alias,
        sealed: &Sealed,
    ) -> Result<Secret, Error> {
        let context = context(store_number, &sealed.id, sealed.version, alias);
        match self.key.open(&context, &sealed.octets) {
            Ok(secret) => Ok(Secret::from_zeroizing(secret)),
            Err(cause @ hsm::Error::Unreadable(_)) => {
                // Either this row is damaged or the token is another one; the check value knows.
                self.prove(store)?;
                Err(Error::Unreadable { entry: format!("alias {alias}"), cause })
            }
            Err(cause) => Err(misfit(cause)),
        }
    }
}

/// What a failure to open under our key says about the token.
fn misfit(cause: hsm::Error) -> Error {
    match cause {
        hsm::Error::NoSuchKey(_) | hsm::Error::Unreadable(_) => Error::TokenReplaced(cause),
        other => Error::Token(other),
    }
}

fn context(store: i64, id: &[u8; 16], version: i64, alias: &Alias) -> Vec<u8> {
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
    use super::{CHECK_CONTEXT, CHECK_TEXT, context};
    use crate::vecs::Alias;
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
