//! How anything comes to be signed: intent durable, sign exactly those octets, outcome durable.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use super::authority::Authority;
use super::error::Error;
use super::hex::hex;
use super::records::{self, NewDraft};
use crate::base::{Actor, UnixTime, sentences};
use crate::journal::{self, Event, Outcome};
use crate::store::Transaction;
use crate::x509::{self, Draft, serial_from_random};

/// Serial numbers that the token is asked for at a time.
const SERIALS: usize = 64;

/// What the CA key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A certificate for an end entity.
    Leaf,
    /// A self-signed CA certificate.
    Root,
    /// A request for a CA certificate.
    CaRequest,
    /// A revocation list.
    Crl,
}

impl Purpose {
    /// The word in the records.
    const fn kind(self) -> &'static str {
        match self {
            Self::Leaf => "leaf",
            Self::Root => "root",
            Self::CaRequest => "ca-request",
            Self::Crl => "crl",
        }
    }

    /// The word to the token.
    const fn in_token_words(self) -> hsm::Purpose {
        match self {
            Self::Leaf => hsm::Purpose::Certificate,
            Self::Root => hsm::Purpose::CaCertificate,
            Self::CaRequest => hsm::Purpose::Possession,
            Self::Crl => hsm::Purpose::Crl,
        }
    }

    /// The act in the journal.
    pub(super) const fn act(self) -> &'static str {
        match self {
            Self::Leaf => "certificate.issue",
            Self::Root => "ca.self-sign",
            Self::CaRequest => "ca.request",
            Self::Crl => "crl.sign",
        }
    }
}

/// A signature that is wanted. Nothing is durable yet.
pub(super) struct Plan {
    pub(super) purpose: Purpose,
    pub(super) draft: Draft,
    pub(super) key: hsm::SigningKey,
    pub(super) authority: Option<i64>,
    pub(super) serial: Option<String>,
    pub(super) crl_number: Option<i64>,
    pub(super) actor: Actor,
    pub(super) at: UnixTime,
    pub(super) details: Map<String, Value>,
}

/// A draft whose intent is written down; durable once its transaction is. It is consumed by the one
/// signature that it stands for.
pub(super) struct Intent {
    purpose: Purpose,
    record: Record,
    draft: Draft,
    key: hsm::SigningKey,
}

impl Intent {
    /// The octets to sign.
    pub(super) fn message(&self) -> &[u8] {
        self.draft.tbs()
    }
}

/// What an outcome needs to know about its intent.
struct Record {
    id: i64,
    act: &'static str,
    reference: String,
    actor: Actor,
    details: Map<String, Value>,
}

/// A verified signature over a draft. Its outcome must be written down before anything leaves.
pub(super) struct Signed {
    record: Record,
}

impl Plan {
    /// Writes down the draft and the intent to sign it.
    pub(super) fn intend(self, tx: &mut Transaction<'_>) -> Result<Intent, crate::store::Error> {
        let key_id = self.key.reference().id;
        let tbs_sha256 = hex(digest(&SHA256, self.draft.tbs()).as_ref());
        let id = records::insert_draft(
            tx,
            &NewDraft {
                kind: self.purpose.kind(),
                key_id,
                authority: self.authority,
                serial: self.serial,
                crl_number: self.crl_number,
                tbs: self.draft.tbs().to_vec(),
                signature_algorithm: self.draft.signature_algorithm().to_vec(),
                at: self.at,
            },
        )?;
        let mut details = self.details;
        details.insert("key".to_owned(), json!(key_id.to_string()));
        details.insert("tbs_sha256".to_owned(), json!(tbs_sha256));
        let record = Record {
            id,
            act: self.purpose.act(),
            reference: format!("draft:{id}"),
            actor: self.actor,
            details,
        };
        record.append(tx, self.at, Outcome::Intended)?;
        Ok(Intent { purpose: self.purpose, record, draft: self.draft, key: self.key })
    }
}

impl Record {
    fn append(
        &self,
        tx: &mut Transaction<'_>,
        at: UnixTime,
        outcome: Outcome,
    ) -> Result<(), crate::store::Error> {
        journal::append(
            tx,
            &Event {
                at,
                actor: &self.actor,
                act: self.act,
                reference: &self.reference,
                outcome,
                details: Value::Object(self.details.clone()),
            },
        )
    }
}

impl Signed {
    /// Number of the draft.
    pub(super) const fn draft_id(&self) -> i64 {
        self.record.id
    }

