//! Entries whose key is made in the token, in two steps, because a certificate must come in between.
//!
//! First the token makes the key pair and signs a request for a certificate with it; the wrapped key waits in a
//! row of its own, which nobody sees but who had it made. Then its certificate makes an entry of it. A key that
//! nobody completes in time is destroyed with its row. Whatever happens to the caller, the CA or this service
//! in between: there is a whole entry, or none.

use serde_json::json;

use super::entries::{EntryKind, WritableStore, certificates_of, taken};
use super::limits::{Additions, NewPendingOf};
use super::names::{Alias, hex};
use super::records::{self, Inserted, NewRow, PendingRow};
use super::stores::Note;
use super::{Error, Vecs};
use crate::base::{Actor, KeyAlgorithm, SignatureScheme, UnixTime};
use crate::journal::Outcome;
use crate::store::{self, Transaction};
use crate::x509::{AlternativeNames, Csr, CsrTemplate, KeyUsage, Name, PublicKey, draft_csr};

/// The act in the journal: intended when the first step begins, done with the second.
const GENERATE: &str = "entry.generate";

/// How long a key waits for its certificate, in seconds.
pub const PENDING_SECONDS: UnixTime = 15 * 60;

/// The use that certool asks for; VMCA decides.
const REQUESTED_USAGE: KeyUsage = KeyUsage {
    digital_signature: true,
    non_repudiation: true,
    key_encipherment: true,
    data_encipherment: false,
    key_agreement: false,
    key_cert_sign: false,
    crl_sign: false,
};

/// A key that is to be made, and what its request says.
#[derive(Debug)]
pub struct NewKey {
    /// Alias of the entry to be.
    pub alias: Alias,
    /// Kind of the key.
    pub algorithm: KeyAlgorithm,
    /// Subject of the request.
    pub subject: Name,
    /// Alternative names of the request.
    pub alternative_names: AlternativeNames,
}

/// Names a key that waits for its certificate. Only who had the key made can do anything with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket([u8; 16]);

impl Ticket {
    /// Reads what [`Self::to_text`] wrote.
    ///
    /// # Errors
    /// [`Error::NotFound`] for anything else.
    pub fn new(text: &str) -> Result<Self, Error> {
        let digit = |digit: u8| u8::try_from(char::from(digit).to_digit(16)?).ok();
        let octet = |pair: &[u8]| match *pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        };
        let octets: Option<Vec<u8>> = text.as_bytes().chunks(2).map(octet).collect();
        octets.and_then(|octets| octets.try_into().ok()).map(Self).ok_or_else(not_pending)
    }

    /// Hex.
    pub fn to_text(self) -> String {
        hex(&self.0)
    }
}

/// The certificates that complete a key.
#[derive(Clone)]
struct Certified {
    /// SubjectPublicKeyInfo of the first one, DER.
    public_key: Vec<u8>,
    pem: String,
    sha256: Vec<String>,
}

enum Completed {
    Entry(Alias),
    /// Nothing was changed, because the key is sealed under keys that are not active any more.
    Superseded(PendingRow),
}

