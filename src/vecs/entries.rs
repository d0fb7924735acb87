//! Entries: what a new one may be, and what can be done with those that are there.

use super::Error;
use super::envelope::Sealed;
use super::limits::Additions;
use super::names::{Alias, hex};
use super::records::{self, Inserted, NewRow};
use super::stores::{Note, OpenStore};
use crate::base::Secret;
use crate::journal::Outcome;
use crate::store;
use crate::x509::{self, Certificate, PrivateKey};

/// The largest secret that is no asymmetric key, in octets.
const LARGEST_SECRET: usize = 64 * 1024;

/// Kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A private key with its certificate chain.
    PrivateKey,
    /// A key or another secret without a certificate.
    SecretKey,
    /// A certificate without a key.
    TrustedCert,
    /// A certificate revocation list.
    Crl,
}

impl EntryKind {
    /// The original's number.
    pub(super) const fn number(self) -> i64 {
        match self {
            Self::PrivateKey => 1,
            Self::SecretKey => 2,
            Self::TrustedCert => 3,
            Self::Crl => 4,
        }
    }

    pub(super) fn from_number(number: i64) -> Result<Self, store::Error> {
        [Self::PrivateKey, Self::SecretKey, Self::TrustedCert, Self::Crl]
            .into_iter()
            .find(|kind| kind.number() == number)
            .ok_or_else(|| store::Error::Content("an unknown kind of entry".to_owned()))
    }

    /// The label that `vecs-cli` prints.
    pub const fn label(self) -> &'static str {
        match self {
            Self::PrivateKey => "Private Key",
            Self::SecretKey => "Secret Key",
            Self::TrustedCert => "Trusted Cert",
            Self::Crl => "Certification Revocation List",
        }
    }
}

/// An entry without its key.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Alias, as it was given.
    pub alias: Alias,
    /// Kind.
    pub kind: EntryKind,
    /// Certificates in the order of the file, or a revocation list, PEM; empty for a secret key.
    pub pem: String,
}

/// A new entry whose parts were read and belong together.
pub struct NewEntry {
    alias: Alias,
    kind: EntryKind,
    certificates: Vec<Certificate>,
    /// PKCS#8 PEM of a private key, or the text of another secret.
    secret: Option<Secret>,
}

impl NewEntry {
    /// Reads what an administrator gave: certificates (PEM, any number, not checked as a chain), a
    /// private key (unencrypted PEM) or another secret, or both.
    ///
    /// Without an alias the entry gets the SHA-1 of its first certificate.
    ///
    /// # Errors
    /// [`Error::Material`] for what cannot be read, [`Error::KeyMismatch`] when the key is not that
    /// of the first certificate, [`Error::Invalid`] when there is nothing, or no alias for a secret.
    pub fn read(
        alias: Option<&str>,
        certificates: Option<&str>,
        key: Option<&Secret>,
    ) -> Result<Self, Error> {
        let alias = alias.map(Alias::new).transpose()?;
        let certificates = certificates.map(certificates_of).transpose()?.unwrap_or_default();
        let Some(first) = certificates.first() else {
            return Self::secret_key(alias, key);
        };
        Ok(Self {
            kind: match key {
                Some(_) => EntryKind::PrivateKey,
                None => EntryKind::TrustedCert,
            },
            alias: alias.unwrap_or_else(|| Alias::of_fingerprint(&first.sha1())),
            secret: key.map(|key| key_of(key, first)).transpose()?,
            certificates,
        })
    }

    fn secret_key(alias: Option<Alias>, key: Option<&Secret>) -> Result<Self, Error> {
        let Some(key) = key else {
            return Err(Error::Invalid(
                "there is neither a certificate nor a key; give --cert, --key or both".to_owned(),
            ));
        };
        let Some(alias) = alias else {
            return Err(Error::Invalid(
                "an entry without a certificate needs an alias; give --alias".to_owned(),
            ));
        };
        Ok(Self {
            alias,
            kind: EntryKind::SecretKey,
            certificates: Vec::new(),
            secret: Some(key_or_opaque(key)?),
        })
    }

    /// What the entry will be.
    pub const fn kind(&self) -> EntryKind {
        self.kind
    }

    fn pem(&self) -> String {
        self.certificates.iter().map(Certificate::to_pem).collect()
    }

    fn details(&self) -> serde_json::Value {
        let certificates: Vec<String> =
            self.certificates.iter().map(|certificate| hex(&certificate.sha256())).collect();
        serde_json::json!({
            "kind": self.kind.label(),
            "certificates": certificates,
            "key": self.secret.is_some(),
        })
    }
}

/// Certificates as an administrator gave them.
pub(super) fn certificates_of(pem: &str) -> Result<Vec<Certificate>, Error> {
    x509::certificates_from_pem(pem.as_bytes()).map_err(Error::Material)
}

/// The key of this certificate, in the one form in which keys are stored.
fn key_of(key: &Secret, certificate: &Certificate) -> Result<Secret, Error> {
    let key = PrivateKey::from_pem(key).map_err(Error::Material)?;
    if *key.public_key() != certificate.public_key().map_err(Error::Material)? {
        return Err(Error::KeyMismatch);
    }
    Ok(key.to_pkcs8_pem())
}

