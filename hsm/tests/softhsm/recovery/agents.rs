//! Calls that never return, modules that take their process with them, and remedies that need a fresh process.
//!
//! The agent is a process of its own: this test binary again, as step `agent`.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use hsm::agent::{Service, serve};
use hsm::{Deadlines, Error, Launch, Purpose, Token};

use super::scene::{Bench, Keys, Scene, faulty};
use crate::agent::{Strict, eventually};
use crate::harness::{World, scenario};

/// What the process of an agent does.
fn be_an_agent() {
    let stream = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap());
    let _ = serve(stream, &Service::default(), Arc::new(Strict { refuses: false }));
    // A call may still hang in the module, so nothing waits for it.
    std::process::exit(0);
}

fn through_a_process(world: &World, deadlines: Deadlines) -> Arc<Token> {
    Token::through(Launch::Program(world.agent_program(faulty(world, "ca"))), deadlines)
}

/// Long enough for a login on a busy machine, and short enough to wait for what hangs.
const SHORT: Duration = Duration::from_secs(3);

/// Runs `act` with a token in an agent of its own.
fn with_an_agent(world: &World, act: impl FnOnce(&Scene<'_>, &Keys, &Bench)) {
    if world.step() == "agent" {
        be_an_agent();
    }
    let keys = Keys::make(world, "ca");
    let scene = Scene::new(world);
    let deadlines = Deadlines { operation: SHORT, ..Deadlines::default() };
    let bench = Bench::new(through_a_process(world, deadlines), &keys);
    bench.sign_certificate().unwrap();
    act(&scene, &keys, &bench);
}

scenario! {
    fn a_call_that_hangs_ends_with_its_agent(world) {
        with_an_agent(world, |scene, _, bench| {
            let before = bench.token.agent().unwrap();
            let (outcome, counts) = scene.during(&["C_Sign hang count=1"], || bench.sign_certificate());
            let Err(Error::Unavailable(fault)) = outcome else { panic!("{outcome:?}") };
            assert!(fault.to_string().contains("did not answer within 3 s"), "{fault}");
            // It was not asked again: a second agent would hang as well.
            assert_eq!((counts.calls("C_Sign"), counts.calls("C_Initialize")), (1, 0));
            let (outcome, counts) = scene.during(&[], || eventually(|| bench.sign_certificate()));
            let () = outcome;
            assert_ne!(bench.token.agent(), Some(before));
            assert_eq!((counts.calls("C_Initialize"), counts.calls("C_Login")), (1, 1));
            assert!(!std::path::Path::new(&format!("/proc/{before}/stat")).exists() || is_a_zombie(before));
        });
    }
}

fn is_a_zombie(process: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| stat.contains(") Z "))
}

scenario! {
    fn a_module_that_ends_its_process_costs_no_signature(world) {
        with_an_agent(world, |scene, _, bench| {
            for rule in ["C_Sign abort count=1", "C_Sign exit=3 count=1", "C_SignInit abort count=1"] {
                let before = bench.token.agent().unwrap();
                let (outcome, counts) = scene.during(&[rule], || bench.sign_certificate());
                outcome.unwrap();
                assert_ne!(bench.token.agent(), Some(before), "{rule}");
                // The agent that takes over logs in once.
                assert_eq!((counts.calls("C_Initialize"), counts.calls("C_Login")), (1, 1), "{rule}");
            }
            // One that ends every process is not asked for ever.
            let (outcome, counts) = scene.during(&["C_Sign abort"], || bench.sign_certificate());
            assert!(matches!(outcome, Err(Error::Unavailable(_))), "{outcome:?}");
            assert_eq!(counts.calls("C_Sign"), 2);
            eventually(|| bench.sign_certificate());
        });
    }
}

scenario! {
    fn what_a_device_loses_is_asked_of_a_fresh_agent(world) {
        with_an_agent(world, |scene, _, bench| {
            // A device fault, a key that is hidden, no slots: the module is not initialised twice in one process.
            for (rule, act) in [
                ("C_Sign answer=0x30 count=1", Bench::sign_certificate as fn(&Bench) -> _),
                ("C_Sign answer=0x190 count=1", Bench::sign_certificate),
                ("C_FindObjects empty count=1", Bench::prove),
            ] {
                let before = bench.token.agent().unwrap();
                let (outcome, counts) = scene.during(&[rule], || act(bench));
                outcome.unwrap();
                assert_ne!(bench.token.agent(), Some(before), "{rule}");
                assert_eq!((counts.calls("C_Initialize"), counts.calls("C_Login")), (1, 1), "{rule}");
            }
            // A session is made anew, and a handle found again, by the same agent.
            for (rule, logins) in [("C_Sign answer=0xb3 count=1", 1), ("C_SignInit answer=0x82 count=1", 0)] {
                let before = bench.token.agent().unwrap();
                let (outcome, counts) = scene.during(&[rule], || bench.sign_certificate());
                outcome.unwrap();
                assert_eq!(bench.token.agent(), Some(before), "{rule}");
                assert_eq!((counts.calls("C_Initialize"), counts.calls("C_Login")), (0, logins), "{rule}");
            }
        });
    }
}

/// A login hangs. Whether it counted as a wrong one is what the token shows afterwards.
fn a_login_without_an_answer(world: &World, shown: &[&str]) -> Result<(), Error> {
    if world.step() == "agent" {
        be_an_agent();
    }
    let keys = Keys::make(world, "ca");
    let scene = Scene::new(world);
    let deadlines = Deadlines { connect: SHORT, ..Deadlines::default() };
    let token = through_a_process(world, deadlines);
    scene.during(&["C_Login hang count=1"], || {
        // An agent that does not come as far in time, on a busy machine, is none that hung in a login.
        while scene.control.counts().unwrap().calls("C_Login") == 0 {
            let outcome = token.check();
            let Err(Error::Unavailable(fault)) = outcome else { panic!("{outcome:?}") };
            assert!(fault.to_string().contains("did not log in within 3 s"), "{fault}");
        }
    });
    let signing = token.signing_key(keys.issuer.clone());
    let (outcome, counts) = scene.during(shown, || {
        // The pause between two agents passes; nothing is asserted about time.
        loop {
            match signing.sign(Purpose::Certificate, b"message") {
                Err(Error::Unavailable(_)) => std::thread::sleep(Duration::from_millis(20)),
                outcome => break outcome,
            }
        }
    });
    assert_eq!(counts.calls("C_Login"), u64::from(outcome.is_ok()));
    outcome.map(drop)
}

scenario! {
    fn a_login_that_hung_is_tried_again_where_the_token_counted_nothing(world) {
        a_login_without_an_answer(world, &[]).unwrap();
    }
}

scenario! {
    fn a_login_that_hung_and_was_counted_is_not_tried_again(world) {
        // CKF_USER_PIN_COUNT_LOW.
        let outcome = a_login_without_an_answer(world, &["C_GetTokenInfo flags=0x10000"]);
        let Err(Error::Locked(fault)) = outcome else { panic!("{outcome:?}") };
        assert!(fault.to_string().contains("was never answered"), "{fault}");
    }
}
