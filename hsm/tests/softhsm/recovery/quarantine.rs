//! A token that gives wrong results without an error: nothing of it is released, and it is not used again.

use hsm::{AlarmKind, Algorithm, Error, Health, Purpose};

use super::scene::{Bench, Keys, Scene};
use crate::harness::{World, scenario};

type Act = fn(&Bench) -> Result<(), Error>;

/// Who finds it out, and does not use the token again.
#[derive(Clone, Copy, PartialEq)]
enum Finder {
    /// The agent, for all of its clients: what never leaves it in clear is verified there.
    Agent,
    /// The client, for itself: signatures of keys in the token are verified outside the module's process.
    Client,
}

/// Tries `act` while the module changes results, and then whatever else the token is for.
fn quarantined_by(world: &World, rule: &str, finder: Finder, act: Act) {
    let keys = Keys::make(world, "ca");
    world.create_token("other");
    let other = world.workshop("other").generate_signing_key("issuer", Algorithm::P256).unwrap();
    let scene = Scene::new(world);
    let bench = Bench::new(scene.token("ca"), &keys);
    bench.sign().unwrap();
    let unaffected = scene.token("other").signing_key(other);
    unaffected.sign(Purpose::Content, b"message").unwrap();
    let (outcome, counts) = scene.during(&[rule], || act(&bench));
    let Err(Error::Refused(fault)) = outcome else { panic!("{outcome:?}") };
    assert!(fault.to_string().contains("quarantine"), "{fault}");
    // What is wrong once is not tried again until it is right.
    let function = rule.split(' ').next().unwrap();
    assert_eq!(
        (counts.calls(function), counts.calls("C_Initialize"), counts.calls("C_Login")),
        (1, 0, 0)
    );
    let Health::Alarm(alarm) = bench.token.health() else { panic!("{:?}", bench.token.health()) };
    assert_eq!(alarm.kind, AlarmKind::Quarantine);
    // The token is well again, and nobody asks it: not this client, nor another where the agent found it out.
    let fresh = scene.token("ca");
    let (outcomes, counts) = scene.during(&[], || {
        let mut outcomes = vec![bench.sign(), bench.seal(), bench.open()];
        if finder == Finder::Agent {
            let key = fresh.signing_key(keys.issuer.clone());
            outcomes.push(key.sign(Purpose::Content, b"message").map(drop));
        }
        outcomes
    });
    assert!(
        outcomes.iter().all(|outcome| matches!(outcome, Err(Error::Refused(_)))),
        "{outcomes:?}"
    );
    for function in ["C_Login", "C_Sign", "C_Encrypt", "C_Decrypt"] {
        assert_eq!(counts.calls(function), 0, "{function}");
    }
    // Another token of the same module serves on.
    unaffected.sign(Purpose::Content, b"message").unwrap();
}

scenario! {
    fn a_signature_with_a_wrong_bit_is_not_released(world) {
        quarantined_by(world, "C_Sign flip count=1", Finder::Client, Bench::sign);
    }
}

scenario! {
    fn a_signature_of_a_sealed_key_with_a_wrong_bit_is_not_released(world) {
        quarantined_by(world, "C_Sign flip count=1", Finder::Agent, |bench| bench.sign_sealed(&bench.fresh_secret()));
    }
}

scenario! {
    fn a_signature_of_a_born_key_with_a_wrong_bit_is_not_released(world) {
        quarantined_by(world, "C_Sign flip count=1", Finder::Agent, |bench| bench.sign_sealed(&bench.fresh_born()));
    }
}

scenario! {
    fn a_born_key_whose_proof_has_a_wrong_bit_is_not_released(world) {
        quarantined_by(world, "C_Sign flip count=1", Finder::Agent, Bench::generate);
    }
}

scenario! {
    fn a_challenge_that_opens_to_something_else_is_seen(world) {
        quarantined_by(world, "C_Decrypt flip count=1", Finder::Agent, Bench::prove_sealing);
    }
}

scenario! {
    fn what_a_token_sealed_wrongly_does_not_open(world) {
        let keys = Keys::make(world, "ca");
        let scene = Scene::new(world);
        let bench = Bench::new(scene.token("ca"), &keys);
        let sealing = bench.token.sealing_keys(keys.generation);
        let (sealed, _) = scene.during(&["C_Encrypt flip"], || sealing.seal(b"context", b"secret"));
        let (outcome, counts) = scene.during(&[], || sealing.open(b"context", &sealed.unwrap()));
        assert!(matches!(outcome, Err(Error::Unreadable(_))), "{outcome:?}");
        // SoftHSM itself answers CKR_GENERAL_ERROR, and that is no reason to try again or to log in.
        assert_eq!((counts.calls("C_Decrypt"), counts.calls("C_Login"), counts.calls("C_Initialize")), (1, 0, 0));
    }
}

scenario! {
    fn a_key_that_was_wrapped_wrongly_is_not_released(world) {
        let keys = Keys::make(world, "ca");
        let scene = Scene::new(world);
        let bench = Bench::new(scene.token("ca"), &keys);
        let (outcome, counts) = scene.during(&["C_WrapKey flip"], || bench.generate());
        assert!(outcome.is_err());
        assert_eq!(counts.calls("C_Encrypt"), 0, "nothing of it was sealed");
    }
}
