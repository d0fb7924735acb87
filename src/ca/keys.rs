//! Keys of the CA: which one is used, and how a new one comes to be.

use serde_json::json;

use super::authority::Authority;
use super::error::Error;
use super::records::{self, CaKey};
use crate::base::{Actor, KeyAlgorithm, Secret, sentences};
use crate::journal::{self, Event, Outcome};
use crate::store::Transaction;
use crate::x509::PublicKey;

/// Where keys are made and CA certificates signed: a process apart, in administrative mode, because
/// the token of a serving process is read-only and signs no CA certificate.
pub trait Workshop: Send + Sync {
    /// Makes a key pair for signing inside the CA token, never extractable, durable on return.
    ///
    /// # Errors
    /// What the token says; then there may be a key that nobody knows, and that signs nothing.
    fn generate(
        &self,
        label: &str,
        algorithm: KeyAlgorithm,
    ) -> Result<hsm::KeyReference, hsm::Error>;

    /// Brings a private key (PKCS#8, DER) into the CA token, where it stays marked as imported.
    ///
    /// # Errors
    /// What the token says.
    fn import(&self, label: &str, pkcs8: &Secret) -> Result<hsm::KeyReference, hsm::Error>;

    /// Has a key sign a CA certificate for itself (TBSCertificate, DER). The serving token refuses
    /// that. The signature has been verified with the key's public key.
    ///
    /// # Errors
    /// What the policy of administrative mode or the token says; then there is no signature.
    fn sign_ca_certificate(
        &self,
        key: &hsm::KeyReference,
        tbs: &[u8],
    ) -> Result<Vec<u8>, hsm::Error>;

    /// Writes a CA certificate (DER) of a key down, durably, for the policy of the serving token,
    /// which lets the key sign only below certificates that are written down. One that is written
    /// down already is not asked of the token again.
    ///
    /// # Errors
    /// What the token says, or why nothing could be written; then nothing is written down.
    fn record_issuer(&self, key: &hsm::KeyReference, certificate: &[u8]) -> Result<(), hsm::Error>;
}

/// Which key a CA certificate or request is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyChoice {
    /// The active CA's key. Without a CA: a key that was made for one earlier and is of the
    /// configured kind, else a new one.
    Present,
    /// A new key of the active CA's kind, or of the configured kind without a CA.
    New,
    /// A new key of this kind.
    NewOf(KeyAlgorithm),
}

/// How a key gets into the token.
enum Origin<'a> {
    Made(KeyAlgorithm),
    Imported(&'a Secret),
}

impl Authority {
    /// The key that was chosen, made if need be. Only under `changing`.
    pub(super) fn key(&self, choice: KeyChoice, actor: &Actor) -> Result<CaKey, Error> {
        let active = self.active().ok();
        let configured = self.settings.key_algorithm;
        let algorithm = match (choice, &active) {
            (KeyChoice::Present, Some(ca)) => {
                return self
                    .store
                    .read(|tx| records::key_of(tx, &ca.public_key))?
                    .ok_or(Error::Fault("the active CA's key is not in the records"));
            }
            (KeyChoice::Present, None) => {
                // Setting up that was cut short, or a request that waits for its certificate, must
                // not leave a new key in the token each time.
                let unused = self.store.read(records::unused_keys)?;
                if let Some(key) = unused.into_iter().find(|key| key.algorithm() == configured) {
                    self.make_visible(&self.token.signing_key(key.reference.clone()))?;
                    return Ok(key);
                }
                configured
            }
            (KeyChoice::New, Some(ca)) => ca.public_key.algorithm(),
            (KeyChoice::New, None) => configured,
            (KeyChoice::NewOf(algorithm), _) => algorithm,
        };
        self.bring_in(&Origin::Made(algorithm), actor)
    }

    /// Brings a key that lay in a file into the token. Only under `changing`.
    pub(super) fn import_key(&self, pkcs8: &Secret, actor: &Actor) -> Result<CaKey, Error> {
        self.bring_in(&Origin::Imported(pkcs8), actor)
    }

    /// Sees to it that the serving sessions know a key. Whoever made it may have died, or have found
    /// the token gone, before they could learn of it.
    pub(super) fn make_visible(&self, key: &hsm::SigningKey) -> Result<(), Error> {
        if key.check().is_err() {
            self.token.reload().map_err(Error::Token)?;
        }
        Ok(())
    }

    fn bring_in(&self, origin: &Origin<'_>, actor: &Actor) -> Result<CaKey, Error> {
        let count = self.store.read(records::count_keys)?;
        // The time keeps an attempt that failed apart from the one that follows it.
        let label = format!("vmca-{}-{}", count + 1, self.clock.now());
        let (act, imported) = match origin {
            Origin::Made(_) => ("ca-key.generate", false),
            Origin::Imported(_) => ("ca-key.import", true),
        };
        self.record_key_act(act, &label, actor, Outcome::Intended, None)?;
        let made = match origin {
            Origin::Made(algorithm) => self.workshop.generate(&label, *algorithm),
            Origin::Imported(pkcs8) => self.workshop.import(&label, pkcs8),
        };
        let key = made
            .map_err(Error::Workshop)
            .and_then(|reference| {
                Ok(CaKey {
                    public_key: PublicKey::from_spki_der(&reference.public_key)
                        .map_err(Error::Building)?,
                    reference,
                    imported,
                })
            })
            .inspect_err(|failure| {
                let written = self.record_key_act(
                    act,
                    &label,
                    actor,
                    Outcome::Failed,
                    Some(json!({ "failure": sentences(failure) })),
                );
                if let Err(cause) = written {
                    tracing::error!(cause = sentences(&cause), "a failure is not recorded");
                }
            })?;
        let (record, at, actor) = (key.clone(), self.clock.now(), actor.clone());
        self.write_outcome(move |tx| {
            records::insert_key(tx, &record, &label, at)?;
            let details = json!({
                "key": record.reference.id.to_string(),
                "algorithm": record.algorithm().to_string(),
                "imported": record.imported,
            });
            Ok(append(tx, &actor, act, &label, Outcome::Done, details, at)?)
        })?;
        // The serving sessions see the key only after the module has been initialised again.
        self.token.reload().map_err(Error::Token)?;
        Ok(key)
    }

    fn record_key_act(
        &self,
        act: &'static str,
        label: &str,
        actor: &Actor,
        outcome: Outcome,
        details: Option<serde_json::Value>,
    ) -> Result<(), Error> {
        let (label, actor, at) = (label.to_owned(), actor.clone(), self.clock.now());
        let details = details.unwrap_or_else(|| json!({}));
        self.store.write(move |tx| Ok(append(tx, &actor, act, &label, outcome, details, at)?))
    }
}

fn append(
    tx: &mut Transaction<'_>,
    actor: &Actor,
    act: &'static str,
    label: &str,
    outcome: Outcome,
    details: serde_json::Value,
    at: crate::base::UnixTime,
) -> Result<(), crate::store::Error> {
    journal::append(tx, &Event { at, actor, act, reference: label, outcome, details })
}