    /// Writes down that the draft was signed; the same transaction keeps what was signed.
    pub(super) fn conclude(&self, tx: &mut Transaction<'_>, at: UnixTime) -> Result<(), Error> {
        if !records::conclude_draft(tx, self.record.id, true)? {
            return Err(Error::Fault("a draft was signed that had ended before"));
        }
        Ok(self.record.append(tx, at, Outcome::Done)?)
    }
}

impl Authority {
    /// Has the token sign a draft whose intent is durable; a CA certificate is signed in the key
    /// workshop. `read` turns the signed octets into a value and verifies it with the issuer's public
    /// key; what it refuses is never released. (Leaves are only read: `hsm::SigningKey` has verified
    /// each signature over exactly these octets.)
    ///
    /// A failure is written down before it is returned.
    pub(super) fn sign<T>(
        &self,
        intent: Intent,
        read: impl FnOnce(&[u8]) -> Result<T, x509::Error>,
    ) -> Result<(Signed, T), Error> {
        let (key, message) = (&intent.key, intent.message());
        let signature = match intent.purpose {
            Purpose::Root => self.workshop.sign_ca_certificate(key.reference(), message),
            purpose => key.sign(purpose.in_token_words(), message),
        };
        self.conclude(intent, signature, read)
    }

    /// Puts a signature beside the draft that it is for, or writes down why there is none.
    pub(super) fn conclude<T>(
        &self,
        intent: Intent,
        signature: Result<Vec<u8>, hsm::Error>,
        read: impl FnOnce(&[u8]) -> Result<T, x509::Error>,
    ) -> Result<(Signed, T), Error> {
        let Intent { mut record, draft, .. } = intent;
        let result = signature.map_err(Error::Token).and_then(|signature| {
            let signed = draft.assemble(&signature);
            let sha256 = json!(hex(digest(&SHA256, &signed).as_ref()));
            record.details.insert("sha256".to_owned(), sha256);
            read(&signed).map_err(Error::Building)
        });
        if let Some(token) = self.token.identity() {
            let serial = json!(token.serial);
            record.details.insert("token_serial".to_owned(), serial);
        }
        match result {
            Ok(value) => Ok((Signed { record }, value)),
            Err(failure) => {
                self.record_failure(record, &failure);
                self.look_into(&failure);
                Err(failure)
            }
        }
    }

    fn record_failure(&self, mut record: Record, failure: &Error) {
        let at = self.clock.now();
        let reason = json!(sentences(failure));
        record.details.insert("failure".to_owned(), reason);
        let reference = record.reference.clone();
        let written = self.store.write(move |tx| {
            records::conclude_draft(tx, record.id, false)?;
            record.append(tx, at, Outcome::Failed)
        });
        if let Err(cause) = written {
            // The intent stays without an outcome, and that is what the standing will say.
            self.unfinished.fetch_add(1, Ordering::Relaxed);
            tracing::error!(reference, cause = sentences(&cause), "a failure is not recorded");
        }
    }

    /// Writes an outcome. Where that fails the signature exists, is not released, and its intent
    /// is counted as unfinished.
    pub(super) fn write_outcome<T: Send + 'static>(
        &self,
        body: impl FnOnce(&mut Transaction<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.store.write(body).inspect_err(|cause| self.unwritten(cause))
    }

    /// The same for several outcomes.
    pub(super) fn write_outcomes<T: Send + 'static>(
        &self,
        bodies: Vec<impl FnOnce(&mut Transaction<'_>) -> Result<T, Error> + Send + 'static>,
    ) -> Vec<Result<T, Error>> {
        let written = self.store.write_each(bodies);
        written.iter().filter_map(|one| one.as_ref().err()).for_each(|cause| self.unwritten(cause));
        written
    }

    fn unwritten(&self, cause: &Error) {
        self.unfinished.fetch_add(1, Ordering::Relaxed);
        let cause = sentences(cause);
        tracing::error!(cause, "an outcome is not recorded; nothing was released");
    }

    /// A serial number: 16 octets from the token, made positive (RFC 5280, 4.1.2.2). It is asked for
    /// many at a time.
    pub(super) fn new_serial(&self) -> Result<[u8; 16], Error> {
        let mut serials = self.serials.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(serial) = serials.pop() {
            return Ok(serial);
        }
        let mut octets = [0; 16 * SERIALS];
        let random = self.token.random(&mut octets).map_err(Error::Token);
        random.inspect_err(|failure| self.look_into(failure))?;
        serials.extend(octets.as_chunks::<16>().0.iter().copied().map(serial_from_random));
        serials.pop().ok_or(Error::Fault("no serial number was drawn"))
    }
}
