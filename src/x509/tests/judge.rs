//! OpenSSL and GnuTLS as judges of what this floor reads and writes. Tests only.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::x509::{Certificate, certificates_from_pem};

/// A folder of its own for files that go to and fro; gone when dropped.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn write(&self, file: &str, octets: &[u8]) {
        std::fs::write(self.0.path().join(file), octets).unwrap();
    }

    pub(crate) fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.0.path().join(file)).unwrap()
    }

    /// What `openssl` prints; it must succeed.
    pub(crate) fn openssl(&self, arguments: &[&str]) -> String {
        String::from_utf8(self.openssl_octets(arguments)).unwrap()
    }

    pub(crate) fn openssl_octets(&self, arguments: &[&str]) -> Vec<u8> {
        let output = self.run("openssl", arguments);
        assert!(output.status.success(), "openssl {arguments:?}: {output:?}");
        output.stdout
    }

    /// Whether a program accepts; what it said is shown when the test fails.
    pub(crate) fn accepts(&self, program: &str, arguments: &[&str]) -> bool {
        let output = self.run(program, arguments);
        eprintln!("{program} {arguments:?}: {output:?}");
        output.status.success()
    }

    pub(crate) fn certificate(&self, file: &str) -> Certificate {
        certificates_from_pem(self.read(file).as_bytes()).unwrap().remove(0)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        Command::new(program).args(arguments).current_dir(self.0.path()).output().unwrap()
    }
}

/// What `openssl` prints about octets on its standard input.
pub(crate) fn run_on_der(arguments: &[&str], der: &[u8]) -> String {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(der).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A self-signed P-256 root with this subject, made by OpenSSL.
pub(crate) fn self_signed(subject: &str) -> Certificate {
    let folder = Folder::new();
    folder.openssl(&[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-utf8",
        "-keyout",
        "key",
        "-out",
        "certificate",
        "-subj",
        subject,
    ]);
    folder.certificate("certificate")
}

/// SubjectPublicKeyInfo of a new key; the arguments are those of `openssl genpkey`.
pub(crate) fn public_key(arguments: &[&str]) -> Vec<u8> {
    let folder = Folder::new();
    let mut genpkey = vec!["genpkey", "-out", "key"];
    genpkey.extend(arguments);
    folder.openssl(&genpkey);
    folder.openssl_octets(&["pkey", "-in", "key", "-pubout", "-outform", "DER"])
}