impl WritableStore<'_> {
    /// Makes a key pair in the token and a request for its certificate, signed by it.
    ///
    /// # Errors
    /// [`Error::Exists`] when the alias is taken, in whatever case; [`Error::Limit`] when too many keys wait;
    /// [`Error::Token`] and others when the token does not make the key; [`Error::Material`] when a request
    /// cannot say this. There is no key then.
    pub fn generate(&self, new: &NewKey) -> Result<(Ticket, Csr), Error> {
        let (vecs, store, name) = (self.0.vecs, self.0.id, self.0.name.clone());
        vecs.end_pending()?;
        if vecs.store.read(|tx| records::entry(tx, store, &new.alias))?.is_some() {
            return Err(taken(&name.to_string(), &new.alias));
        }
        let row = PendingRow {
            store: (store, name),
            alias: new.alias.clone(),
            maker: self.0.uid,
            expires_at: vecs.clock.now() + PENDING_SECONDS,
            number: vecs.envelope.new_number()?,
            key: None,
        };
        self.intend(&row, new.algorithm)?;
        let made = self.make(&row, new);
        if let Err(failure) = &made {
            vecs.look_into(failure);
            let (why, now, actor) = (failure.sentence(), vecs.clock.now(), self.0.actor.clone());
            vecs.store.write(move |tx| end(tx, &row, now, actor, &why))?;
        }
        made
    }

    fn intend(&self, row: &PendingRow, algorithm: KeyAlgorithm) -> Result<(), Error> {
        let note = note(row, self.0.vecs.clock.now(), self.0.actor.clone());
        let (row, gone) = (row.clone(), self.0.gone());
        let room = NewPendingOf::maker(row.maker, self.0.bounded);
        self.0.vecs.store.write(move |tx| {
            if records::store_by_id(tx, row.store.0)?.is_none() {
                return Err(gone);
            }
            room.check(tx)?;
            records::insert_pending(tx, &row)?;
            note.append(tx, Outcome::Intended, json!({"algorithm": algorithm.to_string()}))?;
            Ok(())
        })
    }

    /// Once more where the sealing keys were changed meanwhile: a large RSA key takes seconds, and nobody has
    /// seen the first one.
    fn make(&self, row: &PendingRow, new: &NewKey) -> Result<(Ticket, Csr), Error> {
        self.0.vecs.envelope.generations.under_active(|| self.make_once(row, new))
    }

    /// `None`: nothing was kept, because the key is sealed under keys that are not active any more.
    fn make_once(&self, row: &PendingRow, new: &NewKey) -> Result<Option<(Ticket, Csr)>, Error> {
        let (vecs, store) = (self.0.vecs, row.store.0);
        let (sealed, public_key) = {
            // A token makes an RSA key in seconds: whoever does not administer waits for the others like him,
            // so that all of them together keep the token busy once.
            let _turn = self.0.bounded.then(|| vecs.envelope.turn());
            vecs.envelope.generate(store, &row.alias, row.number, new.algorithm)?
        };
        let public_key = PublicKey::from_spki_der(&public_key).map_err(Error::Material)?;
        let draft = draft_csr(&CsrTemplate {
            subject: new.subject.clone(),
            public_key: public_key.clone(),
            alternative_names: new.alternative_names.clone(),
            key_usage: Some(REQUESTED_USAGE),
            ca: false,
        })
        .map_err(Error::Material)?;
        let signature = vecs.envelope.sign(
            store,
            &row.alias,
            &sealed,
            hsm::Purpose::Possession,
            SignatureScheme::usual(public_key.algorithm()),
            draft.tbs(),
        )?;
        // Reading a request verifies its signature.
        let csr = Csr::from_der(&draft.assemble(&signature)).map_err(Error::Material)?;
        let kept = vecs.store.write::<_, Error>(move |tx| {
            if records::is_superseded(tx, &sealed.octets)? {
                return Ok(Inserted::Superseded);
            }
            if !records::set_pending_key(tx, &sealed, public_key.as_der())? {
                return Err(Error::NotFound("the key took too long to make; try again".to_owned()));
            }
            Ok(Inserted::Yes)
        })?;
        Ok((kept == Inserted::Yes).then_some((Ticket(row.number), csr)))
    }

    /// Makes the entry of a key that waits, with its certificates (PEM, its own first).
    ///
    /// # Errors
    /// [`Error::NotFound`] when no such key of this caller waits; [`Error::KeyMismatch`] when the certificate is
    /// for another key; [`Error::Exists`] when the alias was taken meanwhile; [`Error::Limit`] when the store is
    /// full for this caller. The key goes on waiting then.
    pub fn complete(&self, ticket: Ticket, certificates: &str) -> Result<Alias, Error> {
        let certificates = certificates_of(certificates)?;
        let first = certificates.first().ok_or(Error::KeyMismatch)?;
        let certified = first.public_key().map_err(Error::Material)?;
        let certified = Certified {
            public_key: certified.as_der().to_vec(),
            pem: certificates.iter().map(|certificate| certificate.to_pem()).collect(),
            sha256: certificates.iter().map(|certificate| hex(&certificate.sha256())).collect(),
        };
        loop {
            match self.insert_completed(ticket, certified.clone())? {
                Completed::Entry(alias) => return Ok(alias),
                // The keys were changed while it waited: what is sealed under others becomes no entry.
                Completed::Superseded(row) => self.0.vecs.reseal_waiting(&row)?,
            }
        }
    }

    fn insert_completed(&self, ticket: Ticket, certified: Certified) -> Result<Completed, Error> {
        let (vecs, store) = (self.0.vecs, self.0.id);
        let Certified { public_key: certified, pem, sha256 } = certified;
        let (now, actor, maker) = (vecs.clock.now(), self.0.actor.clone(), self.0.uid);
        let room = Additions::to(&self.0);
        vecs.store.write(move |tx| {
            let row = waiting(tx, store, ticket, maker, now)?;
            let Some((sealed, public_key)) = &row.key else {
                return Err(not_pending());
            };
            if certified != *public_key {
                return Err(Error::KeyMismatch);
            }
            if records::entry(tx, store, &row.alias)?.is_some() {
                return Err(taken(row.store.1.as_str(), &row.alias));
            }
            room.check_entry(tx, pem.len() + sealed.octets.len())?;
            let inserted = records::insert_entry(
                tx,
                &NewRow {
                    store,
                    alias: &row.alias,
                    kind: EntryKind::PrivateKey,
                    pem: &pem,
                    auto_refresh: false,
                    created_at: now,
                    sealed: Some(sealed),
                },
            )?;
            if inserted == Inserted::Superseded {
                return Ok(Completed::Superseded(row));
            }
            records::delete_pending(tx, &row.number)?;
            let details = json!({"certificates": sha256});
            note(&row, now, actor).append(tx, Outcome::Done, details)?;
            Ok(Completed::Entry(row.alias))
        })
    }

    /// Destroys a key that waits. Returns whether there was one.
    pub fn abandon(&self, ticket: Ticket) -> Result<bool, Error> {
        let (vecs, store) = (self.0.vecs, self.0.id);
        let (now, actor, maker) = (vecs.clock.now(), self.0.actor.clone(), self.0.uid);
        vecs.store.write(move |tx| match waiting(tx, store, ticket, maker, now) {
            Ok(row) => {
                end(tx, &row, now, actor, "given up before there was a certificate")?;
                Ok(true)
            }
            Err(Error::NotFound(_)) => Ok(false),
            Err(failure) => Err(failure),
        })
    }
}

