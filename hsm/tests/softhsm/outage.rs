//! Outages and changes behind our back: come back without a restart, and never sign with another key.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use hsm::{AlarmKind, Algorithm, Error, Health};

use crate::harness::{World, scenario};

/// Spins until `done`; the test binary's own time limit is the deadline.
fn until(done: impl Fn() -> bool) {
    while !done() {
        std::thread::yield_now();
    }
}

/// Moves `what` away and back while two threads sign with one of two keys of the same label.
fn moved_away_and_back(world: &World, what: impl Fn() -> std::path::PathBuf) {
    world.create_token("ca");
    let workshop = world.workshop("ca");
    let reference = workshop.generate_signing_key("issuer", Algorithm::P256).unwrap();
    let other = workshop.generate_signing_key("issuer", Algorithm::P256).unwrap();
    drop(workshop);
    let token = world.token("ca");
    let key = token.signing_key(reference.clone());
    let (signed, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sign = || {
            let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &reference.public_key);
            while !stop.load(SeqCst) {
                match key.sign(hsm::Purpose::Content, b"message") {
                    Ok(signature) => {
                        public.verify(b"message", &signature).unwrap();
                        signed.fetch_add(1, SeqCst);
                    }
                    Err(Error::Unavailable(_) | Error::NoSuchKey(_)) => {
                        failed.fetch_add(1, SeqCst);
                    }
                    Err(other) => panic!("{other}"),
                }
            }
        };
        let signers = [scope.spawn(sign), scope.spawn(sign)];
        let alive = || signers.iter().all(|signer| !signer.is_finished());
        for _ in 0..3 {
            let place = what();
            let elsewhere = world.path("elsewhere");
            let before = failed.load(SeqCst);
            std::fs::rename(&place, &elsewhere).unwrap();
            until(|| failed.load(SeqCst) > before + 2 || !alive());
            std::fs::rename(&elsewhere, &place).unwrap();
            let before = signed.load(SeqCst);
            until(|| signed.load(SeqCst) > before + 20 || !alive());
        }
        stop.store(true, SeqCst);
    });
    key.check().unwrap();
    token.signing_key(other).check().unwrap();
}

scenario! {
    fn a_token_folder_moved_away_and_back_never_signs_with_another_key(world) {
        moved_away_and_back(world, || world.token_folder());
    }
}

scenario! {
    fn the_folder_of_all_tokens_moved_away_and_back_never_signs_with_another_key(world) {
        moved_away_and_back(world, || world.path("tokens"));
    }
}

scenario! {
    fn a_key_file_moved_away_and_back_never_signs_with_another_key(world) {
        world.create_token("ca");
        let workshop = world.workshop("ca");
        let reference = workshop.generate_signing_key("issuer", Algorithm::P256).unwrap();
        let objects = || -> std::collections::BTreeSet<_> {
            let entries = std::fs::read_dir(world.token_folder()).unwrap();
            entries.map(|entry| entry.unwrap().path()).collect()
        };
        let ours = objects();
        workshop.generate_signing_key("issuer", Algorithm::P256).unwrap();
        drop(workshop);
        let token = world.token("ca");
        let key = token.signing_key(reference);
        key.sign(hsm::Purpose::Content, b"message").unwrap();
        let elsewhere = world.path("elsewhere");
        std::fs::create_dir(&elsewhere).unwrap();
        let files: Vec<_> = ours.iter().filter(|path| {
            path.extension().is_some_and(|end| end == "object") && path.file_name().unwrap() != "token.object"
        }).collect();
        assert_eq!(files.len(), 2);
        for file in &files {
            std::fs::rename(file, elsewhere.join(file.file_name().unwrap())).unwrap();
        }
        assert!(matches!(key.sign(hsm::Purpose::Content, b"message"), Err(Error::NoSuchKey(_))));
        for file in &files {
            std::fs::rename(elsewhere.join(file.file_name().unwrap()), file).unwrap();
        }
        key.sign(hsm::Purpose::Content, b"message").unwrap();
    }
}

