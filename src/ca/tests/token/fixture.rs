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
use crate::base::{Clock, KeyAlgorithm, Secret, SystemClock, UnixTime, sentences};
use crate::ca::settings::{Profile, Settings};
use crate::ca::{Authority, Error, Issued, MIGRATIONS, Order, Request, Workshop};
use crate::policy::{self, Issuers, Mode};
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
struct HereAndNow {
    token: Option<hsm::TokenConfig>,
    issuers: PathBuf,
    clock: Arc<TestClock>,
}

impl HereAndNow {
    fn open(&self) -> Result<provision::Workshop, hsm::Error> {
        match &self.token {
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

    fn sign_ca_certificate(
        &self,
        key: &hsm::KeyReference,
        tbs: &[u8],
    ) -> Result<Vec<u8>, hsm::Error> {
        self.open()?;
        let purpose = hsm::Purpose::CaCertificate;
        let issuers = Issuers::open(&self.issuers);
        policy::judge(Mode::Administration, purpose, key, tbs, &issuers, self.clock.now())
            .map_err(|refusal| hsm::Error::Refused(sentences(&refusal).into()))?;
        let config = self.token.clone().unwrap();
        hsm::Token::new(config).signing_key(key.clone()).sign(purpose, tbs)
    }

    fn record_issuer(&self, key: &hsm::KeyReference, certificate: &[u8]) -> Result<(), hsm::Error> {
        if policy::is_recorded(&self.issuers, key, certificate) {
            return Ok(());
        }
        self.open()?;
        policy::record(&self.issuers, key, certificate)
            .map_err(|refusal| hsm::Error::Refused(sentences(&refusal).into()))
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
            Box::new(HereAndNow {
                token: workshop,
                issuers: self.issuers(),
                clock: self.clock.clone(),
            }),
            self.settings.clone(),
            self.clock.clone(),
            changed,
        )
        .unwrap();
        (authority, told)
    }

    /// What the workshop has written down for the policy of the token.
    pub(super) fn issuers(&self) -> PathBuf {
        self.requester.file("issuers")
    }

    pub(super) fn store(&self) -> Store {
        Store::open(&self.requester.file("vmcad.db"), MIGRATIONS).unwrap()
    }

    pub(super) fn issue(&self, authority: &Authority, names: &str) -> Result<Issued, Error> {
        let csr = self.requester.csr("ec", "/CN=machine", names);
        let request = Request::parse(&csr, None, None)?;
        authority.issue(Order { permit: Permit::for_own_job("test"), request })
    }

    pub(super) fn drafts(&self, state: &str) -> i64 {
        self.count("SELECT COUNT(*) FROM drafts WHERE state = $1", state)
    }

    /// Shows the token's policy everything that was signed, as of the moment when it was: a service
    /// may have had all of it signed but CA certificates.
    pub(super) fn everything_passes_the_policy(&self) {
        let sql = "SELECT kind, tbs, drafts.created_at, drafts.key_id, public_key FROM drafts
             JOIN ca_keys ON ca_keys.key_id = drafts.key_id WHERE state = 'done'";
        let drafts: Result<_, crate::store::Error> = self.store().read(|tx| {
            tx.query(sql, &[])?
                .iter()
                .map(|row| {
                    let (kind, tbs) = (row.text(0)?.to_owned(), row.blob(1)?.to_vec());
                    let (id, public_key) = (row.text(3)?.parse().unwrap(), row.blob(4)?.to_vec());
                    Ok((kind, tbs, row.integer(2)?, hsm::KeyReference { id, public_key }))
                })
                .collect::<Result<Vec<_>, _>>()
        });
        let (drafts, issuers) = (drafts.unwrap(), Issuers::open(self.issuers()));
        for (kind, tbs, at, key) in &drafts {
            let purpose = match kind.as_str() {
                "leaf" => hsm::Purpose::Certificate,
                "root" => hsm::Purpose::CaCertificate,
                "ca-request" => hsm::Purpose::Possession,
                "crl" => hsm::Purpose::Crl,
                other => panic!("{other} is signed and nobody judges it"),
            };
            let judge = |mode| policy::judge(mode, purpose, key, tbs, &issuers, *at);
            judge(Mode::Administration).unwrap();
            assert_eq!(judge(Mode::Service).is_ok(), kind != "root", "{kind}");
        }
        assert!(drafts.len() > 1, "nothing was judged");
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
        let leaf = file("leaf.pem", issued.leaf.to_pem());
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
