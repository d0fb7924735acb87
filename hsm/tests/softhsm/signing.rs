//! Signing: with the right key, and with no other.

use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use hsm::provision::Workshop;
use hsm::{Algorithm, Error, KeyId, KeyReference, Origin};

use crate::harness::{World, scenario};

scenario! {
    fn every_kind_of_key_signs_what_openssl_verifies(world) {
        let config = world.create_token("ca");
        let workshop = Workshop::open(&config).unwrap();
        for (algorithm, hash) in [
            (Algorithm::Rsa(2048), "-sha256"),
            (Algorithm::Rsa(3072), "-sha256"),
            (Algorithm::Rsa(4096), "-sha256"),
            (Algorithm::P256, "-sha256"),
            (Algorithm::P384, "-sha384"),
        ] {
            let reference = workshop.generate_signing_key("issuer", algorithm).unwrap();
            let key = world.token("ca").signing_key(reference.clone());
            key.check().unwrap();
            assert_eq!(key.algorithm(), algorithm);
            assert_eq!(key.origin().unwrap(), Origin::Generated);
            let signature = key.sign(hsm::Purpose::Content, b"to be signed").unwrap();
            assert!(world.openssl_verifies(&reference, hash, b"to be signed", &signature));
            assert!(!world.openssl_verifies(&reference, hash, b"to be forged", &signature));
        }
    }
}

scenario! {
    fn other_sizes_of_rsa_are_refused(world) {
        world.create_token("ca");
        let workshop = world.workshop("ca");
        for bits in [0, 1024, 2047, 8192] {
            let made = workshop.generate_signing_key("issuer", Algorithm::Rsa(bits));
            assert!(matches!(made, Err(Error::Refused(_))));
        }
    }
}

scenario! {
    fn eight_threads_sign_at_once_while_the_module_is_reloaded(world) {
        world.create_token("ca");
        let reference = world.workshop("ca").generate_signing_key("issuer", Algorithm::P256).unwrap();
        let token = world.token("ca");
        let key = token.signing_key(reference.clone());
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let key = &key;
                scope.spawn(move || {
                    for round in 0..40 {
                        key.sign(hsm::Purpose::Content, format!("{thread} {round}").as_bytes()).unwrap();
                    }
                });
            }
            for _ in 0..5 {
                token.reload().unwrap();
            }
        });
        let signature = key.sign(hsm::Purpose::Content, b"after all").unwrap();
        assert!(world.openssl_verifies(&reference, "-sha256", b"after all", &signature));
    }
}

scenario! {
    fn a_key_that_is_not_there_is_no_such_key(world) {
        world.create_token("ca");
        let reference = world.workshop("ca").generate_signing_key("issuer", Algorithm::P256).unwrap();
        let token = world.token("ca");
        let key = token.signing_key(KeyReference { id: KeyId([1; 32]), ..reference.clone() });
        assert!(matches!(key.sign(hsm::Purpose::Content, b"message"), Err(Error::NoSuchKey(_))));
        assert!(matches!(key.check(), Err(Error::NoSuchKey(_))));
        // The token is none the worse for it.
        token.signing_key(reference).check().unwrap();
    }
}

scenario! {
    fn another_public_key_under_the_same_id_is_refused(world) {
        world.create_token("ca");
        let workshop = world.workshop("ca");
        let one = workshop.generate_signing_key("issuer", Algorithm::P256).unwrap();
        let two = workshop.generate_signing_key("issuer", Algorithm::P256).unwrap();
        let key = world.token("ca").signing_key(KeyReference { public_key: two.public_key, ..one });
        let Err(Error::Refused(fault)) = key.sign(hsm::Purpose::Content, b"message") else { panic!("it signed") };
        assert!(fault.to_string().contains("another public key"), "{fault}");
        assert_eq!(key.check().unwrap_err().alarm(), Some(hsm::AlarmKind::Replaced));
    }
}

scenario! {
    fn a_reference_without_a_public_key_is_refused(world) {
        world.create_token("ca");
        let key = world.token("ca").signing_key(KeyReference { id: KeyId([1; 32]), public_key: vec![1, 2, 3] });
        assert_eq!(key.algorithm(), Algorithm::Rsa(0));
        assert!(matches!(key.sign(hsm::Purpose::Content, b"message"), Err(Error::Refused(_))));
    }
}

