//! Runs each scenario in a process of its own, on a token of its own.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use hsm::provision::Workshop;
use hsm::{Error, Token, TokenConfig};
use token_harness::{Failure, Home, Kind};

use crate::facts::{Facts, said};
use crate::table::Column;

pub(crate) type Scenario = (&'static str, fn(&Bench));

const SCENARIO: &str = "HSM_TOKENS_SCENARIO";
const FOLDER: &str = "HSM_TOKENS_FOLDER";

/// The token does not do what everything else in this scenario needs. It has been told.
struct Enough;

/// One token, seen from the process of one scenario.
pub(crate) struct Bench {
    kind: Kind,
    folder: PathBuf,
    config: TokenConfig,
    pub(crate) facts: Facts,
}

/// The test of one kind: all scenarios, then the comparison with the table.
pub(crate) fn run(kind: Kind, test: &str, scenarios: &[Scenario]) {
    if let Ok(wanted) = std::env::var(SCENARIO) {
        let (_, scenario) = scenarios.iter().find(|(name, _)| *name == wanted).unwrap();
        let bench = Bench::here(kind);
        let ended = catch_unwind(AssertUnwindSafe(|| scenario(&bench)));
        hsm::shut_down();
        return match ended {
            Err(why) if !why.is::<Enough>() => resume_unwind(why),
            _ => (),
        };
    }
    let mut column = Column::new(kind);
    for (name, _) in scenarios {
        let home = match Home::make(kind) {
            Ok(home) => home,
            Err(Failure::Missing(why)) if kind != Kind::SoftHsm => {
                eprintln!("LOUD: {why}; custody on {kind} is NOT tried");
                return;
            }
            Err(failure) => panic!("{kind}: {failure}"),
        };
        column.extend(scenario(&home, test, name));
    }
    column.compare();
}

/// Facts of one scenario. What ended the process is the last of them, if it was not the end of the scenario.
fn scenario(home: &Home, test: &str, name: &str) -> Vec<(String, String)> {
    let facts = home.folder().join("facts");
    std::fs::write(&facts, "").unwrap();
    let config = home.config();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .envs(home.environment().iter().map(|(name, value)| (name, value)))
        .env(SCENARIO, name)
        .env(FOLDER, home.folder())
        .env("HSM_TOKENS_MODULE", &config.module)
        .env("HSM_TOKENS_URI", config.uri.to_string())
        .env("HSM_TOKENS_PIN", config.pin.to_string())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = std::fs::read_to_string(&facts).unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && stdout.contains("1 passed"),
        "{}: the scenario \"{name}\" failed ({}):\n{stdout}\n{}\nuntil then it found:\n{told}",
        home.kind(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let line = |line: &str| {
        let (what, found) = line.split_once('\t').unwrap();
        (format!("{name}: {what}"), found.to_owned())
    };
    let found: Vec<_> = told.lines().map(line).collect();
    assert!(!found.is_empty(), "{name} told nothing");
    found
}

impl Bench {
    fn here(kind: Kind) -> Self {
        let word = |name: &str| std::env::var(name).unwrap();
        let folder = PathBuf::from(word(FOLDER));
        Self {
            kind,
            config: TokenConfig {
                module: word("HSM_TOKENS_MODULE").into(),
                uri: word("HSM_TOKENS_URI").parse().unwrap(),
                pin: word("HSM_TOKENS_PIN").parse().unwrap(),
            },
            facts: Facts(folder.join("facts")),
            folder,
        }
    }

    /// SoftHSM is what custody is made and tried with: there every scenario must come out in full.
    pub(crate) fn is_reference(&self) -> bool {
        self.kind == Kind::SoftHsm
    }

    pub(crate) fn config(&self) -> TokenConfig {
        self.config.clone()
    }

    pub(crate) fn token(&self) -> Arc<Token> {
        Token::new(self.config())
    }

    pub(crate) fn workshop(&self) -> Workshop {
        self.need("opened to make keys", Workshop::open(&self.config))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Something that may fail on another token than the reference; a difference is told as `what`.
    pub(crate) fn try_to<T>(&self, what: &str, outcome: Result<T, Error>) -> Option<T> {
        if self.is_reference()
            && let Err(error) = &outcome
        {
            panic!("{what}: {error}");
        }
        self.facts.tell_of(what, outcome)
    }

    /// Something that the rest of the scenario needs. It ends here on a token that does not do it.
    pub(crate) fn need<T>(&self, what: &str, outcome: Result<T, Error>) -> T {
        match outcome {
            Ok(value) => value,
            Err(error) => {
                assert!(!self.is_reference(), "{what}: {error}");
                self.facts.tell(what, said(&error));
                resume_unwind(Box::new(Enough))
            }
        }
    }

    /// A bare session, logged in and read-write, to do what our own code does not do.
    pub(crate) fn bare(&self) -> Bare {
        let context = Pkcs11::new(&self.config.module).unwrap();
        context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
        let slot = self.slot(&context);
        let session = context.open_rw_session(slot).unwrap();
        let pin = std::fs::read_to_string(self.path("pin")).unwrap();
        if let Err(error) = session.login(UserType::User, Some(&AuthPin::from(pin))) {
            assert!(!self.is_reference(), "{error}");
            self.facts.tell("a bare login beside it", error.to_string());
            resume_unwind(Box::new(Enough));
        }
        Bare { session: Some(session), context: Some(context) }
    }

    pub(crate) fn slot(&self, context: &Pkcs11) -> Slot {
        let label = self.config.uri.label.as_deref().unwrap();
        let slots = context.get_slots_with_token().unwrap().into_iter();
        let ours =
            |slot: &Slot| context.get_token_info(*slot).is_ok_and(|info| info.label() == label);
        slots.into_iter().find(ours).unwrap()
    }
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
        let _ = self.context.take().unwrap().finalize();
    }
}
