//! Administrative mode: tokens and keys are made once, and seen by everybody.

use hsm::provision::{Workshop, create_token};
use hsm::{Algorithm, Error, Pin, Token};

use crate::harness::{module, scenario};

scenario! {
    fn a_label_is_given_once(world) {
        let config = world.create_token("ca");
        let identity = Token::new(config).check().unwrap();
        assert_eq!(identity.label, "ca");
        assert!(!identity.serial.is_empty());
        let again = create_token(&module(), "ca", &Pin::random().unwrap(), &Pin::random().unwrap());
        let Err(Error::Refused(fault)) = again else { panic!("it was created twice") };
        assert!(fault.to_string().contains("exists already"), "{fault}");
        assert!(world.token_folder().exists());
        world.token("ca").check().unwrap();
    }
}

scenario! {
    fn bad_labels_and_pins_leave_nothing_behind(world) {
        for label in ["", " x", "x ", "x\ny", &"x".repeat(33)] {
            let made = create_token(&module(), label, &Pin::random().unwrap(), &Pin::random().unwrap());
            assert!(matches!(made, Err(Error::Refused(_))), "{label}");
        }
        let short = || Pin::new("1".to_owned().into());
        let made = create_token(&module(), "ca", &short(), &short());
        assert!(matches!(made, Err(Error::Refused(_))), "{made:?}");
        assert_eq!(std::fs::read_dir(world.path("tokens")).unwrap().count(), 0);
    }
}

scenario! {
    fn tokens_are_made_while_another_is_in_service(world) {
        world.create_token("ca");
        let reference = world.workshop("ca").generate_signing_key("issuer", Algorithm::P256).unwrap();
        let key = world.token("ca").signing_key(reference);
        key.sign(hsm::Purpose::Content, b"message").unwrap();
        let workshop = world.workshop("ca");
        world.create_token("sealing");
        let keys = world.workshop("sealing").generate_generation("wrapping", 1, None).unwrap().keys;
        world.token("sealing").sealing_keys(keys).check().unwrap();
        key.sign(hsm::Purpose::Content, b"message").unwrap();
        let second = workshop.generate_signing_key("issuer", Algorithm::P384).unwrap();
        world.token("ca").signing_key(second).check().unwrap();
        assert_eq!(workshop.identity().label, "ca");
    }
}

scenario! {
    fn two_tokens_with_one_label_are_told_apart_by_serial(world) {
        match world.step() {
            "main" => {
                let config = world.create_token("ca");
                let mut by_serial = config.clone();
                by_serial.uri.serial = Some(Token::new(config.clone()).check().unwrap().serial);
                // Out of sight, or the second one would be refused.
                let (place, elsewhere) = (world.token_folder(), world.path("elsewhere"));
                let pin = std::fs::read_to_string(world.path("ca.pin")).unwrap();
                std::fs::rename(&place, &elsewhere).unwrap();
                world.run_step("make another token");
                std::fs::rename(&elsewhere, &place).unwrap();
                world.write_pin("ca", &pin, 0o600);
                let Err(Error::Refused(fault)) = Token::new(config.clone()).check() else { panic!("it chose one") };
                assert!(fault.to_string().contains("selects 2 tokens"), "{fault}");
                assert!(matches!(Workshop::open(&config), Err(Error::Refused(_))));
                Token::new(by_serial).check().unwrap();
            }
            _ => {
                world.create_token("ca");
            }
        }
    }
}

scenario! {
    fn a_token_that_does_not_match_model_or_serial_is_absent(world) {
        let config = world.create_token("ca");
        let refusal = |narrowed: &str| {
            let mut config = config.clone();
            config.uri = format!("pkcs11:token=ca;{narrowed}").parse().unwrap();
            Token::new(config).check().unwrap_err()
        };
        for narrowed in ["model=other", "manufacturer=other"] {
            assert!(matches!(refusal(narrowed), Error::Unavailable(_)), "{narrowed}");
        }
        // The right label and the wrong serial number: somebody put another token there.
        let refusal = refusal("serial=0");
        assert!(matches!(refusal, Error::Refused(_)), "{refusal}");
        assert_eq!(refusal.alarm(), Some(hsm::AlarmKind::Replaced));
        let mut config = config;
        config.uri = "pkcs11:token=ca;model=SoftHSM%20v2;manufacturer=SoftHSM%20project".parse().unwrap();
        Token::new(config).check().unwrap();
    }
}
