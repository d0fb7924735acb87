//! Drafts, signed with a key in memory and judged by OpenSSL and GnuTLS.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod profile;
mod rcgen_defects;
mod requests_and_lists;

use super::{LeafTemplate, draft_leaf, serial_from_random};
use crate::base::{Clock, KeyAlgorithm, SystemClock, UnixTime};
use crate::x509::tests::judge::Folder;
use crate::x509::{Certificate, Csr, KeyUsage, PrivateKey};

/// The present, because OpenSSL and GnuTLS judge by the clock of this machine.
fn start() -> UnixTime {
    SystemClock.now()
}

const DAY: UnixTime = 86_400;
const CA_EXTENSIONS: &str = "[ext]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n";

/// A CA whose key is in our hands and whose certificate OpenSSL made, under any subject.
fn openssl_ca(
    folder: &Folder,
    algorithm: KeyAlgorithm,
    subject: &str,
) -> (PrivateKey, Certificate) {
    let key = PrivateKey::generate(algorithm).unwrap();
    folder.write("ca.key", key.to_pkcs8_pem().expose_secret());
    folder.write("config", CA_EXTENSIONS.as_bytes());
    folder.openssl(&["req", "-new", "-utf8", "-key", "ca.key", "-out", "ca.csr", "-subj", subject]);
    folder.openssl(&[
        "x509",
        "-req",
        "-in",
        "ca.csr",
        "-key",
        "ca.key",
        "-out",
        "ca.crt",
        "-days",
        "3650",
        "-extfile",
        "config",
        "-extensions",
        "ext",
    ]);
    (key, folder.certificate("ca.crt"))
}

/// A request that OpenSSL makes: arguments of `openssl req`, extensions.
fn openssl_csr(folder: &Folder, arguments: &[&str], subject: &str, extensions: &str) -> String {
    folder.write(
        "csr.cnf",
        format!("[req]\ndistinguished_name=dn\nreq_extensions=ext\n[dn]\n[ext]\n{extensions}\n")
            .as_bytes(),
    );
    let mut all = vec![
        "req", "-new", "-nodes", "-utf8", "-keyout", "leaf.key", "-out", "leaf.csr", "-subj",
        subject, "-config", "csr.cnf",
    ];
    all.extend(arguments);
    folder.openssl(&all);
    folder.read("leaf.csr")
}

fn template(csr: &Csr) -> LeafTemplate {
    LeafTemplate {
        serial: serial_from_random([0x5a; 16]),
        subject: csr.subject().clone(),
        public_key: csr.public_key().clone(),
        not_before: start(),
        not_after: start() + 730 * DAY,
        alternative_names: csr.requested().alternative_names.clone(),
        key_usage: KeyUsage {
            digital_signature: true,
            non_repudiation: true,
            key_encipherment: true,
            ..KeyUsage::default()
        },
        key_usage_critical: false,
        extended_key_usage: Vec::new(),
        subject_key_identifier: true,
        ca_issuers_url: Some("https://vc.example.com/afd/vecs/ca".to_owned()),
    }
}

/// Drafts, signs, writes `leaf.crt`, and lets OpenSSL and GnuTLS verify it under `ca.crt`.
fn issue(
    folder: &Folder,
    template: &LeafTemplate,
    key: &PrivateKey,
    ca: &Certificate,
) -> Certificate {
    let draft = draft_leaf(template, ca).unwrap();
    let leaf = Certificate::from_der(&draft.assemble(&key.sign(draft.tbs()).unwrap())).unwrap();
    assert_eq!(leaf.tbs(), draft.tbs());
    folder.write("leaf.crt", leaf.to_pem().as_bytes());
    assert!(folder.accepts(
        "openssl",
        &["verify", "-x509_strict", "-check_ss_sig", "-CAfile", "ca.crt", "leaf.crt"]
    ));
    assert!(folder.accepts(
        "certtool",
        &["--verify", "--load-ca-certificate", "ca.crt", "--infile", "leaf.crt"]
    ));
    leaf
}
