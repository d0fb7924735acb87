#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

use super::{Asking, Clients, Peer};
use crate::base::Fingerprint;
use crate::x509::certificates_from_pem;

type Identity = (CertificateDer<'static>, PrivateKeyDer<'static>);

/// A self-signed certificate for `localhost`, valid for a day, and its key; OpenSSL makes them.
fn identity(folder: &Path, name: &str) -> Identity {
    let place = |end| folder.join(format!("{name}.{end}"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
        .args(["-days", "1", "-subj", &format!("/CN={name}")])
        .args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=CA:FALSE"])
        .arg("-out")
        .arg(place("crt"))
        .arg("-keyout")
        .arg(place("key"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let pem = std::fs::read(place("crt")).unwrap();
    let der = certificates_from_pem(&pem).unwrap()[0].as_der().to_vec();
    let key = Command::new("openssl")
        .args(["pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-in"])
        .arg(place("key"))
        .output()
        .unwrap();
    (der.into(), PrivateKeyDer::Pkcs8(key.stdout.into()))
}

fn clients(of: &Identity) -> Arc<Clients> {
    let print = digest(&SHA256, &of.0).as_ref().try_into().unwrap();
    Clients::new(&BTreeMap::from([("web1".parse().unwrap(), Fingerprint(print))]))
}

fn server(own: &Identity, clients: &Arc<Clients>) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let asking = Asking::new(Arc::clone(clients), provider.signature_verification_algorithms);
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .unwrap()
        .with_client_cert_verifier(Arc::new(asking))
        .with_single_cert(vec![own.0.clone()], own.1.clone_key())
        .unwrap();
    Arc::new(config)
}

fn config(
    version: &'static rustls::SupportedProtocolVersion,
    trusted: &Identity,
    shown: Option<(&CertificateDer<'static>, &PrivateKeyDer<'static>)>,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.0.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    let config = match shown {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let key = provider.key_provider.load_private_key(key.clone_key()).unwrap();
            // Not checked: whether the key belongs to the certificate.
            let pair = rustls::sign::CertifiedKey::new(vec![certificate.clone()], key);
            config.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(pair)))
        }
    };
    Arc::new(config)
}

/// A whole handshake, in memory; the server's end of it.
fn shake(
    server: &Arc<ServerConfig>,
    client: &Arc<ClientConfig>,
) -> Result<ServerConnection, rustls::Error> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    // Once more after the handshake, so that tickets arrive.
    for _ in 0..8 {
        let mut octets = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut octets).unwrap();
        }
        let mut read = octets.as_slice();
        while !read.is_empty() {
            server.read_tls(&mut read).unwrap();
            server.process_new_packets()?;
        }
        let mut octets = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut octets).unwrap();
        }
        let mut read = octets.as_slice();
        while !read.is_empty() {
            client.read_tls(&mut read).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    assert!(!server.is_handshaking());
    Ok(server)
}

fn peer(clients: &Clients, server: &ServerConnection) -> Peer {
    clients.peer(server.peer_certificates().and_then(<[_]>::first))
}

const VERSIONS: [&rustls::SupportedProtocolVersion; 2] =
    [&rustls::version::TLS12, &rustls::version::TLS13];

#[test]
fn a_client_is_who_has_the_key_of_its_certificate_and_stays_it_in_resumed_sessions() {
    let folder = tempfile::tempdir().unwrap();
    let (own, web1) = (identity(folder.path(), "own"), identity(folder.path(), "web1"));
    let clients = clients(&web1);
    for version in VERSIONS {
        let server = server(&own, &clients);
        let client = config(version, &own, Some((&web1.0, &web1.1)));
        for kind in [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed] {
            let shaken = shake(&server, &client).unwrap();
            assert_eq!(shaken.handshake_kind(), Some(kind), "{version:?}");
            let Peer::Client(found) = peer(&clients, &shaken) else { panic!("{version:?}") };
            assert_eq!(found.vouched.name.to_string(), "web1");
        }
    }
}

