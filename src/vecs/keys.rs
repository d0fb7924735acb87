//! What can be done with the key of an entry: read it, or sign with it where it is.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::json;

use super::entries::{Entry, EntryKind, certificates_of, no_entry};
use super::envelope::Sealed;
use super::names::{Alias, hex};
use super::stores::OpenStore;
use super::{Error, records};
use crate::base::{Secret, SignatureScheme};
use crate::journal::Outcome;
use crate::store;
use crate::x509::{PrivateKey, PublicKey};

/// The private key of one entry, which may be read.
pub struct ReadableKey<'a> {
    pub(super) store: OpenStore<'a>,
    pub(super) alias: Alias,
}

impl ReadableKey<'_> {
    /// Opens the key: PKCS#8 PEM, or a secret as it was stored. The record of it is durable before
    /// this returns.
    ///
    /// # Errors
    /// [`Error::NotFound`] without such an entry, [`Error::Invalid`] when it has no key,
    /// [`Error::Token`], [`Error::TokenReplaced`] or [`Error::Unreadable`] when it does not open.
    pub fn open(self) -> Result<Secret, Error> {
        let (vecs, store) = (self.store.vecs, self.store.id);
        let (entry, sealed) = find(&self.store, &self.alias)?;
        let note =
            self.store.note("entry.read-key", format!("{}/{}", self.store.name, entry.alias));
        let opened = with_sealed(&self.store, &self.alias, sealed, |sealed| {
            vecs.envelope.open(store, &entry.alias, sealed)
        });
        match opened.and_then(|(content, secret)| as_text(content, secret)) {
            Ok(secret) => {
                note.record(vecs, Outcome::Done)?;
                Ok(secret)
            }
            Err(failure) => {
                vecs.look_into(&failure);
                note.record(vecs, Outcome::Failed)?;
                Err(failure)
            }
        }
    }
}

/// A key that was born in the token comes out of it as DER; every other was sealed as text.
fn as_text(content: hsm::Content, secret: Secret) -> Result<Secret, Error> {
    match content {
        hsm::Content::Secret => Ok(secret),
        hsm::Content::WrappedKey => {
            let key = PrivateKey::from_pkcs8_der(&secret).map_err(Error::Material)?;
            Ok(key.to_pkcs8_pem())
        }
    }
}

/// What a signature is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignaturePurpose {
    /// A file or whatever else its owner wants signed: each leaves a record.
    Content,
    /// The handshake of a TLS server: recorded in sum (`handshakes.rs`).
    Tls,
}

/// A signature that is wanted.
#[derive(Debug)]
pub struct SignatureRequest {
    /// What for.
    pub purpose: SignaturePurpose,
    /// How; absent: as is usual for the key.
    pub scheme: Option<SignatureScheme>,
    /// What: the octets, not their digest.
    pub message: Vec<u8>,
    /// SHA-256 of the SubjectPublicKeyInfo of the key that is meant; absent: whichever the entry has.
    pub public_key_sha256: Option<Vec<u8>>,
}

/// The private key of one entry, with which the caller may sign.
pub struct KeyAtWork<'a> {
    pub(super) store: OpenStore<'a>,
    pub(super) alias: Alias,
}

