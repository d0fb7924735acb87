//! What the token says about our keys, asked by bare PKCS#11, and what it does not let happen to them.

use cryptoki::mechanism::MechanismType;
use cryptoki::object::{Attribute as A, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use hsm::{Algorithm, Error, KeyId, Origin};

use crate::harness::{openssl, scenario, text};

fn find(session: &Session, class: ObjectClass, id: KeyId) -> ObjectHandle {
    let found = session.find_objects(&[A::Class(class), A::Id(id.0.to_vec())]).unwrap();
    assert_eq!(found.len(), 1);
    found[0]
}

fn has(session: &Session, object: ObjectHandle, wanted: &[A]) {
    for attribute in wanted {
        let read = session.get_attributes(object, &[attribute.attribute_type()]).unwrap();
        assert_eq!(read, std::slice::from_ref(attribute));
    }
}

const HELD: [A; 6] = [
    A::Token(true),
    A::Private(true),
    A::Sensitive(true),
    A::Extractable(false),
    A::Modifiable(false),
    A::Copyable(false),
];
const BORN_IN_THE_TOKEN: [A; 3] =
    [A::AlwaysSensitive(true), A::NeverExtractable(true), A::Local(true)];

fn cannot_be_taken_out(session: &Session, object: ObjectHandle, secret: AttributeType) {
    let read = session.get_attributes(object, &[secret]).unwrap();
    assert!(
        read.iter()
            .all(|value| matches!(value, A::Value(v) | A::PrivateExponent(v) if v.is_empty()))
    );
    for change in [
        A::Extractable(true),
        A::Sensitive(false),
        A::Modifiable(true),
        A::Copyable(true),
        A::Derive(true),
    ] {
        assert!(
            session.update_attributes(object, std::slice::from_ref(&change)).is_err(),
            "{change:?}"
        );
        let now = session.get_attributes(object, &[change.attribute_type()]).unwrap();
        assert_ne!(now, [change]);
    }
    assert!(session.copy_object(object, &[A::Extractable(true), A::Sensitive(false)]).is_err());
}

scenario! {
    fn signing_keys_are_held_as_their_role_demands(world) {
        world.create_token("ca");
        for (algorithm, generation, only, secret) in [
            (Algorithm::Rsa(2048), MechanismType::RSA_PKCS_KEY_PAIR_GEN, MechanismType::RSA_PKCS, AttributeType::PrivateExponent),
            (Algorithm::P256, MechanismType::ECC_KEY_PAIR_GEN, MechanismType::ECDSA, AttributeType::Value),
        ] {
            let key = world.workshop("ca").generate_signing_key("issuer", algorithm).unwrap();
            let session = world.bare("ca");
            let object = find(&session, ObjectClass::PRIVATE_KEY, key.id);
            has(&session, object, &HELD);
            has(&session, object, &BORN_IN_THE_TOKEN);
            has(&session, object, &[
                A::Sign(true),
                A::SignRecover(false),
                A::Decrypt(false),
                A::Unwrap(false),
                A::Derive(false),
                A::KeyGenMechanism(generation),
                A::AllowedMechanisms(vec![only]),
                A::Label(b"issuer".to_vec()),
            ]);
            cannot_be_taken_out(&session, object, secret);
        }
    }
}

scenario! {
    fn sealing_and_wrapping_keys_are_held_as_their_role_demands(world) {
        world.create_token("sealing");
        let [gcm, key_wrap] = crate::harness::MECHANISMS.map(|mechanism| world.generation("sealing", 1, mechanism));
        let session = world.bare("sealing");
        for (id, encrypts) in [
            (gcm.sealing, true),
            (gcm.wrapping, false),
            (key_wrap.sealing, false),
            (key_wrap.wrapping, false),
        ] {
            let only = if encrypts { MechanismType::AES_GCM } else { MechanismType::AES_KEY_WRAP_PAD };
            let object = find(&session, ObjectClass::SECRET_KEY, id);
            has(&session, object, &HELD);
            has(&session, object, &BORN_IN_THE_TOKEN);
            has(&session, object, &[
                A::Encrypt(encrypts),
                A::Decrypt(encrypts),
                A::Sign(false),
                A::Verify(false),
                A::Wrap(!encrypts),
                A::Unwrap(!encrypts),
                A::Derive(false),
                A::ValueLen(32.into()),
                A::KeyGenMechanism(MechanismType::AES_KEY_GEN),
                A::AllowedMechanisms(vec![only]),
            ]);
            cannot_be_taken_out(&session, object, AttributeType::Value);
        }
    }
}

scenario! {
    fn imported_keys_sign_and_stay_marked_as_imported(world) {
        world.create_token("ca");
        for (number, options, algorithm, hash) in [
            (1, ["RSA", "rsa_keygen_bits:2048"], Algorithm::Rsa(2048), "-sha256"),
            (2, ["RSA", "rsa_keygen_bits:3072"], Algorithm::Rsa(3072), "-sha256"),
            (3, ["EC", "ec_paramgen_curve:P-256"], Algorithm::P256, "-sha256"),
            (4, ["EC", "ec_paramgen_curve:P-384"], Algorithm::P384, "-sha384"),
        ] {
            let pkcs8 = world.path(&format!("{number}.der"));
            let [kind, option] = options;
            let made = world.path("made.pem");
            assert!(openssl(&["genpkey", "-algorithm", kind, "-pkeyopt", option, "-out", text(&made)]));
            assert!(openssl(&["pkcs8", "-topk8", "-nocrypt", "-in", text(&made), "-outform", "DER", "-out", text(&pkcs8)]));
            let spki = world.path(&format!("{number}.spki"));
            assert!(openssl(&["pkey", "-inform", "DER", "-in", text(&pkcs8), "-pubout", "-outform", "DER", "-out", text(&spki)]));

            let octets = std::fs::read(&pkcs8).unwrap();
            let reference = world.workshop("ca").import_signing_key("imported", &octets).unwrap();
            assert_eq!(reference.public_key, std::fs::read(&spki).unwrap());
            {
                let key = world.token("ca").signing_key(reference.clone());
                key.check().unwrap();
                assert_eq!(key.algorithm(), algorithm);
                assert_eq!(key.origin().unwrap(), Origin::Imported);
                let signature = key.sign(hsm::Purpose::Content, b"message").unwrap();
                assert!(world.openssl_verifies(&reference, hash, b"message", &signature));
            }
            let session = world.bare("ca");
            let object = find(&session, ObjectClass::PRIVATE_KEY, reference.id);
            has(&session, object, &HELD);
            has(&session, object, &[A::Local(false), A::AlwaysSensitive(false), A::NeverExtractable(false)]);
        }
    }
}

scenario! {
    fn what_is_no_private_key_is_not_imported(world) {
        world.create_token("ca");
        let pkcs8 = world.path("small.der");
        assert!(openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024", "-outform", "DER", "-out", text(&pkcs8)]));
        let workshop = world.workshop("ca");
        for octets in [std::fs::read(pkcs8).unwrap(), b"no key".to_vec()] {
            assert!(matches!(workshop.import_signing_key("x", &octets), Err(Error::Refused(_))));
        }
        drop(workshop);
        assert!(world.bare("ca").find_objects(&[]).unwrap().is_empty());
    }
}