#[test]
fn a_clients_certificate_without_its_key_is_no_handshake() {
    let folder = tempfile::tempdir().unwrap();
    let (own, web1) = (identity(folder.path(), "own"), identity(folder.path(), "web1"));
    let thief = identity(folder.path(), "thief");
    let clients = clients(&web1);
    for version in VERSIONS {
        let client = config(version, &own, Some((&web1.0, &thief.1)));
        let refusal = shake(&server(&own, &clients), &client).unwrap_err();
        assert!(
            matches!(refusal, rustls::Error::InvalidCertificate(_)),
            "{version:?}: {refusal:?}"
        );
    }
}

#[test]
fn no_certificate_and_any_other_are_nobody_also_in_resumed_sessions() {
    let folder = tempfile::tempdir().unwrap();
    let (own, web1) = (identity(folder.path(), "own"), identity(folder.path(), "web1"));
    let stranger = identity(folder.path(), "stranger");
    let clients = clients(&web1);
    let print = Fingerprint(digest(&SHA256, &stranger.0).as_ref().try_into().unwrap());
    // Not even a certificate: it is not looked at.
    let noise = CertificateDer::from(vec![0x30, 3, 1, 2, 3]);
    let noise_print = Fingerprint(digest(&SHA256, &noise).as_ref().try_into().unwrap());
    for version in VERSIONS {
        for (shown, expected) in [
            (None, Peer::WithoutCertificate),
            (Some((&stranger.0, &stranger.1)), Peer::Stranger(print)),
            (Some((&noise, &stranger.1)), Peer::Stranger(noise_print)),
        ] {
            let server = server(&own, &clients);
            let client = config(version, &own, shown);
            for _ in 0..2 {
                let found = peer(&clients, &shake(&server, &client).unwrap());
                assert_eq!(found, expected, "{version:?}");
                assert!(found.client(0).is_err());
            }
        }
    }
}

#[test]
fn a_configured_certificate_that_cannot_be_read_makes_nobody_a_client() {
    let folder = tempfile::tempdir().unwrap();
    let (own, other) = (identity(folder.path(), "own"), identity(folder.path(), "other"));
    let noise = (CertificateDer::from(vec![0x30, 3, 1, 2, 3]), other.1);
    let clients = clients(&noise);
    for version in VERSIONS {
        let client = config(version, &own, Some((&noise.0, &noise.1)));
        let found = peer(&clients, &shake(&server(&own, &clients), &client).unwrap());
        assert!(matches!(found, Peer::Unreadable(_)), "{found:?}");
        assert!(found.client(0).unwrap_err().contains("version 3"));
    }
}

#[test]
fn dates_count_when_something_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let web1 = identity(folder.path(), "web1");
    let found = clients(&web1).peer(Some(&web1.0));
    let Peer::Client(client) = &found else { panic!("{found:?}") };
    let (start, end) = (client.not_before, client.not_after);
    assert_eq!(end - start, 86_400);
    for (now, says) in [(start - 1, "not valid yet"), (end + 1, "expired")] {
        let why = found.client(now).unwrap_err();
        assert!(why.contains(says) && why.contains("web1"), "{why}");
    }
    for now in [start, end] {
        assert_eq!(found.client(now).unwrap().name.to_string(), "web1");
    }
}

#[test]
fn a_refusal_says_what_to_do() {
    let none = Clients::new(&BTreeMap::new());
    assert_eq!(none.peer(None), Peer::NotAsked);
    let print = Fingerprint([0xab; 32]);
    for (peer, part) in [
        (Peer::NotAsked, "[access.clients]".to_owned()),
        (Peer::WithoutCertificate, "certificate and key".to_owned()),
        (Peer::Stranger(print), print.to_string()),
        (Peer::Unreadable("odd".to_owned()), "odd".to_owned()),
    ] {
        let why = peer.client(0).unwrap_err();
        assert!(why.contains(&part), "{why}");
    }
}
