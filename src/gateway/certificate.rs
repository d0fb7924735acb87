//! The machine's certificate and key: fetched from `vmafdd`, checked, presented to TLS clients.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::api::vecs::{Entry, EntryKey, entry, entry_key};
use crate::base::{Secret, UnixTime};
use crate::client::{self, Client};
use crate::x509::{self, PrivateKey};

const STORE: &str = "MACHINE_SSL_CERT";
const ALIAS: &str = "__MACHINE_CERT";

/// Why there is no certificate to present; what was presented before stays.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// `vmafdd` does not give it.
    #[error("{STORE}/{ALIAS} cannot be read from vmafdd")]
    Vecs(#[from] client::Error),
    /// What is stored is no certificate or no key.
    #[error(
        "what is stored as {STORE}/{ALIAS} cannot be used; replace it and send SIGHUP, or restart the gateway"
    )]
    Content(#[from] x509::Error),
    /// The key is of a kind that TLS does not know.
    #[error("the key of {STORE}/{ALIAS} cannot be used for TLS; replace certificate and key")]
    Key(#[source] rustls::Error),
    /// The key belongs to another certificate.
    #[error("the key of {STORE}/{ALIAS} does not belong to its certificate; replace both together")]
    Mismatch,
}

/// A certificate with its chain and its key, ready to be presented.
pub(super) struct Identity {
    key: Arc<CertifiedKey>,
    /// Until when the certificate is valid.
    pub(super) not_after: UnixTime,
    /// Subject, for the log.
    pub(super) subject: String,
}

/// Reads certificate and key. Reading the key leaves a record in the journal of `vmafdd`.
pub(super) fn fetch(vecs: &Client) -> Result<Identity, Error> {
    let stored: Entry = vecs.get(&entry(STORE, ALIAS))?;
    let chain = x509::certificates_from_pem(stored.pem.as_bytes())?;
    let leaf = chain
        .first()
        .ok_or_else(|| x509::Error::NoPem("there is no certificate".into()))?;
    let stored: EntryKey = vecs.post(&entry_key(STORE, ALIAS), &serde_json::json!({}))?;
    let pem = Secret::new(stored.key.expose_secret().as_bytes().to_vec());
    drop(stored);
    let key = PrivateKey::from_pem(&pem)?;
    if *key.public_key() != leaf.public_key()? {
        return Err(Error::Mismatch);
    }
    let pkcs8 = key.to_pkcs8_der();
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.expose_secret()));
    let signing = rustls::crypto::aws_lc_rs::sign::any_supported_type(&der).map_err(Error::Key)?;
    Ok(Identity {
        not_after: leaf.not_after(),
        subject: leaf.subject().to_text(),
        // Exactly as stored: nothing is left out, added or put into another order.
        key: Arc::new(CertifiedKey::new(
            chain
                .iter()
                .map(|certificate| CertificateDer::from(certificate.as_der().to_vec()))
                .collect(),
            signing,
        )),
    })
}

/// What TLS clients are shown now. Connections under way keep what they were shown.
#[derive(Debug, Default)]
pub(super) struct Presented(RwLock<Option<Arc<CertifiedKey>>>);

impl Presented {
    pub(super) fn replace(&self, identity: Identity) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(identity.key);
    }
}

impl ResolvesServerCert for Presented {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
