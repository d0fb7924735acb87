//! A CA that peers can use: a key in a SoftHSM token of their own, the same key in a file, a certificate.

use std::path::{Path, PathBuf};
use std::process::Command;

use sealwright::base::KeyAlgorithm;

use crate::appliance::{judge, text};
use crate::fault::{Outcome, While, fault};
use crate::plan::Plan;
use crate::token::Place;

pub(super) const LABEL: &str = "peers";
pub(super) const PIN: &str = "12345678";
const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

pub(super) struct Authority {
    pub(super) folder: PathBuf,
    pub(super) token: Place,
    pub(super) certificate: PathBuf,
    pub(super) key_file: PathBuf,
    /// Requests as files.
    pub(super) csrs: Vec<PathBuf>,
    /// Programs that `scripts/bench` builds.
    pub(super) built: PathBuf,
}

impl Authority {
    pub(super) fn new(plan: &Plan, key: KeyAlgorithm, csrs: &[String]) -> Outcome<Self> {
        let folder = plan.place.join("peers").join(key.to_string());
        if folder.exists() {
            std::fs::remove_dir_all(&folder).when(folder.display())?;
        }
        let tokens = folder.join("tokens");
        std::fs::create_dir_all(&tokens).when(tokens.display())?;
        let configuration = configure(&folder)?;
        let pin_file = folder.join("pin");
        std::fs::write(&pin_file, PIN)?;

        let (key_file, certificate) = (folder.join("ca.key"), folder.join("ca.pem"));
        let kind: &[&str] = match key {
            KeyAlgorithm::P256 => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            KeyAlgorithm::P384 => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
            KeyAlgorithm::Rsa(2048) => &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            KeyAlgorithm::Rsa(_) => &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"],
        };
        judge("openssl", &[&["genpkey", "-out", text(&key_file)?], kind].concat(), b"")?;
        let words = [
            &["req", "-x509", "-key", text(&key_file)?, "-days", "3650", "-subj", "/CN=Peers"][..],
            &["-addext", "basicConstraints=critical,CA:TRUE"],
            &["-addext", "keyUsage=critical,keyCertSign,cRLSign", "-out", text(&certificate)?],
        ];
        judge("openssl", &words.concat(), b"")?;

        let token = |words: &[&str]| -> Outcome<String> {
            let said = Command::new("softhsm2-util")
                .args(words)
                .env("SOFTHSM2_CONF", &configuration)
                .output()
                .when("softhsm2-util")?;
            if !said.status.success() {
                return fault(String::from_utf8_lossy(&said.stderr));
            }
            Ok(String::from_utf8_lossy(&said.stdout).into_owned())
        };
        let pins = ["--so-pin", PIN, "--pin", PIN];
        token(&[&["--init-token", "--free", "--label", LABEL][..], &pins].concat())?;
        let import = ["--import", text(&key_file)?, "--id", "01", "--label", "ca"];
        token(&[&import[..], &["--token", LABEL, "--pin", PIN]].concat())?;
        let shown = token(&["--show-slots"])?;
        let serial = shown
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Serial number:"))
            .map(str::trim)
            .find(|serial| !serial.is_empty())
            .when("softhsm2-util shows no serial number")?;

        let mut files = Vec::new();
        for (number, csr) in csrs.iter().enumerate() {
            let path = folder.join(format!("{number}.csr"));
            std::fs::write(&path, csr)?;
            files.push(path);
        }
        Ok(Self {
            token: Place {
                module: MODULE.into(),
                serial: serial.to_owned(),
                pin_file,
                environment: [("SOFTHSM2_CONF".to_owned(), text(&configuration)?.to_owned())]
                    .into(),
            },
            certificate,
            key_file,
            csrs: files,
            built: plan.place.join("tools"),
            folder,
        })
    }

    /// A copy of the token, for processes that come and go: one that logs in writes into the token's folder, and others
    /// that log in at the same time then fail (SoftHSM 2.6.1). Its `SOFTHSM2_CONF`.
    pub(super) fn copy_of_token(&self, folder: &Path) -> Outcome<PathBuf> {
        let (from, to) = (self.folder.join("tokens"), folder.join("tokens"));
        if !to.exists() {
            judge("cp", &["-r", text(&from)?, text(&to)?], b"")?;
        }
        configure(folder)
    }

    /// The private key, for who takes RFC 7512.
    pub(super) fn uri() -> String {
        format!("pkcs11:token={LABEL};id=%01;type=private")
    }

    /// Whether these certificates are of this CA.
    pub(super) fn verify(&self, pem: &[u8]) -> Outcome<()> {
        judge("openssl", &["verify", "-CAfile", text(&self.certificate)?], pem).map(drop)
    }
}

/// Writes a configuration of SoftHSM for the tokens in a folder.
fn configure(folder: &Path) -> Outcome<PathBuf> {
    let configuration = folder.join("softhsm2.conf");
    let content = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
        folder.join("tokens").display()
    );
    std::fs::write(&configuration, content).when(configuration.display())?;
    Ok(configuration)
}
