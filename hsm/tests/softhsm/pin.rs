//! PINs: a wrong one is tried once.

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use hsm::{Algorithm, Error, Health};

use crate::harness::{module, scenario, slot_of};

/// `CKF_USER_PIN_COUNT_LOW`: a wrong PIN was tried since the last login.
fn a_wrong_pin_was_tried() -> bool {
    let context = Pkcs11::new(module()).unwrap();
    context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let low = context.get_token_info(slot_of(&context, "ca")).unwrap().user_pin_count_low();
    context.finalize().unwrap();
    low
}

scenario! {
    fn a_wrong_pin_is_tried_once_however_often_the_token_is_used(world) {
        match world.step() {
            "main" => {
                world.create_token("ca");
                let reference = world.workshop("ca").generate_signing_key("issuer", Algorithm::P256).unwrap();
                world.store("issuer", &reference);
                assert!(!a_wrong_pin_was_tried());
                world.run_step("wrong PIN");
                assert!(a_wrong_pin_was_tried());
                world.run_step("right PIN");
                assert!(!a_wrong_pin_was_tried());
            }
            "wrong PIN" => {
                let right = std::fs::read_to_string(world.path("ca.pin")).unwrap();
                world.write_pin("ca", "not the PIN", 0o600);
                let token = world.token("ca");
                let Err(Error::Locked(fault)) = token.check() else { panic!("it logged in") };
                assert_eq!(fault.answer().unwrap().to_string(), "C_Login answered CKR_PIN_INCORRECT");
                // A second try would be with the right PIN: it would succeed, and clear the token's flag.
                world.write_pin("ca", &right, 0o600);
                let key = token.signing_key(world.stored("issuer"));
                for _ in 0..3 {
                    assert!(matches!(token.check(), Err(Error::Locked(_))));
                    assert!(matches!(key.sign(b"message"), Err(Error::Locked(_))));
                    assert!(matches!(token.reload(), Err(Error::Locked(_))));
                    assert!(matches!(world.token("ca").check(), Err(Error::Locked(_))));
                }
                assert!(matches!(token.health(), Health::Stopped(_)));
            }
            "right PIN" => {
                let token = world.token("ca");
                token.signing_key(world.stored("issuer")).check().unwrap();
                assert!(matches!(token.health(), Health::Serving(_)));
            }
            other => panic!("no step {other}"),
        }
    }
}

scenario! {
    fn a_pin_file_that_is_open_to_others_is_not_used(world) {
        world.create_token("ca");
        let pin = std::fs::read_to_string(world.path("ca.pin")).unwrap();
        world.write_pin("ca", &pin, 0o644);
        let token = world.token("ca");
        let Err(Error::Refused(fault)) = token.check() else { panic!("it logged in") };
        assert!(fault.to_string().contains("chmod 600"), "{fault}");
        // No try was spent on it, and putting it right is enough.
        world.write_pin("ca", &pin, 0o600);
        token.check().unwrap();
    }
}

scenario! {
    fn a_pin_from_a_descriptor_serves_for_later_logins_too(world) {
        use std::os::fd::AsRawFd;
        let mut config = world.create_token("ca");
        // A pipe answers once.
        let (read, mut write) = std::io::pipe().unwrap();
        std::io::Write::write_all(&mut write, &std::fs::read(world.path("ca.pin")).unwrap()).unwrap();
        drop(write);
        config.pin = hsm::PinSource::Descriptor(read.as_raw_fd());
        let token = hsm::Token::new(config);
        token.check().unwrap();
        token.reload().unwrap();
        token.check().unwrap();
    }
}

scenario! {
    fn a_pin_that_comes_once_survives_a_login_that_the_token_was_too_ill_for(world) {
        use std::os::fd::AsRawFd;
        let mut config = world.create_token("ca");
        let (read, mut write) = std::io::pipe().unwrap();
        std::io::Write::write_all(&mut write, &std::fs::read(world.path("ca.pin")).unwrap()).unwrap();
        drop(write);
        config.pin = hsm::PinSource::Descriptor(read.as_raw_fd());
        // Somebody who looks for another token keeps the module up, and the module knows the slot of ours.
        let looking = world.token("another");
        assert!(matches!(looking.check(), Err(Error::Unavailable(_))));
        let (place, elsewhere) = (world.token_folder(), world.path("elsewhere"));
        std::fs::rename(&place, &elsewhere).unwrap();
        let token = hsm::Token::new(config);
        let Err(Error::Unavailable(_)) = token.check() else { panic!("it logged in") };
        std::fs::rename(&elsewhere, &place).unwrap();
        token.check().unwrap();
    }
}