impl Vecs {
    /// Destroys keys that waited too long. Those of a process that died go the same way.
    ///
    /// # Errors
    /// [`Error::Store`] when the records cannot be written.
    pub fn end_pending(&self) -> Result<(), Error> {
        let now = self.clock.now();
        if self.store.read(|tx| records::expired_pending(tx, now))?.is_empty() {
            return Ok(());
        }
        self.store.write(move |tx| {
            for row in records::expired_pending(tx, now)? {
                end(tx, &row, now, Actor::Job("pending keys"), "no certificate came in time")?;
            }
            Ok(())
        })
    }
}

/// Ends what waits in a store that is being deleted.
pub(super) fn end_all_of(
    tx: &mut Transaction<'_>,
    store: i64,
    now: UnixTime,
    actor: &Actor,
) -> Result<(), store::Error> {
    for row in records::pending_of_store(tx, store)? {
        end(tx, &row, now, actor.clone(), "the store was deleted")?;
    }
    Ok(())
}

/// Destroys a key with its row, and says so in the journal.
pub(super) fn end(
    tx: &mut Transaction<'_>,
    row: &PendingRow,
    now: UnixTime,
    actor: Actor,
    why: &str,
) -> Result<(), store::Error> {
    if records::delete_pending(tx, &row.number)? {
        note(row, now, actor).append(tx, Outcome::Failed, json!({"failure": why}))?;
    }
    Ok(())
}

fn waiting(
    tx: &mut Transaction<'_>,
    store: i64,
    ticket: Ticket,
    maker: u32,
    now: UnixTime,
) -> Result<PendingRow, Error> {
    records::pending(tx, &ticket.0)?
        .filter(|row| row.store.0 == store && row.maker == maker && row.expires_at > now)
        .ok_or_else(not_pending)
}

fn note(row: &PendingRow, at: UnixTime, actor: Actor) -> Note {
    Note::new(at, actor, GENERATE, reference(row))
}

/// How the journal names a key that waits.
pub(super) fn reference(row: &PendingRow) -> String {
    format!("{}/{} key {}", row.store.1, row.alias, hex(&row.number))
}

fn not_pending() -> Error {
    Error::NotFound(format!(
        "no such key of yours waits for a certificate: it waits {} minutes; generate it again",
        PENDING_SECONDS / 60
    ))
}
