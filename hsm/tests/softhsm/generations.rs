//! Generations of keys: chosen by what the token does, made together, destroyed together.

use hsm::provision::{SelfTestOutcome, UnwrapTemplate};
use hsm::{Algorithm, Error, Health, KeyGeneration, KeyId, SealingMechanism};

use crate::harness::{MECHANISMS, objects, scenario};

scenario! {
    fn the_token_passes_the_self_tests_with_known_answers(world) {
        world.create_token("sealing");
        let workshop = world.workshop("sealing");
        let made = workshop.generate_generation("sealwright", 3, None).unwrap();
        assert_eq!((made.keys.number, made.mechanism), (3, SealingMechanism::Gcm));
        let outcomes: Vec<_> = made.self_tests.iter().map(|test| (test.mechanism, &test.outcome)).collect();
        assert_eq!(outcomes, MECHANISMS.map(|mechanism| (mechanism, &SelfTestOutcome::KnownAnswer)));
        assert!(made.keys_can_be_born());
        assert_eq!(made.unwrap_template, UnwrapTemplate::Honoured);
        // Two keys, and nothing of the tests.
        assert_eq!(objects(&world.beside("sealing")), (2, 0));
        world.token("sealing").sealing_keys(made.keys).check().unwrap();
    }
}

scenario! {
    fn a_generation_is_made_whole_or_not_at_all(world) {
        world.create_token("sealing");
        let workshop = world.workshop("sealing");
        workshop.identity();
        let before = std::fs::read_dir(world.token_folder()).unwrap().count();
        let files = || std::fs::read_dir(world.token_folder()).unwrap().count();
        // Landlock of this thread: from here on no file can be made.
        crate::read_only::become_read_only(world);
        assert!(workshop.generate_generation("sealwright", 1, None).is_err());
        assert_eq!(files(), before);
        assert_eq!(objects(&world.beside("sealing")), (0, 0));
    }
}

scenario! {
    fn a_destroyed_generation_opens_nothing(world) {
        match world.step() {
            "main" => {
                world.create_token("sealing");
                for mechanism in MECHANISMS {
                    let [one, two] = [1, 2].map(|number| world.generation("sealing", number, mechanism));
                    let token = world.token("sealing");
                    let (old, new) = (token.sealing_keys(one), token.sealing_keys(two));
                    let secret = old.seal(b"context", b"secret").unwrap();
                    let born = old.generate(Algorithm::P256, b"context").unwrap();
                    let kept = new.reseal(&old, b"context", b"context", &born.sealed).unwrap();

                    let seen = world.workshop("sealing").destroy_generation(&one).unwrap();
                    assert!(seen.is_complete(), "{seen:?}");
                    assert_eq!((seen.number, seen.keys.len()), (1, 2));
                    for (key, id) in seen.keys.iter().zip([one.sealing, one.wrapping]) {
                        assert_eq!((key.id, key.left, &key.used_afterwards), (id, 0, &None));
                        assert_eq!(key.answers, ["C_DestroyObject answered CKR_OK"]);
                        assert_eq!(key.refusals.len(), 2, "{key:?}");
                        let dead = |refusal: &String| refusal.contains("HANDLE_INVALID");
                        assert!(key.refusals.iter().all(dead), "{key:?}");
                    }
                    token.reload().unwrap();
                    for sealed in [&secret, &born.sealed] {
                        assert!(matches!(old.open(b"context", sealed), Err(Error::NoSuchKey(_))));
                        let anew = new.reseal(&old, b"context", b"context", sealed);
                        assert!(matches!(anew, Err(Error::NoSuchKey(_))));
                    }
                    assert!(matches!(old.check(), Err(Error::NoSuchKey(_))));
                    new.check().unwrap();
                    new.open(b"context", &kept).unwrap();
                    assert!(matches!(token.health(), Health::Serving(_)));

                    // Once more, as after an interruption: they are gone already.
                    let again = world.workshop("sealing").destroy_generation(&one).unwrap();
                    assert!(again.is_complete() && again.keys.iter().all(|key| key.answers.is_empty()), "{again:?}");
                    world.store_generation(&two);
                    world.run_step("restarted");
                }
            }
            _ => world.token("sealing").sealing_keys(world.stored_generation()).check().unwrap(),
        }
    }
}

scenario! {
    fn nobody_loses_another_key_by_a_wrong_id(world) {
        world.create_token("ca");
        let workshop = world.workshop("ca");
        let issuer = workshop.generate_signing_key("issuer", Algorithm::P256).unwrap();
        let wrong = KeyGeneration { number: 1, sealing: issuer.id, wrapping: KeyId([1; 32]) };
        let seen = workshop.destroy_generation(&wrong).unwrap();
        assert!(seen.keys.iter().all(|key| key.answers.is_empty()), "{seen:?}");
        world.token("ca").signing_key(issuer).check().unwrap();
    }
}