/// A private key where the text is PEM, any other text as it is. A damaged or encrypted key is not
/// stored as if it were a password.
fn key_or_opaque(text: &Secret) -> Result<Secret, Error> {
    if mentions_pem(text) {
        let key = PrivateKey::from_pem(text).map_err(Error::Material)?;
        return Ok(key.to_pkcs8_pem());
    }
    let octets = text.expose_secret();
    if octets.is_empty() {
        return Err(Error::Invalid("the secret is empty; give a file that holds one".to_owned()));
    }
    if octets.len() > LARGEST_SECRET {
        return Err(Error::Invalid(format!(
            "the secret has {} octets; the most that are stored are {LARGEST_SECRET}",
            octets.len()
        )));
    }
    Ok(Secret::copy_of(octets))
}

fn mentions_pem(text: &Secret) -> bool {
    const BEGIN: &[u8] = b"-----BEGIN";
    text.expose_secret().windows(BEGIN.len()).any(|window| window == BEGIN)
}

/// A store whose entries and certificates may be read.
pub struct ReadableStore<'a>(pub(super) OpenStore<'a>);

impl ReadableStore<'_> {
    /// All entries, in the order of insertion.
    pub fn entries(&self) -> Result<Vec<Entry>, Error> {
        let id = self.0.id;
        Ok(self.0.vecs.store.read(|tx| records::entries(tx, id))?)
    }

    /// One entry.
    ///
    /// # Errors
    /// [`Error::NotFound`] when no entry has the alias, in whatever case.
    pub fn entry(&self, alias: &Alias) -> Result<Entry, Error> {
        let id = self.0.id;
        self.0
            .vecs
            .store
            .read(|tx| records::entry(tx, id, alias))?
            .ok_or_else(|| no_entry(&self.0, alias))
    }
}

/// A store in which entries may be added and deleted.
pub struct WritableStore<'a>(pub(super) OpenStore<'a>);

impl WritableStore<'_> {
    /// Adds an entry and returns its alias. A key is sealed in the token before anything is
    /// written.
    ///
    /// # Errors
    /// [`Error::Exists`] when the alias is taken, in whatever case; [`Error::Token`] or
    /// [`Error::TokenReplaced`] when a key cannot be sealed; [`Error::Limit`] when the store is full
    /// for this caller. Nothing was changed then.
    pub fn create(&self, new: NewEntry) -> Result<Alias, Error> {
        let (vecs, store) = (self.0.vecs, self.0.id);
        // Asked before the token works for nothing, and again where it counts.
        if vecs.store.read(|tx| records::entry(tx, store, &new.alias))?.is_some() {
            return Err(taken(&self.0.name.to_string(), &new.alias));
        }
        let name = self.0.name.to_string();
        let note = self.0.note("entry.create", format!("{name}/{}", new.alias));
        let Some(secret) = &new.secret else {
            // Without a key it is always inserted.
            let _inserted = self.insert(&new, note, None)?;
            return Ok(new.alias);
        };
        vecs.envelope.generations.under_active(|| {
            let sealed = match vecs.envelope.seal(store, &new.alias, secret) {
                Ok(sealed) => sealed,
                Err(failure) => {
                    vecs.look_into(&failure);
                    note.clone().record(vecs, Outcome::Failed)?;
                    return Err(failure);
                }
            };
            Ok(match self.insert(&new, note.clone(), Some(sealed))? {
                Inserted::Yes => Some(new.alias.clone()),
                Inserted::Superseded => None,
            })
        })
    }

    fn insert(
        &self,
        new: &NewEntry,
        note: Note,
        sealed: Option<Sealed>,
    ) -> Result<Inserted, Error> {
        let (store, name) = (self.0.id, self.0.name.to_string());
        let (alias, kind, pem, details) = (new.alias.clone(), new.kind, new.pem(), new.details());
        let (gone, room) = (self.0.gone(), Additions::to(&self.0));
        self.0.vecs.store.write(move |tx| {
            if records::store_by_id(tx, store)?.is_none() {
                return Err(gone);
            }
            if records::entry(tx, store, &alias)?.is_some() {
                return Err(taken(&name, &alias));
            }
            let sealed_octets = sealed.as_ref().map_or(0, |sealed| sealed.octets.len());
            room.check_entry(tx, pem.len() + sealed_octets)?;
            let inserted = records::insert_entry(
                tx,
                &NewRow {
                    store,
                    alias: &alias,
                    kind,
                    pem: &pem,
                    auto_refresh: false,
                    created_at: note.at,
                    sealed: sealed.as_ref(),
                },
            )?;
            if inserted == Inserted::Yes {
                note.append(tx, Outcome::Done, details)?;
            }
            Ok(inserted)
        })
    }

    /// Deletes an entry and returns whether there was one: the original reports success for both.
    pub fn delete(&self, alias: &Alias) -> Result<bool, Error> {
        let (store, alias) = (self.0.id, alias.clone());
        let note = self.0.note("entry.delete", format!("{}/{alias}", self.0.name));
        self.0.vecs.store.write(move |tx| {
            let existed = records::delete_entry(tx, store, &alias)?;
            note.append(tx, Outcome::Done, serde_json::json!({"existed": existed}))?;
            Ok(existed)
        })
    }
}

pub(super) fn taken(store: &str, alias: &Alias) -> Error {
    Error::Exists(format!(
        "store {store} has an entry with alias {alias} already; delete it first, or choose another \
         alias"
    ))
}

pub(super) fn no_entry(store: &OpenStore<'_>, alias: &Alias) -> Error {
    Error::NotFound(format!(
        "store {0} has no entry with alias {alias}; `vecs-cli entry list --store {0}` shows those \
         it has",
        store.name
    ))
}
