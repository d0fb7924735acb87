//! What a token says about its PIN: one try, counted by the module.

use hsm::{AlarmKind, Error, Health};

use super::scene::{Scene, faulty};
use super::table::{Decision, VALUES, code};
use crate::harness::scenario;

scenario! {
    fn each_refusal_of_a_pin_is_tried_once_and_by_nobody_else(world) {
        let values: Vec<_> = VALUES.iter().filter(|(_, decision)| *decision == Decision::Stop).collect();
        // A token each, because a token that refused the PIN is out of use until the process ends.
        let labels: Vec<_> = (0..values.len()).map(|number| format!("ca{number}")).collect();
        labels.iter().for_each(|label| drop(world.create_token(label)));
        world.create_token("other");
        let scene = Scene::new(world);
        // The module stays initialised, whoever else comes and goes.
        let other = scene.token("other");
        other.check().unwrap();
        for ((value, _), label) in values.into_iter().zip(&labels) {
            let token = scene.token(label);
            let rule = format!("C_Login answer={:#x}", code(*value));
            let (outcome, counts) = scene.during(&[&rule], || token.check());
            let Err(Error::Locked(fault)) = outcome else { panic!("{value:?}: {outcome:?}") };
            assert!(fault.answer().unwrap().to_string().starts_with("C_Login answered CKR_"), "{fault:?}");
            assert_eq!((counts.calls("C_Login"), counts.calls("C_Initialize")), (1, 0));
            let Health::Alarm(alarm) = token.health() else { panic!("{value:?}: {:?}", token.health()) };
            assert_eq!(alarm.kind, AlarmKind::Pin);
            // The token would take the PIN now, but nobody may find out.
            let second = scene.token(label);
            let (outcomes, counts) = scene.during(&[], || [token.check(), token.reload().map(|()| unreachable!()), second.check()]);
            assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(Error::Locked(_)))), "{value:?}: {outcomes:?}");
            assert_eq!(counts.calls("C_Login"), 0, "{value:?}");
        }
        other.check().unwrap();
    }
}

scenario! {
    fn the_last_try_is_left_to_the_operator(world) {
        match world.step() {
            "main" => {
                world.create_token("ca");
                let right = std::fs::read_to_string(world.path("ca.pin")).unwrap();
                let scene = Scene::new(world);
                scene.add("C_Login pin-tries=3");
                world.write_pin("ca", "not the PIN", 0o600);
                let logins = || scene.control.counts().unwrap().calls("C_Login");
                // A service that is restarted tries again, once each time.
                world.run_step("refused");
                assert_eq!(logins(), 1);
                world.run_step("refused");
                assert_eq!(logins(), 2);
                // One is left: even the right PIN is not tried.
                world.write_pin("ca", &right, 0o600);
                world.run_step("not tried");
                assert_eq!(logins(), 2);
                // What the vendor's tool does: a login that goes well.
                scene.control.clear().unwrap();
                world.run_step("logged in");
                assert_eq!(logins(), 3);
            }
            "refused" => {
                let outcome = hsm::Token::new(faulty(world, "ca")).check();
                let Err(Error::Locked(fault)) = outcome else { panic!("{outcome:?}") };
                assert_eq!(fault.answer().unwrap().to_string(), "C_Login answered CKR_PIN_INCORRECT");
            }
            "not tried" => {
                let outcome = hsm::Token::new(faulty(world, "ca")).check();
                let Err(Error::Locked(fault)) = outcome else { panic!("{outcome:?}") };
                assert!(fault.to_string().contains("has one try left"), "{fault}");
            }
            _ => drop(hsm::Token::new(faulty(world, "ca")).check().unwrap()),
        }
    }
}

scenario! {
    fn a_pin_that_is_locked_is_not_tried(world) {
        world.create_token("ca");
        let scene = Scene::new(world);
        let token = scene.token("ca");
        // CKF_USER_PIN_LOCKED.
        let (outcome, counts) = scene.during(&["C_GetTokenInfo flags=0x40000"], || token.check());
        let Err(Error::Locked(fault)) = outcome else { panic!("{outcome:?}") };
        assert!(fault.to_string().contains("is locked"), "{fault}");
        assert_eq!(counts.calls("C_Login"), 0);
    }
}