/// Generates a P-256 pair like ours, with changes, by bare PKCS#11.
fn bare_pair(world: &World, id: KeyId, changes: &[Attribute]) -> (ObjectHandle, ObjectHandle) {
    let session = world.bare("ca");
    let mut private = vec![
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Modifiable(false),
        Attribute::Copyable(false),
        Attribute::Sign(true),
        Attribute::SignRecover(false),
        Attribute::Decrypt(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
        Attribute::AllowedMechanisms(vec![MechanismType::ECDSA]),
        Attribute::Id(id.0.to_vec()),
    ];
    for change in changes {
        private.retain(|attribute| attribute.attribute_type() != change.attribute_type());
        private.push(change.clone());
    }
    let p256 = vec![6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    let public = [
        Attribute::Token(true),
        Attribute::Private(false),
        Attribute::EcParams(p256),
        Attribute::Id(id.0.to_vec()),
    ];
    session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private).unwrap()
}

/// The public key of the only pair with this id, as a token of ours would be told it.
fn spki_of(world: &World, id: KeyId) -> Vec<u8> {
    let session = world.bare("ca");
    let public = session
        .find_objects(&[Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::Id(id.0.to_vec())])
        .unwrap();
    let point =
        session.get_attributes(public[0], &[cryptoki::object::AttributeType::EcPoint]).unwrap();
    let Attribute::EcPoint(point) = &point[0] else { panic!("no point") };
    let mut spki = vec![
        0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48,
        0xce, 0x3d, 3, 1, 7, 3, 0x42, 0,
    ];
    spki.extend(&point[2..]);
    spki
}

scenario! {
    fn an_ambiguous_id_is_refused(world) {
        world.create_token("ca");
        let reference = world.workshop("ca").generate_signing_key("issuer", Algorithm::P256).unwrap();
        bare_pair(world, reference.id, &[]);
        let token = world.token("ca");
        for _ in 0..2 {
            let Err(Error::Refused(fault)) = token.signing_key(reference.clone()).sign(hsm::Purpose::Content, b"message") else {
                panic!("it signed")
            };
            assert!(fault.to_string().contains("not clear which one"), "{fault}");
            token.reload().unwrap();
        }
    }
}

scenario! {
    fn a_key_that_is_held_badly_is_refused(world) {
        world.create_token("ca");
        for (number, change, named) in [
            (1, Attribute::Extractable(true), "CKA_EXTRACTABLE"),
            (2, Attribute::Sensitive(false), "CKA_SENSITIVE"),
            (3, Attribute::Modifiable(true), "CKA_MODIFIABLE"),
            (4, Attribute::Copyable(true), "CKA_COPYABLE"),
            (5, Attribute::Derive(true), "CKA_DERIVE"),
            (6, Attribute::SignRecover(true), "CKA_SIGN_RECOVER"),
            (7, Attribute::AllowedMechanisms(vec![MechanismType::ECDSA, MechanismType::ECDSA_SHA1]), "CKA_ALLOWED_MECHANISMS"),
        ] {
            let id = KeyId([number; 32]);
            bare_pair(world, id, &[change]);
            let reference = KeyReference { id, public_key: spki_of(world, id) };
            let Err(Error::Refused(fault)) = world.token("ca").signing_key(reference).sign(hsm::Purpose::Content, b"message") else {
                panic!("it signed with {named}")
            };
            assert!(fault.to_string().contains(named), "{fault}");
        }
        // The same without a change signs, so the refusals above are about the changes.
        let id = KeyId([9; 32]);
        bare_pair(world, id, &[]);
        let reference = KeyReference { id, public_key: spki_of(world, id) };
        world.token("ca").signing_key(reference).check().unwrap();
    }
}

scenario! {
    fn a_signature_that_does_not_verify_puts_the_token_into_quarantine(world) {
        world.create_token("ca");
        let good = world.workshop("ca").generate_signing_key("issuer", Algorithm::P256).unwrap();
        let id = KeyId([3; 32]);
        // The public key of one pair beside the private key of another.
        bare_pair(world, id, &[]);
        let public_key = spki_of(world, id);
        let pick = |session: &cryptoki::session::Session, class| {
            session.find_objects(&[Attribute::Class(class), Attribute::Id(id.0.to_vec())]).unwrap()
        };
        {
            let session = world.bare("ca");
            for private in pick(&session, ObjectClass::PRIVATE_KEY) {
                session.destroy_object(private).unwrap();
            }
        }
        bare_pair(world, id, &[]);
        {
            let session = world.bare("ca");
            for public in pick(&session, ObjectClass::PUBLIC_KEY) {
                let point = session.get_attributes(public, &[cryptoki::object::AttributeType::EcPoint]).unwrap();
                let Attribute::EcPoint(point) = &point[0] else { panic!("no point") };
                if !public_key.ends_with(&point[2..]) {
                    session.destroy_object(public).unwrap();
                }
            }
        }
        let token = world.token("ca");
        token.signing_key(good.clone()).check().unwrap();
        let wrong = token.signing_key(KeyReference { id, public_key });
        let Err(Error::Refused(fault)) = wrong.sign(hsm::Purpose::Content, b"message") else { panic!("it signed") };
        assert!(fault.to_string().contains("quarantine"), "{fault}");
        // For good, and for every key.
        assert!(matches!(token.signing_key(good.clone()).sign(hsm::Purpose::Content, b"message"), Err(Error::Refused(_))));
        assert!(matches!(token.reload(), Err(Error::Refused(_))));
        assert_eq!(token.check().unwrap_err().alarm(), Some(hsm::AlarmKind::Quarantine));
        assert!(matches!(token.health(), hsm::Health::Alarm(_)));
        // The agent that proves the key by itself finds out as well, and tells every client in this process.
        let Err(refusal) = world.token("ca").signing_key(wrong.reference().clone()).check() else { panic!("it is proved") };
        assert_eq!(refusal.alarm(), Some(hsm::AlarmKind::Quarantine));
        assert_eq!(world.token("ca").check().unwrap_err().alarm(), Some(hsm::AlarmKind::Quarantine));
    }
}

scenario! {
    fn after_shut_down_nothing_is_signed(world) {
        world.create_token("ca");
        let reference = world.workshop("ca").generate_signing_key("issuer", Algorithm::P256).unwrap();
        let key = world.token("ca").signing_key(reference);
        key.sign(hsm::Purpose::Content, b"message").unwrap();
        hsm::shut_down();
        assert!(matches!(key.sign(hsm::Purpose::Content, b"message"), Err(Error::Unavailable(_))));
    }
}