impl KeyAtWork<'_> {
    /// Signs in the token: how, and the signature. A record of it is durable before this returns; for a
    /// handshake within a minute.
    ///
    /// # Errors
    /// [`Error::NotFound`] without such an entry, [`Error::Invalid`] when it has no private key or one that
    /// does not sign so, [`Error::KeyChanged`] when it is another key, [`Error::NotDone`] for what the token
    /// does not do, and those of [`ReadableKey::open`].
    pub fn sign(self, wanted: &SignatureRequest) -> Result<(SignatureScheme, Vec<u8>), Error> {
        let (entry, sealed) = find(&self.store, &self.alias)?;
        let public_key = public_key_of(&entry)?;
        if let Some(meant) = &wanted.public_key_sha256
            && public_key.sha256() != meant.as_slice()
        {
            return Err(Error::KeyChanged);
        }
        let scheme =
            wanted.scheme.unwrap_or_else(|| SignatureScheme::usual(public_key.algorithm()));
        if !scheme.suits(public_key.algorithm()) {
            return Err(Error::Invalid(format!(
                "the key of entry [{}] is {} and does not sign with {scheme}; choose a scheme of its kind, or \
                 leave the choice out",
                entry.alias,
                public_key.algorithm()
            )));
        }
        let purpose = match wanted.purpose {
            SignaturePurpose::Content => hsm::Purpose::Content,
            SignaturePurpose::Tls => hsm::Purpose::Tls,
        };
        let (vecs, number) = (self.store.vecs, self.store.id);
        let message = wanted.message.as_slice();
        let made = with_sealed(&self.store, &self.alias, sealed, |sealed| {
            vecs.envelope.sign(number, &entry.alias, sealed, purpose, scheme, message)
        });
        if let Err(failure) = &made {
            vecs.look_into(failure);
        }
        let reference = format!("{}/{}", self.store.name, entry.alias);
        match wanted.purpose {
            SignaturePurpose::Tls => {
                let actor = self.store.actor.clone();
                vecs.handshakes.count(reference, actor, vecs.clock.now(), made.is_ok());
            }
            SignaturePurpose::Content => {
                let outcome = if made.is_ok() { Outcome::Done } else { Outcome::Failed };
                let details = json!({
                    "purpose": "content",
                    "scheme": scheme.name(),
                    "octets": message.len(),
                    "sha256": hex(digest(&SHA256, message).as_ref()),
                });
                let note = self.store.note("entry.sign", reference);
                vecs.store.write::<_, Error>(move |tx| Ok(note.append(tx, outcome, details)?))?;
            }
        }
        Ok((scheme, made?))
    }
}

fn public_key_of(entry: &Entry) -> Result<PublicKey, Error> {
    let first = match entry.kind {
        EntryKind::PrivateKey => certificates_of(&entry.pem)?.into_iter().next(),
        EntryKind::SecretKey | EntryKind::TrustedCert | EntryKind::Crl => None,
    };
    let first = first.ok_or_else(|| {
        Error::Invalid(format!(
            "entry [{}] is of type [{}], and only the key of a [{}] signs.",
            entry.alias,
            entry.kind.label(),
            EntryKind::PrivateKey.label()
        ))
    })?;
    first.public_key().map_err(Error::Material)
}

/// The entry, and its key where it has one.
fn find(store: &OpenStore<'_>, alias: &Alias) -> Result<(Entry, Sealed), Error> {
    let number = store.id;
    let found = store.vecs.store.read(|tx| {
        let Some(entry) = records::entry(tx, number, alias)? else {
            return Ok(None);
        };
        let sealed = records::sealed_key(tx, number, alias)?;
        Ok::<_, store::Error>(Some((entry, sealed)))
    })?;
    let (entry, sealed) = found.ok_or_else(|| no_entry(store, alias))?;
    let sealed = sealed.ok_or_else(|| {
        Error::Invalid(format!(
            "No key was found for entry [{}] of type [{}].",
            entry.alias,
            entry.kind.label()
        ))
    })?;
    Ok((entry, sealed))
}

/// Does something with a sealed key: once more where it fails because the key was sealed anew
/// meanwhile, and the keys that it was sealed under before are destroyed.
fn with_sealed<T>(
    store: &OpenStore<'_>,
    alias: &Alias,
    mut sealed: Sealed,
    act: impl Fn(&Sealed) -> Result<T, Error>,
) -> Result<T, Error> {
    loop {
        let failure = match act(&sealed) {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        match find(store, alias) {
            Ok((_, now)) if now.id == sealed.id && now.version != sealed.version => sealed = now,
            _ => return Err(failure),
        }
    }
}
