//! Operation, function and return value: one row each, told apart by what was called.

use cryptoki::error::RvError;
use fault_module::Counts;
use hsm::provision::Workshop;
use hsm::{Answer, Error, Token};

use super::expected::Expected;
use super::scene::{Bench, Keys, Scene, provision};
use super::table::{BAD_DATA, CAPABILITIES, Decision, VALUES, code, expected, others};
use crate::harness::{World, scenario};

/// As in `hsm/src/recovery.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Connect,
    Sign,
    Seal,
    Open,
    Provision,
}

/// A function that answers wrongly, and what we were doing when it was called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) operation: Operation,
    pub(super) function: &'static str,
    pub(super) state: State,
}

/// What went before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Connected, logged in, keys found: the function is the first one of them that fails.
    Warm,
    /// A token that was not used yet; the module is initialised.
    Cold,
    /// The module is not initialised.
    Down,
}

const fn place(operation: Operation, function: &'static str, state: State) -> Place {
    Place { operation, function, state }
}

pub(super) const PLACES: [Place; 23] = [
    place(Operation::Connect, "C_GenerateRandom", State::Warm),
    place(Operation::Connect, "C_GetSessionInfo", State::Warm),
    place(Operation::Connect, "C_GetSlotList", State::Cold),
    place(Operation::Connect, "C_OpenSession", State::Cold),
    place(Operation::Connect, "C_Login", State::Cold),
    place(Operation::Connect, "C_Initialize", State::Down),
    place(Operation::Sign, "C_FindObjectsInit", State::Warm),
    place(Operation::Sign, "C_SignInit", State::Warm),
    place(Operation::Sign, "C_Sign", State::Warm),
    place(Operation::Sign, "C_DecryptInit", State::Warm),
    place(Operation::Sign, "C_Decrypt", State::Warm),
    place(Operation::Sign, "C_UnwrapKey", State::Warm),
    place(Operation::Sign, "C_CreateObject", State::Warm),
    place(Operation::Seal, "C_EncryptInit", State::Warm),
    place(Operation::Seal, "C_Encrypt", State::Warm),
    place(Operation::Seal, "C_GenerateKeyPair", State::Warm),
    place(Operation::Seal, "C_WrapKey", State::Warm),
    place(Operation::Open, "C_DecryptInit", State::Warm),
    place(Operation::Open, "C_Decrypt", State::Warm),
    place(Operation::Open, "C_UnwrapKey", State::Warm),
    place(Operation::Open, "C_WrapKey", State::Warm),
    place(Operation::Provision, "C_GenerateKeyPair", State::Warm),
    place(Operation::Provision, "C_SignInit", State::Warm),
];

impl Place {
    fn opens(self) -> bool {
        matches!(self.operation, Operation::Open | Operation::Sign)
            && matches!(self.function, "C_Decrypt" | "C_UnwrapKey")
    }
}

/// How often a function answers wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Times {
    Once,
    Always,
}

/// Everything that rows are tried on.
struct Rows<'a> {
    scene: &'a Scene<'a>,
    keys: &'a Keys,
    bench: Bench,
    workshop: Option<Workshop>,
}

impl<'a> Rows<'a> {
    fn new(scene: &'a Scene<'a>, keys: &'a Keys) -> Self {
        Self { scene, keys, bench: Bench::new(scene.token("ca"), keys), workshop: None }
    }

    fn row(&mut self, place: Place, value: RvError, times: Times) {
        let decision = expected(place.opens(), value);
        let (outcome, counts) = self.run(place, value, times);
        let row = format!("{place:?} answers {value:?} {times:?}: {decision:?}, {outcome:?}");
        let found = match &outcome {
            Ok(()) => "done",
            Err(Error::Unavailable(_)) => "unavailable",
            Err(Error::Locked(_)) => "locked",
            Err(Error::NoSuchKey(_)) => "no such key",
            Err(Error::Refused(_)) => "refused",
            Err(Error::Unreadable(_)) => "unreadable",
            Err(Error::Unsupported(_)) => "unsupported",
        };
        let expected = Expected::of(place, decision, times);
        let called = Expected {
            outcome: found,
            tries: counts.calls(place.function),
            initialised: counts.calls("C_Initialize"),
            logins: counts.calls("C_Login"),
            searched: counts.calls("C_FindObjectsInit") > 0,
        };
        assert_eq!(called, expected, "{row}\n{counts:?}");
        if let Err(error) = outcome {
            let told = answer(&error).unwrap_or_else(|| panic!("{row}: no answer of the token"));
            assert_eq!(told.function().as_deref(), Some(place.function), "{row}");
            let name = format!("{value:?}").split('(').next().unwrap().to_lowercase();
            let told = told.return_value().unwrap();
            let numbered = format!("{:#x}", code(value));
            let plain = told.trim_start_matches("CKR").replace('_', "").to_lowercase();
            assert!(plain == name || told == numbered, "{row}: {told}");
        }
        if decision == Decision::Stop {
            // Its client raised the alarm, which stays.
            self.bench = Bench::new(self.scene.token("ca"), self.keys);
            self.workshop = None;
        }
    }

