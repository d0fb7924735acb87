//! The machine's certificate: fetched from `vmafdd`, checked, presented to TLS clients. Its key stays in the
//! token, or is fetched as well where the configuration wants that.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SigningKey};

use super::token_key::{Signatures, TokenKey};
use crate::api::vecs::{Entry, EntryKey, entry, entry_key};
use crate::base::{Secret, UnixTime};
use crate::client::{self, Client};
use crate::x509::{self, Certificate, PrivateKey};

pub(super) const STORE: &str = "MACHINE_SSL_CERT";
pub(super) const ALIAS: &str = "__MACHINE_CERT";

/// Why there is no certificate to present; what was presented before stays.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// `vmafdd` does not give it.
    #[error("{STORE}/{ALIAS} cannot be read from vmafdd")]
    Vecs(#[from] client::Error),
    /// The key is there, and does not sign.
    #[error(
        "the key of {STORE}/{ALIAS} does not sign in its token; see the health of vmafdd. Where the token \
         cannot sign with such a key at all, replace certificate and key, or write key = \"memory\" below \
         [gateway] in sealwright.toml and restart the gateway"
    )]
    Signing(#[source] client::Error),
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

/// Reads the certificate and proves the key in the token, or without `signatures` reads the key as well,
/// which leaves a record in the journal of `vmafdd`.
pub(super) fn fetch(
    vecs: &Client,
    signatures: Option<&Arc<Signatures>>,
) -> Result<Identity, Error> {
    let stored: Entry = vecs.get(&entry(STORE, ALIAS))?;
    let chain = x509::certificates_from_pem(stored.pem.as_bytes())?;
    let leaf = chain.first().ok_or_else(|| x509::Error::NoPem("there is no certificate".into()))?;
    let key: Arc<dyn SigningKey> = match signatures {
        Some(signatures) => {
            Arc::new(TokenKey::prove(signatures, leaf.public_key()?).map_err(Error::Signing)?)
        }
        None => key_in_memory(vecs, leaf)?,
    };
    Ok(Identity {
        not_after: leaf.not_after(),
        subject: leaf.subject().to_text(),
        // Exactly as stored: nothing is left out, added or put into another order.
        key: Arc::new(CertifiedKey::new(
            chain
                .iter()
                .map(|certificate| CertificateDer::from(certificate.as_der().to_vec()))
                .collect(),
            key,
        )),
    })
}

fn key_in_memory(vecs: &Client, leaf: &Certificate) -> Result<Arc<dyn SigningKey>, Error> {
    let stored: EntryKey = vecs.post(&entry_key(STORE, ALIAS), &serde_json::json!({}))?;
    let pem = Secret::new(stored.key.expose_secret().as_bytes().to_vec());
    drop(stored);
    let key = PrivateKey::from_pem(&pem)?;
    if *key.public_key() != leaf.public_key()? {
        return Err(Error::Mismatch);
    }
    let pkcs8 = key.to_pkcs8_der();
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.expose_secret()));
    rustls::crypto::aws_lc_rs::sign::any_supported_type(&der).map_err(Error::Key)
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
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Error, Identity, fetch};
    use crate::api::vecs::{Entry, EntryKey, EntryType};
    use crate::api::{KeyText, Kind, Problem};
    use crate::client::Client;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;
    use std::path::Path;
    use std::process::Command;
    use std::time::Duration;

    /// Makes a self-signed certificate and its key.
    fn openssl(folder: &Path, name: &str) -> (String, String) {
        let place = |end| folder.join(format!("{name}.{end}"));
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-nodes",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
            ])
            .args(["-days", "2", "-subj", &format!("/CN={name}"), "-out"])
            .arg(place("crt"))
            .arg("-keyout")
            .arg(place("key"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let text = |end| std::fs::read_to_string(place(end)).unwrap();
        (text("crt"), text("key"))
    }

    /// Fetches from a `vmafdd` that gives these answers, one after the other.
    fn fetched(folder: &Path, answers: Vec<(u16, String)>) -> Result<Identity, Error> {
        let socket = folder.join("vmafdd.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let server = std::thread::spawn(move || {
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = Vec::new();
                // To the end of the request: the empty object is the only body that is sent.
                while !(asked.ends_with(b"\r\n\r\n") && asked.starts_with(b"GET")
                    || asked.ends_with(b"{}"))
                {
                    let mut octets = [0; 4096];
                    let amount = stream.read(&mut octets).unwrap();
                    assert_ne!(amount, 0, "the request ended early");
                    asked.extend_from_slice(&octets[..amount]);
                }
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
                );
                stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
            }
        });
        let result = fetch(&Client::new(&socket, Duration::from_secs(10)), None);
        server.join().unwrap();
        std::fs::remove_file(socket).unwrap();
        result
    }

    fn stored(certificates: &str, key: &str) -> Vec<(u16, String)> {
        let entry = Entry {
            alias: "__MACHINE_CERT".to_owned(),
            entry_type: EntryType::PrivateKey,
            pem: certificates.to_owned(),
        };
        let key = EntryKey { key: KeyText::new(key.to_owned().into()) };
        vec![
            (200, serde_json::to_string(&entry).unwrap()),
            (200, serde_json::to_string(&key).unwrap()),
        ]
    }

    #[test]
    fn the_chain_is_presented_as_it_is_stored() {
        let folder = tempfile::tempdir().unwrap();
        let (leaf, key) = openssl(folder.path(), "leaf");
        let (other, _) = openssl(folder.path(), "other");
        let identity = fetched(folder.path(), stored(&format!("{leaf}{other}"), &key)).unwrap();
        assert_eq!(identity.subject, "CN=leaf");
        let expected =
            crate::x509::certificates_from_pem(format!("{leaf}{other}").as_bytes()).unwrap();
        let presented: Vec<&[u8]> = identity.key.cert.iter().map(AsRef::as_ref).collect();
        assert_eq!(presented, [expected[0].as_der(), expected[1].as_der()]);
        identity.key.keys_match().unwrap();
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (leaf, _) = openssl(folder.path(), "leaf");
        let (_, foreign) = openssl(folder.path(), "other");
        let refusal = fetched(folder.path(), stored(&leaf, &foreign)).err().unwrap();
        assert!(matches!(refusal, Error::Mismatch), "{refusal}");
    }

    #[test]
    fn a_missing_entry_is_the_answer_of_vmafdd() {
        let folder = tempfile::tempdir().unwrap();
        let problem =
            Problem { kind: Kind::NotFound, code: 4312, detail: "no such entry".to_owned() };
        let answers = vec![(404, serde_json::to_string(&problem).unwrap())];
        let refusal = fetched(folder.path(), answers).err().unwrap();
        assert!(matches!(refusal, Error::Vecs(_)), "{refusal}");
    }
}
