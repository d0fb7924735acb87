//! Runs each scenario in a child process (this test binary again) with its own SoftHSM configuration and folder.
//!
//! A scenario has a step `main` and may start further steps, each in one more process on the same tokens: that is how
//! "another process makes a key" and "the service after a restart" are told.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::object::Attribute;
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use hsm::provision::{Workshop, create_token};
use hsm::{KeyReference, Pin, Token, TokenConfig};

const FOLDER: &str = "HSM_TEST_FOLDER";
const STEP: &str = "HSM_TEST_STEP";

/// Declares a test whose body runs in a child process for each step.
macro_rules! scenario {
    ($(#[$doc:meta])* fn $name:ident($world:ident) $body:block) => {
        $(#[$doc])*
        #[test]
        fn $name() {
            crate::harness::run(
                concat!(module_path!(), "::", stringify!($name)),
                |$world: &crate::harness::World| $body,
            );
        }
    };
}
pub(crate) use scenario;

/// One scenario's folder, seen from one of its processes.
pub(crate) struct World {
    name: String,
    folder: PathBuf,
    step: String,
}

pub(crate) fn run(path: &str, body: impl FnOnce(&World)) {
    let name = path.split_once("::").unwrap().1.to_owned();
    if let Some(folder) = std::env::var_os(FOLDER) {
        let step = std::env::var(STEP).unwrap();
        body(&World { name, folder: folder.into(), step });
        // Agents that are threads here may still use the module, whose exit handlers would crash.
        hsm::shut_down();
        return;
    }
    assert!(
        module().exists(),
        "SoftHSM is missing: install the package softhsm2, or set SOFTHSM2_MODULE to the path of libsofthsm2.so"
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("tokens")).unwrap();
    std::fs::write(
        folder.path().join("softhsm2.conf"),
        format!(
            "directories.tokendir = {}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n",
            folder.path().display()
        ),
    )
    .unwrap();
    let world = World { name, folder: folder.path().to_owned(), step: "parent".to_owned() };
    world.run_step("main");
}

pub(crate) fn module() -> PathBuf {
    std::env::var_os("SOFTHSM2_MODULE")
        .unwrap_or_else(|| "/usr/lib/softhsm/libsofthsm2.so".into())
        .into()
}

impl World {
    pub(crate) fn step(&self) -> &str {
        &self.step
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Runs a step of this scenario in a process of its own, to its end.
    pub(crate) fn run_step(&self, step: &str) {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &self.name, "--nocapture", "--test-threads=1"])
            .env(FOLDER, &self.folder)
            .env(STEP, step)
            .envs(self.environment())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && told.contains("1 passed"),
            "step {step} of {} failed ({}):\n{told}\n{}",
            self.name,
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// What a process needs to find this scenario's tokens, through SoftHSM or through the fault module.
    pub(crate) fn environment(&self) -> [(&'static str, PathBuf); 3] {
        [
            ("SOFTHSM2_CONF", self.folder.join("softhsm2.conf")),
            (fault_module::REAL, module()),
            (fault_module::CONTROL, self.folder.join("fault.sock")),
        ]
    }

    /// A program that runs a step of this scenario as a token agent.
    pub(crate) fn agent_program(&self, token: TokenConfig) -> hsm::Program {
        let words = ["--exact", &self.name, "--nocapture", "--test-threads=1"];
        let mut environment: std::collections::BTreeMap<_, _> = self
            .environment()
            .into_iter()
            .map(|(name, value)| (name.into(), value.into_os_string()))
            .collect();
        environment.insert(FOLDER.into(), self.folder.clone().into_os_string());
        environment.insert(STEP.into(), "agent".into());
        hsm::Program {
            program: std::env::current_exe().unwrap(),
            arguments: words.iter().map(Into::into).collect(),
            environment,
            token,
        }
    }

    /// Creates a token and writes its user PIN to `<label>.pin`.
    pub(crate) fn create_token(&self, label: &str) -> TokenConfig {
        let user_pin = Pin::random().unwrap();
        create_token(&module(), label, &Pin::random().unwrap(), &user_pin).unwrap();
        self.write_pin(label, user_pin.expose_secret(), 0o600);
        self.config(label)
    }

    pub(crate) fn write_pin(&self, label: &str, pin: &str, mode: u32) {
        let path = self.path(&format!("{label}.pin"));
        let _ = std::fs::remove_file(&path);
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).mode(mode).open(path).unwrap();
        file.write_all(pin.as_bytes()).unwrap();
    }

    pub(crate) fn config(&self, label: &str) -> TokenConfig {
        TokenConfig {
            module: module(),
            uri: format!("pkcs11:token={label}").parse().unwrap(),
            pin: format!("file:{}/{label}.pin", self.folder.display()).parse().unwrap(),
        }
    }

    pub(crate) fn token(&self, label: &str) -> std::sync::Arc<Token> {
        Token::new(self.config(label))
    }

    pub(crate) fn workshop(&self, label: &str) -> Workshop {
        Workshop::open(&self.config(label)).unwrap()
    }

    /// Hands a reference to another step.
    pub(crate) fn store(&self, name: &str, key: &KeyReference) {
        std::fs::write(self.path(&format!("{name}.id")), key.id.to_string()).unwrap();
        std::fs::write(self.path(&format!("{name}.spki")), &key.public_key).unwrap();
    }

    pub(crate) fn stored(&self, name: &str) -> KeyReference {
        KeyReference {
            id: std::fs::read_to_string(self.path(&format!("{name}.id"))).unwrap().parse().unwrap(),
            public_key: std::fs::read(self.path(&format!("{name}.spki"))).unwrap(),
        }
    }

    /// The folder of the only token.
    pub(crate) fn token_folder(&self) -> PathBuf {
        let mut folders = std::fs::read_dir(self.path("tokens")).unwrap();
        let folder = folders.next().unwrap().unwrap().path();
        assert!(folders.next().is_none(), "there is more than one token");
        folder
    }

    /// A bare PKCS#11 session, logged in and read-write, to do what our own code does not do.
    pub(crate) fn bare(&self, label: &str) -> Bare {
        let context = Pkcs11::new(module()).unwrap();
        context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
        let slot = slot_of(&context, label);
        let session = context.open_rw_session(slot).unwrap();
        let pin = std::fs::read_to_string(self.path(&format!("{label}.pin"))).unwrap();
        session.login(UserType::User, Some(&AuthPin::from(pin))).unwrap();
        Bare { session: Some(session), context: Some(context) }
    }

    /// Verifies with OpenSSL.
    pub(crate) fn openssl_verifies(
        &self,
        key: &KeyReference,
        hash: &str,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let write = |name: &str, octets: &[u8]| {
            let path = self.path(name);
            std::fs::write(&path, octets).unwrap();
            path
        };
        let public = write("openssl.der", &key.public_key);
        let message = write("openssl.message", message);
        let signature = write("openssl.signature", signature);
        let pem = self.path("openssl.pem");
        assert!(openssl(&[
            "pkey",
            "-pubin",
            "-inform",
            "DER",
            "-in",
            text(&public),
            "-out",
            text(&pem)
        ]));
        openssl(&[
            "dgst",
            hash,
            "-verify",
            text(&pem),
            "-signature",
            text(&signature),
            text(&message),
        ])
    }
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub(crate) fn openssl(arguments: &[&str]) -> bool {
    Command::new("openssl")
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("OpenSSL is missing: install the package openssl")
        .success()
}

pub(crate) fn slot_of(context: &Pkcs11, label: &str) -> Slot {
    context
        .get_slots_with_token()
        .unwrap()
        .into_iter()
        .find(|slot| context.get_token_info(*slot).unwrap().label() == label)
        .unwrap()
}

pub(crate) struct Bare {
    session: Option<Session>,
    context: Option<Pkcs11>,
}

impl std::ops::Deref for Bare {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session.as_ref().unwrap()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        drop(self.session.take());
        self.context.take().unwrap().finalize().unwrap();
    }
}

/// Both ways of sealing.
pub(crate) const MECHANISMS: [hsm::SealingMechanism; 2] =
    [hsm::SealingMechanism::Gcm, hsm::SealingMechanism::KeyWrap];

impl World {
    /// Makes a generation of keys that seals in this way.
    pub(crate) fn generation(
        &self,
        label: &str,
        number: u32,
        mechanism: hsm::SealingMechanism,
    ) -> hsm::KeyGeneration {
        let made = self
            .workshop(label)
            .generate_generation("sealwright", number, Some(mechanism))
            .unwrap();
        assert_eq!(made.mechanism, mechanism);
        made.keys
    }

    /// Hands a generation to another step.
    pub(crate) fn store_generation(&self, keys: &hsm::KeyGeneration) {
        std::fs::write(self.path("generation"), toml::to_string(keys).unwrap()).unwrap();
    }

    pub(crate) fn stored_generation(&self) -> hsm::KeyGeneration {
        toml::from_str(&std::fs::read_to_string(self.path("generation")).unwrap()).unwrap()
    }
}

impl World {
    /// A read-only session beside those of a token of ours that is in use in this process. It is logged in as they are
    /// and sees their session objects.
    pub(crate) fn beside(&self, label: &str) -> Session {
        let context = Pkcs11::new(module()).unwrap();
        context.open_ro_session(slot_of(&context, label)).unwrap()
    }
}

/// How many objects there are: in the token, and in sessions of this process.
pub(crate) fn objects(session: &Session) -> (usize, usize) {
    let [token, sessions] =
        [true, false].map(|of| session.find_objects(&[Attribute::Token(of)]).unwrap().len());
    (token, sessions)
}