    fn run(&mut self, place: Place, value: RvError, times: Times) -> (Result<(), Error>, Counts) {
        let count = if times == Times::Once { " count=1" } else { "" };
        let rule = format!("{} answer={:#x}{count}", place.function, code(value));
        let scene = self.scene;
        if place.operation == Operation::Provision {
            let workshop =
                self.workshop.get_or_insert_with(|| Workshop::open(&scene.config("ca")).unwrap());
            return scene.during(&[&rule], || provision(workshop));
        }
        let bench = &self.bench;
        let cold = scene.token("ca");
        let act: Box<dyn Fn() -> Result<(), Error>> = match (place.operation, place.function) {
            (Operation::Connect, "C_GenerateRandom") => {
                Box::new(|| bench.token.random(&mut [0; 4]))
            }
            (Operation::Connect, "C_GetSessionInfo") => Box::new(|| bench.token.check().map(drop)),
            (Operation::Connect, "C_Initialize") => Box::new(|| bench.token.check().map(drop)),
            (Operation::Connect, _) => Box::new(|| cold.check().map(drop)),
            (Operation::Sign, "C_FindObjectsInit") => Box::new(|| bench.prove()),
            (Operation::Sign, "C_SignInit" | "C_Sign") => Box::new(|| bench.sign()),
            (Operation::Sign, "C_UnwrapKey") => {
                let born = bench.fresh_born();
                Box::new(move || bench.sign_sealed(&born))
            }
            (Operation::Sign, _) => {
                let secret = bench.fresh_secret();
                Box::new(move || bench.sign_sealed(&secret))
            }
            (Operation::Seal, "C_EncryptInit" | "C_Encrypt") => Box::new(|| bench.seal()),
            (Operation::Seal, _) => Box::new(|| bench.generate()),
            (Operation::Open, "C_DecryptInit" | "C_Decrypt") => Box::new(|| bench.open()),
            (Operation::Open, _) => Box::new(|| bench.reveal_born()),
            (Operation::Provision, _) => unreachable!("in a workshop"),
        };
        match place.state {
            State::Warm => warm(bench),
            State::Cold => bench.token.check().map(drop).unwrap(),
            State::Down => {
                let (outcome, _) =
                    scene.during(&["C_Initialize answer=0x7 count=1"], || bench.token.reload());
                assert!(matches!(outcome, Err(Error::Unsupported(_))), "{outcome:?}");
            }
        }
        scene.during(&[&rule], act)
    }
}

/// Connected, and every key found.
fn warm(bench: &Bench) {
    bench.token.check().unwrap();
    bench.sign().unwrap();
    bench.open().unwrap();
    bench.reveal_born().unwrap();
}

fn answer(error: &Error) -> Option<&Answer> {
    match error {
        Error::Unavailable(fault)
        | Error::Locked(fault)
        | Error::NoSuchKey(fault)
        | Error::Refused(fault)
        | Error::Unreadable(fault)
        | Error::Unsupported(fault) => fault.answer(),
    }
}

/// Every value of the table at every place of this operation.
fn all_rows_of(world: &World, operation: Operation) {
    let keys = Keys::make(world, "ca");
    let scene = Scene::new(world);
    let mut rows = Rows::new(&scene, &keys);
    let mut tried = 0;
    for place in PLACES.into_iter().filter(|place| place.operation == operation) {
        let table = VALUES.map(|(value, _)| value);
        let more = BAD_DATA.into_iter().chain(CAPABILITIES).filter(|value| !table.contains(value));
        for value in table.into_iter().chain(more) {
            if stops_for_good(place, value) {
                continue;
            }
            rows.row(place, value, Times::Once);
            tried += 1;
            // What is not repeated is called once however often it would fail.
            if operation != Operation::Provision {
                rows.row(place, value, Times::Always);
            }
        }
    }
    assert!(tried > 0);
    warm(&rows.bench);
}

/// A PIN that is refused at a login puts the token out of use for the whole process: see `pin.rs`.
fn stops_for_good(place: Place, value: RvError) -> bool {
    place.function == "C_Login" && expected(false, value) == Decision::Stop
}

scenario! {
    fn rows_of_connecting(world) {
        all_rows_of(world, Operation::Connect);
    }
}

scenario! {
    fn rows_of_signing(world) {
        all_rows_of(world, Operation::Sign);
    }
}

scenario! {
    fn rows_of_sealing(world) {
        all_rows_of(world, Operation::Seal);
    }
}

scenario! {
    fn rows_of_opening(world) {
        all_rows_of(world, Operation::Open);
    }
}

scenario! {
    fn rows_of_administrative_mode(world) {
        all_rows_of(world, Operation::Provision);
    }
}

scenario! {
    fn every_other_value_of_the_standard_is_a_capability(world) {
        let keys = Keys::make(world, "ca");
        let scene = Scene::new(world);
        let mut rows = Rows::new(&scene, &keys);
        let others = others();
        assert!(others.len() > 40, "{others:?}");
        for value in others {
            rows.row(place(Operation::Sign, "C_SignInit", State::Warm), value, Times::Once);
        }
        warm(&rows.bench);
    }
}

scenario! {
    fn a_login_that_somebody_else_made_is_a_success(world) {
        let keys = Keys::make(world, "ca");
        let scene = Scene::new(world);
        let value = code(RvError::UserAlreadyLoggedIn);
        let rule = format!("C_Login answer-after={value:#x}");
        let token: std::sync::Arc<Token> = scene.token("ca");
        let (outcome, counts) = scene.during(&[&rule], || {
            token.signing_key(keys.issuer.clone()).sign(hsm::Purpose::Content, b"message")
        });
        let signature = outcome.unwrap();
        assert!(world.openssl_verifies(&keys.issuer, "-sha256", b"message", &signature));
        assert_eq!((counts.calls("C_Login"), counts.calls("C_Initialize")), (1, 1));
    }
}
