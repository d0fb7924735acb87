//! Sealing: opens for its context and for no other, and a changed record is never a fault of the token.

use hsm::Error;

use crate::harness::scenario;

scenario! {
    fn sealed_data_opens_only_for_its_context(world) {
        world.create_token("sealing");
        let id = world.workshop("sealing").generate_wrapping_key("wrapping").unwrap();
        let key = world.token("sealing").wrapping_key(id);
        key.check().unwrap();
        for secret in [&b""[..], b"x", &[7; 1704], &[8; 100_000]] {
            let sealed = key.seal(b"store 1, entry 2", secret).unwrap();
            assert_eq!(key.open(b"store 1, entry 2", &sealed).unwrap().as_slice(), secret);
            for context in [&b"store 1, entry 3"[..], b"store 1, entry ", b""] {
                assert!(matches!(key.open(context, &sealed), Err(Error::Unreadable(_))));
            }
        }
        assert!(matches!(key.seal(b"", b"secret"), Err(Error::Refused(_))));
    }
}

scenario! {
    fn the_same_data_is_never_sealed_alike(world) {
        world.create_token("sealing");
        let id = world.workshop("sealing").generate_wrapping_key("wrapping").unwrap();
        let key = world.token("sealing").wrapping_key(id);
        let vectors: std::collections::HashSet<_> =
            (0..100).map(|_| key.seal(b"context", b"secret").unwrap()[40..52].to_vec()).collect();
        assert_eq!(vectors.len(), 100);
    }
}

scenario! {
    fn changed_data_is_unreadable_and_the_token_stays_well(world) {
        world.create_token("sealing");
        let id = world.workshop("sealing").generate_wrapping_key("wrapping").unwrap();
        let key = world.token("sealing").wrapping_key(id);
        let sealed = key.seal(b"context", b"secret").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(matches!(key.open(b"context", &changed), Err(Error::Unreadable(_))), "octet {at}");
        }
        for length in [0, 3, 51, 52, 67, sealed.len() - 1] {
            assert!(matches!(key.open(b"context", &sealed[..length]), Err(Error::Unreadable(_))));
        }
        let mut longer = sealed.clone();
        longer.push(0);
        assert!(matches!(key.open(b"context", &longer), Err(Error::Unreadable(_))));
        assert_eq!(key.open(b"context", &sealed).unwrap().as_slice(), b"secret");
    }
}

scenario! {
    fn data_of_another_key_is_unreadable(world) {
        world.create_token("sealing");
        let workshop = world.workshop("sealing");
        let (one, two) = (
            workshop.generate_wrapping_key("wrapping").unwrap(),
            workshop.generate_wrapping_key("wrapping").unwrap(),
        );
        let token = world.token("sealing");
        let sealed = token.wrapping_key(one).seal(b"context", b"secret").unwrap();
        let mut relabelled = sealed.clone();
        relabelled[8..40].copy_from_slice(&two.0);
        for octets in [sealed, relabelled] {
            assert!(matches!(token.wrapping_key(two).open(b"context", &octets), Err(Error::Unreadable(_))));
        }
    }
}

scenario! {
    fn a_signing_key_is_no_wrapping_key(world) {
        world.create_token("ca");
        let key = world.workshop("ca").generate_signing_key("issuer", hsm::Algorithm::P256).unwrap();
        assert!(matches!(world.token("ca").wrapping_key(key.id).check(), Err(Error::NoSuchKey(_))));
    }
}
