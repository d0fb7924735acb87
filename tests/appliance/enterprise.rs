//! A stand-in enterprise CA, made by OpenSSL: the other side of every chain.

use std::path::{Path, PathBuf};

use crate::harness::{Appliance, judge, text};

/// Root and issuing CA with their keys, as files in the appliance's work folder.
pub struct Enterprise {
    folder: PathBuf,
}

/// What the enterprise CA writes into a VMCA certificate.
pub const CA_EXTENSIONS: &str = "basicConstraints=critical,CA:TRUE,pathlen:0\n\
    keyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";

impl Enterprise {
    pub fn new(appliance: &Appliance) -> Self {
        let folder = appliance.file("enterprise");
        std::fs::create_dir_all(&folder).unwrap();
        let enterprise = Self { folder };
        enterprise.self_signed("root", "/O=Example/CN=Example Root");
        enterprise.issue_ca("issuing", "/O=Example/CN=Example Issuing", "root", "pathlen:1");
        enterprise
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn root(&self) -> PathBuf {
        self.path("root.cer")
    }

    pub fn self_signed(&self, name: &str, subject: &str) {
        self.self_signed_with(name, subject, &[]);
    }

    pub fn self_signed_with(&self, name: &str, subject: &str, extensions: &[&str]) {
        let (key, certificate) =
            (self.path(&format!("{name}.key")), self.path(&format!("{name}.cer")));
        let mut words = vec![
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "3650",
            "-subj",
            subject,
            "-addext",
            "basicConstraints=critical,CA:TRUE",
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign",
            "-keyout",
            text(&key),
            "-out",
            text(&certificate),
        ];
        extensions.iter().for_each(|extension| words.extend(["-addext", extension]));
        judge("openssl", &words);
    }

    /// A further CA below `issuer`; `path_length` is `pathlen:N` or empty.
    pub fn issue_ca(&self, name: &str, subject: &str, issuer: &str, path_length: &str) {
        let csr = self.path(&format!("{name}.csr"));
        judge(
            "openssl",
            &[
                "req",
                "-new",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-subj",
                subject,
                "-keyout",
                text(&self.path(&format!("{name}.key"))),
                "-out",
                text(&csr),
            ],
        );
        let comma = if path_length.is_empty() { "" } else { "," };
        let extensions = format!(
            "basicConstraints=critical,CA:TRUE{comma}{path_length}\nkeyUsage=critical,keyCertSign,cRLSign\n\
             subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        );
        self.sign_as(issuer, &csr, &extensions, &["-days", "1825"], &format!("{name}.cer"));
    }

    /// Signs a request; the certificate's path.
    pub fn sign_as(
        &self,
        issuer: &str,
        csr: &Path,
        extensions: &str,
        options: &[&str],
        out: &str,
    ) -> PathBuf {
        let (file, out) = (self.path("extensions"), self.path(out));
        std::fs::write(&file, extensions).unwrap();
        let (certificate, key) =
            (self.path(&format!("{issuer}.cer")), self.path(&format!("{issuer}.key")));
        let mut words = vec![
            "x509",
            "-req",
            "-in",
            text(csr),
            "-CA",
            text(&certificate),
            "-CAkey",
            text(&key),
            "-CAcreateserial",
            "-sha256",
            "-extfile",
            text(&file),
            "-out",
            text(&out),
        ];
        words.extend(options);
        judge("openssl", &words);
        out
    }

    /// Has VMCA ask, signs, and returns the chain file: VMCA, issuing CA, root.
    pub fn chain_for(&self, appliance: &Appliance, request: &[&str]) -> PathBuf {
        let csr = appliance.file("vmca.csr");
        let mut words = vec!["--gencacsr", "--csrfile", "vmca.csr"];
        words.extend(request);
        appliance.ok("certool", &words);
        let vmca = self.sign_as("issuing", &csr, CA_EXTENSIONS, &["-days", "1000"], "vmca.cer");
        self.chain_of("root_signing_chain.cer", &[&vmca, &self.path("issuing.cer"), &self.root()])
    }

    /// Certificates one after the other in one file.
    pub fn chain_of(&self, name: &str, certificates: &[&Path]) -> PathBuf {
        let content: Vec<_> =
            certificates.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
        let path = self.path(name);
        std::fs::write(&path, content.concat()).unwrap();
        path
    }

    /// Makes this appliance's VMCA an intermediate of the enterprise.
    pub fn adopt(&self, appliance: &Appliance) {
        let chain = self.chain_for(appliance, &[]);
        appliance.ok("certool", &["--rootca", "--cert", text(&chain)]);
    }
}
