//! Tests of the room. Requests are made by OpenSSL, certificates are judged by it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod chain;
mod listing;
mod profile;
mod records;
mod token;
mod validity;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::settings::{Profile, Settings};
use crate::base::{KeyAlgorithm, UnixTime};
use crate::x509::{
    AlternativeNames, CaTemplate, Certificate, Chain, PrivateKey, SubjectFields,
    draft_self_signed_ca,
};

/// A day on which every test happens.
const NOW: UnixTime = 1_767_225_600;
const DAY: UnixTime = 86_400;

fn settings(profile: Profile, folder: &Path) -> Settings {
    Settings {
        profile,
        validity_days: 730,
        key_algorithm: KeyAlgorithm::P256,
        allow_imported_keys: false,
        chain_includes_root: false,
        crl_days: 30,
        ca_issuers_url: Some("https://vc.example.test/afd/vecs/ca".to_owned()),
        root_cer: folder.join("vmca/root.cer"),
    }
}

/// Runs OpenSSL and returns what it printed; its complaint becomes the panic.
fn openssl(arguments: &[&str]) -> String {
    let run = Command::new("openssl").args(arguments).output().unwrap();
    assert!(
        run.status.success(),
        "openssl {arguments:?}: {}",
        String::from_utf8_lossy(&run.stderr)
    );
    String::from_utf8(run.stdout).unwrap()
}

/// A folder with keys, in which OpenSSL makes requests.
struct Requester {
    folder: tempfile::TempDir,
}

impl Requester {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let requester = Self { folder };
        for (name, arguments) in [
            ("ec", ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
            ("rsa", ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
        ] {
            let file = requester.file(&format!("{name}.key"));
            let mut all = vec!["genpkey", "-quiet", "-out", file.to_str().unwrap()];
            all.extend(arguments);
            openssl(&all);
        }
        requester
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A request with this subject (in OpenSSL's form, `/CN=a`) and these lines of extensions.
    fn csr(&self, key: &str, subject: &str, extensions: &str) -> String {
        let config = tempfile::NamedTempFile::new_in(self.folder.path()).unwrap();
        let ask = if extensions.is_empty() { "" } else { "req_extensions = asked" };
        let text = format!(
            "[req]\ndistinguished_name = name\nprompt = no\n{ask}\n[name]\nCN = unused\n\
             [asked]\n{extensions}\n"
        );
        fs::write(config.path(), text).unwrap();
        openssl(&[
            "req",
            "-new",
            "-key",
            self.file(&format!("{key}.key")).to_str().unwrap(),
            "-config",
            config.path().to_str().unwrap(),
            "-subj",
            subject,
        ])
    }
}

/// A self-signed CA whose key is not in a token, for what needs no token.
fn self_signed(not_before: UnixTime, not_after: UnixTime) -> Chain {
    let key = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
    let template = CaTemplate {
        serial: [7; 16],
        subject: SubjectFields { common_name: Some("CA".to_owned()), ..SubjectFields::default() }
            .to_name()
            .unwrap(),
        public_key: key.public_key().clone(),
        not_before,
        not_after,
        alternative_names: AlternativeNames::default(),
    };
    let draft = draft_self_signed_ca(&template).unwrap();
    let der = draft.assemble(&key.sign(draft.tbs()).unwrap());
    Chain::verify(vec![Certificate::from_der(&der).unwrap()], not_before).unwrap()
}