scenario! {
    fn a_token_that_is_absent_at_first_is_used_when_it_comes(world) {
        let config = world.create_token("ca");
        let reference = world.workshop("ca").generate_signing_key("issuer", Algorithm::P256).unwrap();
        let (place, elsewhere) = (world.token_folder(), world.path("elsewhere"));
        std::fs::rename(&place, &elsewhere).unwrap();
        let token = hsm::Token::new(config);
        assert_eq!(token.health(), Health::Idle);
        let key = token.signing_key(reference);
        let Err(Error::Unavailable(fault)) = key.sign(hsm::Purpose::Content, b"message") else { panic!("it signed") };
        assert!(fault.to_string().contains("pkcs11:token=ca"), "{fault}");
        assert_eq!(token.identity(), None);
        std::fs::rename(&elsewhere, &place).unwrap();
        key.sign(hsm::Purpose::Content, b"message").unwrap();
        let Health::Serving(identity) = token.health() else { panic!("not serving") };
        assert_eq!(identity.label, "ca");
        assert_eq!(token.identity(), Some(identity));
    }
}

scenario! {
    fn a_missing_module_is_unavailable_and_named(world) {
        let mut config = world.config("ca");
        config.module = world.path("no-such-module.so");
        let Err(Error::Unavailable(fault)) = hsm::Token::new(config).check() else { panic!("it loaded") };
        assert!(fault.to_string().contains("no-such-module.so"), "{fault}");
    }
}

scenario! {
    fn a_key_made_by_another_process_is_usable_after_a_reload(world) {
        match world.step() {
            "main" => {
                world.create_token("ca");
                let token = world.token("ca");
                token.check().unwrap();
                world.run_step("make a key");
                token.reload().unwrap();
                token.signing_key(world.stored("issuer")).check().unwrap();
                // Without being told, a signing key that is not found reloads once by itself.
                world.run_step("make a key");
                token.signing_key(world.stored("issuer")).sign(hsm::Purpose::Content, b"message").unwrap();
            }
            _ => {
                let reference = world.workshop("ca").generate_signing_key("issuer", Algorithm::P256).unwrap();
                world.store("issuer", &reference);
            }
        }
    }
}

scenario! {
    fn another_token_with_the_same_label_is_not_even_sent_the_pin(world) {
        match world.step() {
            "main" => {
                world.create_token("ca");
                let reference = world.workshop("ca").generate_signing_key("issuer", Algorithm::P256).unwrap();
                let pin = std::fs::read_to_string(world.path("ca.pin")).unwrap();
                let token = world.token("ca");
                let key = token.signing_key(reference);
                key.sign(hsm::Purpose::Content, b"message").unwrap();
                let (place, elsewhere) = (world.token_folder(), world.path("elsewhere"));
                std::fs::rename(&place, &elsewhere).unwrap();
                world.run_step("make another token");
                world.write_pin("ca", &pin, 0o600);
                let Err(Error::Refused(fault)) = key.sign(hsm::Purpose::Content, b"message") else { panic!("it signed") };
                assert!(fault.to_string().contains("has taken the place"), "{fault}");
                let refusal = key.check().unwrap_err();
                assert_eq!(refusal.alarm(), Some(AlarmKind::Replaced), "{refusal}");
                // The same where the serial number is configured, and was never seen by this process.
                let mut config = world.config("ca");
                config.uri.serial = token.identity().map(|identity| identity.serial);
                let refusal = hsm::Token::new(config).check().unwrap_err();
                assert_eq!(refusal.alarm(), Some(AlarmKind::Replaced), "{refusal}");
                std::fs::remove_dir_all(world.token_folder()).unwrap();
                std::fs::rename(&elsewhere, &place).unwrap();
                key.sign(hsm::Purpose::Content, b"message").unwrap();
            }
            _ => {
                world.create_token("ca");
            }
        }
    }
}
