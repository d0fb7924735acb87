//! A CA with a SoftHSM token, an enterprise root and OpenSSL around it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, channel};

use hsm::provision;

use super::super::{Requester, openssl, settings};
use crate::access::Permit;
use crate::base::{Clock, KeyAlgorithm, Secret, SystemClock, UnixTime};
use crate::ca::settings::{Profile, Settings};
use crate::ca::{Authority, Error, Issued, MIGRATIONS, Request, Workshop};
use crate::store::Store;
use crate::x509::{Certificate, Chain};

/// SoftHSM where Debian puts it, or where `SOFTHSM2_MODULE` says.
fn module() -> PathBuf {
    std::env::var_os("SOFTHSM2_MODULE")
        .unwrap_or_else(|| "/usr/lib/softhsm/libsofthsm2.so".into())
        .into()
}

/// A clock that starts at the present, because OpenSSL's certificates do, and that a test moves.
#[derive(Default)]
pub(super) struct TestClock(pub(super) AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> UnixTime {
        SystemClock.now() + self.0.load(Ordering::Relaxed)
    }
}

/// A workshop in the same process; `None` is one whose token has gone.
struct HereAndNow(Option<hsm::TokenConfig>);

impl HereAndNow {
    fn open(&self) -> Result<provision::Workshop, hsm::Error> {
        match &self.0 {
            Some(config) => provision::Workshop::open(config),
            None => Err(hsm::Error::Unavailable("the workshop is closed".into())),
        }
    }
}

impl Workshop for HereAndNow {
    fn generate(
        &self,
        label: &str,
        algorithm: KeyAlgorithm,
    ) -> Result<hsm::KeyReference, hsm::Error> {
        let algorithm = match algorithm {
            KeyAlgorithm::Rsa(bits) => hsm::Algorithm::Rsa(bits),
            KeyAlgorithm::P256 => hsm::Algorithm::P256,
            KeyAlgorithm::P384 => hsm::Algorithm::P384,
        };
        self.open()?.generate_signing_key(label, algorithm)
    }

    fn import(&self, label: &str, pkcs8: &Secret) -> Result<hsm::KeyReference, hsm::Error> {
        self.open()?.import_signing_key(label, pkcs8.expose_secret())
    }
}

/// An appliance's CA: its folder, its token, its records.
pub(super) struct Fixture {
    pub(super) requester: Requester,
    pub(super) token: hsm::TokenConfig,
    pub(super) settings: Settings,
    pub(super) clock: Arc<TestClock>,
}

impl Fixture {
    pub(super) fn new(label: &str) -> Self {
        let requester = Requester::new();
        let pin_file = requester.file("pin");
        let pin = hsm::Pin::random().unwrap();
        fs::write(&pin_file, pin.expose_secret()).unwrap();
        fs::set_permissions(&pin_file, fs::Permissions::from_mode(0o600)).unwrap();
        let so_pin = hsm::Pin::random().unwrap();
        provision::create_token(&module(), label, &so_pin, &pin).unwrap();
        Self {
            token: token_config(label, pin_file),
            settings: settings(Profile::VmcaCompat, requester.folder.path()),
            clock: Arc::default(),
            requester,
        }
    }

    pub(super) fn open(&self) -> (Arc<Authority>, Receiver<()>) {
        self.open_with(self.token.clone(), Some(self.token.clone()))
    }

    pub(super) fn open_with(
        &self,
        token: hsm::TokenConfig,
        workshop: Option<hsm::TokenConfig>,
    ) -> (Arc<Authority>, Receiver<()>) {
        let (changed, told) = channel();
        let authority = Authority::open(
            self.store(),
            hsm::Token::new(token),
            Box::new(HereAndNow(workshop)),
            self.settings.clone(),
            self.clock.clone(),
            changed,
        )
        .unwrap();
        (authority, told)
    }

    pub(super) fn store(&self) -> Store {
        Store::open(&self.requester.file("vmcad.db"), MIGRATIONS).unwrap()
    }

    pub(super) fn issue(&self, authority: &Authority, names: &str) -> Result<Issued, Error> {
        let csr = self.requester.csr("ec", "/CN=machine", names);
        authority.issue(Permit::for_own_job("test"), &Request::parse(&csr, None, None)?)
    }

    pub(super) fn drafts(&self, state: &str) -> i64 {
        self.count("SELECT COUNT(*) FROM drafts WHERE state = $1", state)
    }

    pub(super) fn count(&self, sql: &str, parameter: &str) -> i64 {
        self.store()
            .read::<_, crate::store::Error>(|tx| tx.query(sql, &[parameter.into()])?[0].integer(0))
            .unwrap()
    }

    /// An enterprise root signs a request as a CA below it; the answer is the chain to install.
    pub(super) fn enterprise_signs(&self, csr: &str, constraints: &str) -> String {
        let file = |name: &str| self.requester.file(name).to_str().unwrap().to_owned();
        fs::write(file("vmca.csr"), csr).unwrap();
        fs::write(
            file("ca.cnf"),
            format!(
                "[req]\ndistinguished_name=dn\n[dn]\n[root]\nbasicConstraints=critical,CA:TRUE\n\
                 keyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n\
                 [sub]\nbasicConstraints=critical,CA:TRUE,pathlen:0\n\
                 keyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n\
                 authorityKeyIdentifier=keyid\n{constraints}\n"
            ),
        )
        .unwrap();
        let root = openssl(&[
            "req",
            "-x509",
            "-key",
            &file("rsa.key"),
            "-subj",
            "/O=Enterprise/CN=Root",
            "-days",
            "3650",
            "-config",
            &file("ca.cnf"),
            "-extensions",
            "root",
        ]);
        fs::write(file("enterprise.pem"), &root).unwrap();
        let vmca = openssl(&[
            "x509",
            "-req",
            "-in",
            &file("vmca.csr"),
            "-CA",
            &file("enterprise.pem"),
            "-CAkey",
            &file("rsa.key"),
            "-days",
            "1000",
            "-extfile",
            &file("ca.cnf"),
            "-extensions",
            "sub",
        ]);
        vmca + &root
    }

    /// OpenSSL verifies a leaf up to the last certificate of a CA chain, with its revocation list.
    pub(super) fn verify(&self, issued: &Issued, chain: &Chain, authority: &Authority) {
        let pem = |certificates: &[Certificate]| -> String {
            certificates.iter().map(Certificate::to_pem).collect()
        };
        let file = |name: &str, text: String| {
            let path = self.requester.file(name);
            fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let root = file("root.pem", chain.root().to_pem());
        let above = file("above.pem", pem(chain.certificates()));
        let crl = file("crl.pem", authority.crl().unwrap().to_pem());
        let leaf = file("leaf.pem", issued.chain[0].to_pem());
        openssl(&[
            "verify",
            "-x509_strict",
            "-CAfile",
            &root,
            "-untrusted",
            &above,
            "-crl_check",
            "-CRLfile",
            &crl,
            &leaf,
        ]);
    }
}

pub(super) fn token_config(label: &str, pin_file: PathBuf) -> hsm::TokenConfig {
    hsm::TokenConfig {
        module: module(),
        uri: format!("pkcs11:token={label}").parse().unwrap(),
        pin: hsm::PinSource::File(pin_file),
    }
}
