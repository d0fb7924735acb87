//! Machines that may have certificates issued: known by their certificates, which the gateway asks for.
//!
//! A certificate is asked for and never demanded. One that the configuration does not name is as good as none, so
//! that it says nothing about whoever shows it; for one that it names, the handshake proves possession of the key.
//! Who signed a certificate does not matter: the configuration names it octet for octet.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime as TlsTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error as TlsError, SignatureScheme};

use crate::api::Vouched;
use crate::base::{ClientName, Fingerprint, UnixTime};
use crate::x509::Certificate;

/// The clients of the configuration.
#[derive(Debug)]
pub(super) struct Clients(BTreeMap<Fingerprint, ClientName>);

impl Clients {
    pub(super) fn new(configured: &BTreeMap<ClientName, Fingerprint>) -> Arc<Self> {
        Arc::new(Self(configured.iter().map(|(name, print)| (*print, name.clone())).collect()))
    }

    /// Whether there are any. Without, nobody is asked for a certificate.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who a connection is from, by what it has shown: in its own handshake, or in that of the session which it
    /// resumes. Sessions live as long as the process, and so does the configuration, so that a certificate that
    /// was nobody's then is nobody's now.
    pub(super) fn peer(&self, shown: Option<&CertificateDer<'_>>) -> Peer {
        let Some(certificate) = shown else {
            return if self.is_empty() { Peer::NotAsked } else { Peer::WithoutCertificate };
        };
        let fingerprint = fingerprint(certificate);
        let Some(name) = self.0.get(&fingerprint) else {
            return Peer::Stranger(fingerprint);
        };
        // rustls reads it as well, to verify what its key has signed.
        if let Err(cause) = ParsedCertificate::try_from(certificate) {
            return Peer::Unreadable(cause.to_string());
        }
        match Certificate::from_der(certificate) {
            Ok(read) => Peer::Client(Client {
                vouched: Vouched { name: name.clone(), fingerprint },
                not_before: read.not_before(),
                not_after: read.not_after(),
            }),
            Err(cause) => Peer::Unreadable(cause.to_string()),
        }
    }
}

fn fingerprint(certificate: &CertificateDer<'_>) -> Fingerprint {
    let mut octets = [0; 32];
    octets.copy_from_slice(digest(&SHA256, certificate).as_ref());
    Fingerprint(octets)
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// There are no clients, so that nobody is asked for a certificate.
    NotAsked,
    /// It showed no certificate.
    WithoutCertificate,
    /// It showed a certificate of no client.
    Stranger(Fingerprint),
    /// It showed a client's certificate that cannot be read, so that it proves nothing.
    Unreadable(String),
    /// It has the key of a client.
    Client(Client),
}

/// A client, and when it may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Client {
    vouched: Vouched,
    not_before: UnixTime,
    not_after: UnixTime,
}

impl Peer {
    /// The client that asks now; or why it is none, and what to do.
    pub(super) fn client(&self, now: UnixTime) -> Result<&Vouched, String> {
        match self {
            Self::NotAsked => Err("certificates are issued to machines of [access.clients] in \
                 sealwright.toml, and there is none; add this machine and restart vmcad and the gateway"
                .to_owned()),
            Self::WithoutCertificate => Err("certificates are issued to machines that show a certificate \
                 of [access.clients] in sealwright.toml; connect with the client's certificate and key"
                .to_owned()),
            Self::Stranger(fingerprint) => Err(format!(
                "the certificate that was shown belongs to no machine of [access.clients] in \
                 sealwright.toml; its SHA-256 is {fingerprint}"
            )),
            Self::Unreadable(cause) => Err(format!(
                "the client's certificate cannot be used ({cause}); make another one, of X.509 version 3, and \
                 put its SHA-256 into [access.clients]"
            )),
            Self::Client(client) if now < client.not_before => Err(format!(
                "the certificate of client {} is not valid yet; set the clocks, or wait",
                client.vouched.name
            )),
            Self::Client(client) if now > client.not_after => Err(format!(
                "the certificate of client {} has expired; make another one, and put its SHA-256 into \
                 [access.clients]",
                client.vouched.name
            )),
            Self::Client(client) => Ok(&client.vouched),
        }
    }
}

/// Asks for a certificate and takes any; proves possession where it is a client's.
#[derive(Debug)]
pub(super) struct Asking {
    clients: Arc<Clients>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Asking {
    pub(super) fn new(clients: Arc<Clients>, algorithms: WebPkiSupportedAlgorithms) -> Self {
        Self { clients, algorithms }
    }

    /// Who shows somebody else's certificate, or one that we do not understand, is served as everybody is. There
    /// is nothing to prove then, and parsers see less of what strangers send.
    fn prove(
        &self,
        certificate: &CertificateDer<'_>,
        proof: impl FnOnce() -> Result<HandshakeSignatureValid, TlsError>,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        match self.clients.peer(Some(certificate)) {
            Peer::Client(_) => proof(),
            Peer::NotAsked | Peer::WithoutCertificate | Peer::Stranger(_) | Peer::Unreadable(_) => {
                Ok(HandshakeSignatureValid::assertion())
            }
        }
    }
}

impl ClientCertVerifier for Asking {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    /// Says nothing about who it is: [`Clients::peer`] does, for resumed sessions as well. The dates count when
    /// something is asked for, because an expired certificate must not keep its holder from the trusted roots.
    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: TlsTime,
    ) -> Result<ClientCertVerified, TlsError> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.prove(cert, || verify_tls12_signature(message, cert, dss, &self.algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.prove(cert, || verify_tls13_signature(message, cert, dss, &self.algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
