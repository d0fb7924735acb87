//! Sealing: opens for its context and for no other, and a changed record is never a fault of the token. Each in both
//! mechanisms.

use hsm::{Content, Error, Header, KeyGeneration, SealingMechanism};

use crate::harness::{MECHANISMS, objects, scenario};

scenario! {
    fn sealed_data_opens_only_for_its_context(world) {
        world.create_token("sealing");
        for mechanism in MECHANISMS {
            let key = world.token("sealing").sealing_keys(world.generation("sealing", 5, mechanism));
            key.check().unwrap();
            for secret in [&b""[..], b"x", &[7; 1704], &[8; 100_000]] {
                let sealed = key.seal(b"store 1, entry 2", secret).unwrap();
                assert_eq!(Header::read(&sealed), Some(Header {
                    generation: 5,
                    sealing: key.generation().sealing,
                    mechanism,
                    content: Content::Secret,
                }));
                assert_eq!(key.open(b"store 1, entry 2", &sealed).unwrap().as_slice(), secret);
                for context in [&b"store 1, entry 3"[..], b"store 1, entry ", b""] {
                    assert!(matches!(key.open(context, &sealed), Err(Error::Unreadable(_))));
                }
            }
            assert!(matches!(key.seal(b"", b"secret"), Err(Error::Refused(_))));
        }
    }
}

scenario! {
    fn the_same_data_is_never_sealed_alike(world) {
        world.create_token("sealing");
        for (mechanism, iv) in MECHANISMS.into_iter().zip([40..52, 80..92]) {
            let key = world.token("sealing").sealing_keys(world.generation("sealing", 1, mechanism));
            let sealed: Vec<_> = (0..100).map(|_| key.seal(b"context", b"secret").unwrap()).collect();
            for part in [iv, 40..72] {
                let parts: std::collections::HashSet<_> =
                    sealed.iter().map(|sealed| sealed[part.clone()].to_vec()).collect();
                assert_eq!(parts.len(), 100);
            }
        }
    }
}

scenario! {
    fn changed_data_is_unreadable_and_the_token_stays_well(world) {
        world.create_token("sealing");
        for (mechanism, shortest) in MECHANISMS.into_iter().zip([68, 108]) {
            let key = world.token("sealing").sealing_keys(world.generation("sealing", 1, mechanism));
            let sealed = key.seal(b"context", b"secret").unwrap();
            assert_eq!(sealed.len(), shortest + 6);
            for at in 0..sealed.len() {
                // The bits that make another content, mechanism or version of octet 3 among them.
                for bit in [1, 2, 3, 0x10] {
                    let mut changed = sealed.clone();
                    changed[at] ^= bit;
                    assert!(matches!(key.open(b"context", &changed), Err(Error::Unreadable(_))), "octet {at}");
                }
            }
            for length in 0..sealed.len() {
                assert!(matches!(key.open(b"context", &sealed[..length]), Err(Error::Unreadable(_))), "{length}");
            }
            let mut longer = sealed.clone();
            longer.push(0);
            assert!(matches!(key.open(b"context", &longer), Err(Error::Unreadable(_))));
            assert_eq!(key.open(b"context", &sealed).unwrap().as_slice(), b"secret");
        }
    }
}

scenario! {
    fn data_of_another_key_is_unreadable(world) {
        world.create_token("sealing");
        for mechanism in MECHANISMS {
            let [one, two] = [1, 2].map(|number| world.generation("sealing", number, mechanism));
            let token = world.token("sealing");
            let sealed = token.sealing_keys(one).seal(b"context", b"secret").unwrap();
            let mut relabelled = sealed.clone();
            relabelled[8..40].copy_from_slice(&two.sealing.0);
            for octets in [sealed, relabelled] {
                assert!(matches!(token.sealing_keys(two).open(b"context", &octets), Err(Error::Unreadable(_))));
            }
        }
    }
}

scenario! {
    fn another_kind_of_key_is_refused(world) {
        world.create_token("ca");
        let workshop = world.workshop("ca");
        let key = workshop.generate_signing_key("issuer", hsm::Algorithm::P256).unwrap();
        let made = workshop.generate_generation("sealwright", 1, None).unwrap().keys;
        let token = world.token("ca");
        let check = |sealing, wrapping| token.sealing_keys(KeyGeneration { number: 1, sealing, wrapping }).check();
        check(made.sealing, made.wrapping).unwrap();
        assert!(matches!(check(key.id, made.wrapping), Err(Error::NoSuchKey(_))));
        assert!(matches!(check(made.sealing, key.id), Err(Error::NoSuchKey(_))));
        // A wrapping key is no sealing key, nor the other way round.
        assert!(check(made.wrapping, made.sealing).is_err());
        let other = workshop.generate_generation("sealwright", 2, None).unwrap().keys;
        assert!(matches!(check(made.sealing, other.sealing), Err(Error::Refused(_))));
    }
}

scenario! {
    fn keys_of_a_former_version_seal_and_have_no_wrapping_key(world) {
        world.create_token("sealing");
        let sealing = world.generation("sealing", 1, SealingMechanism::Gcm).sealing;
        let keys = world.token("sealing").sealing_keys(KeyGeneration { number: 1, sealing, wrapping: sealing });
        keys.check().unwrap();
        let sealed = keys.seal(b"context", b"secret").unwrap();
        keys.open(b"context", &sealed).unwrap();
        let Err(Error::Refused(fault)) = keys.generate(hsm::Algorithm::P256, b"context") else { panic!("born") };
        assert!(fault.to_string().contains("former version"), "{fault}");
    }
}

scenario! {
    fn data_is_sealed_anew_under_the_next_keys(world) {
        world.create_token("sealing");
        use SealingMechanism::{Gcm, KeyWrap};
        for (from, to) in [(Gcm, Gcm), (Gcm, KeyWrap), (KeyWrap, Gcm), (KeyWrap, KeyWrap)] {
            let (one, two) = (world.generation("sealing", 1, from), world.generation("sealing", 2, to));
            let token = world.token("sealing");
            let (old, new) = (token.sealing_keys(one), token.sealing_keys(two));
            let sealed = old.seal(b"version 1", b"secret").unwrap();
            let beside = world.beside("sealing");
            let before = objects(&beside);
            let resealed = new.reseal(&old, b"version 1", b"version 2", &sealed).unwrap();
            assert_eq!(objects(&beside), before);
            let header = Header::read(&resealed).unwrap();
            assert_eq!((header.generation, header.sealing, header.mechanism), (2, two.sealing, to));
            assert_eq!(new.open(b"version 2", &resealed).unwrap().as_slice(), b"secret");
            assert!(matches!(new.open(b"version 1", &resealed), Err(Error::Unreadable(_))));
            assert!(matches!(old.open(b"version 2", &resealed), Err(Error::Unreadable(_))));
            // In its own generation, for another place.
            let moved = old.reseal(&old, b"version 1", b"version 2", &sealed).unwrap();
            assert_eq!(old.open(b"version 2", &moved).unwrap().as_slice(), b"secret");
            // Nothing is sealed anew that did not open, and nothing without a place.
            for (old_context, context) in [(&b"version 2"[..], &b"version 2"[..]), (b"version 1", b"")] {
                assert!(new.reseal(&old, old_context, context, &sealed).is_err());
            }
            assert!(matches!(new.reseal(&new, b"version 1", b"version 2", &sealed), Err(Error::Unreadable(_))));
        }
    }
}
