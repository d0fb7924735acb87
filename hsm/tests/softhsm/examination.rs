//! The examination finds what is wrong, and leaves the token as it was.

use aws_lc_rs::digest;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use hsm::examination::{Check, Examination, Expected, ExpectedKey, Outcome, StrangerKind, examine};
use hsm::{Algorithm, KeyId, KeyReference};

use crate::harness::{World, scenario};

fn on_record(key: &KeyReference) -> ExpectedKey {
    let fingerprint = digest::digest(&digest::SHA256, &key.public_key);
    ExpectedKey::Signing {
        id: key.id,
        public_key_sha256: Some(fingerprint.as_ref().iter().map(|o| format!("{o:02x}")).collect()),
        imported: Some(false),
    }
}

fn unrecorded(id: KeyId) -> ExpectedKey {
    ExpectedKey::Signing { id, public_key_sha256: None, imported: Some(false) }
}

fn complete(keys: Vec<ExpectedKey>) -> Expected {
    Expected { keys, complete: true }
}

fn outcome(seen: &Examination, key: usize, check: Check) -> Outcome {
    let observed = seen.keys[key].observations.iter().find(|observed| observed.check == check);
    observed.unwrap_or_else(|| panic!("{check:?} was not made: {seen:#?}")).outcome
}

/// Everything that a token tells of its objects, to compare before and after.
fn snapshot(session: &Session) -> Vec<String> {
    let kinds = [
        AttributeType::Class,
        AttributeType::Id,
        AttributeType::Label,
        AttributeType::Sensitive,
        AttributeType::Extractable,
        AttributeType::Modifiable,
    ];
    let mut told: Vec<String> = session
        .find_objects(&[])
        .unwrap()
        .into_iter()
        .map(|object| format!("{:?}", session.get_attributes(object, &kinds).unwrap()))
        .collect();
    told.sort();
    told
}

/// P-256, named curve.
const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// A key pair made by other means than ours.
fn key_pair(session: &Session, id: KeyId, label: &str, more: &[Attribute]) -> ObjectHandle {
    let common = [
        Attribute::Token(true),
        Attribute::Id(id.0.to_vec()),
        Attribute::Label(label.as_bytes().to_vec()),
    ];
    let mut public = common.to_vec();
    public.push(Attribute::EcParams(P256.to_vec()));
    let mut private = common.to_vec();
    private.extend([Attribute::Private(true), Attribute::Sign(true)]);
    private.extend_from_slice(more);
    session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private).unwrap().1
}

fn our_keys(world: &World) -> Vec<ExpectedKey> {
    let workshop = world.workshop("ca");
    let mut keys: Vec<_> = [Algorithm::P256, Algorithm::P384, Algorithm::Rsa(2048)]
        .map(|kind| on_record(&workshop.generate_signing_key("issuer", kind).unwrap()))
        .into();
    for (number, mechanism) in (1..).zip(crate::harness::MECHANISMS) {
        let made =
            workshop.generate_generation("sealwright", number, Some(mechanism)).unwrap().keys;
        keys.push(ExpectedKey::Sealing { id: made.sealing });
        keys.push(ExpectedKey::Wrapping { id: made.wrapping });
    }
    keys
}

scenario! {
    fn keys_of_ours_hold_and_the_token_is_as_before(world) {
        world.create_token("ca");
        let keys = our_keys(world);
        let before = snapshot(&world.bare("ca"));
        let seen = examine(&world.config("ca"), &complete(keys)).unwrap();
        for key in &seen.keys {
            // An AES key has no public key, and a wrapping key is stolen from besides.
            let wrapping = key.label.contains("wrapping");
            assert_eq!(key.observations.len(), if key.kind == "AES-256" && !wrapping { 10 } else { 11 });
            for observed in &key.observations {
                // Three of the keys share a label, which is no fault of custody.
                if observed.check == Check::Label && key.label == "issuer" {
                    assert_eq!(observed.outcome, Outcome::Doubtful);
                } else {
                    assert_eq!(observed.outcome, Outcome::Held, "{} {observed:?}", key.kind);
                }
            }
        }
        let kinds: Vec<_> = seen.keys.iter().map(|key| key.kind.as_str()).collect();
        assert_eq!(kinds, ["P-256", "P-384", "RSA-2048", "AES-256", "AES-256", "AES-256", "AES-256"]);
        assert!(seen.token.software && seen.library.manufacturer.contains("SoftHSM"), "{seen:?}");
        assert!(seen.token.flags.is_empty(), "{:?}", seen.token.flags);
        assert_eq!((seen.missing_mechanisms, seen.strangers, seen.more_strangers), (vec![], vec![], 0));
        assert_eq!(snapshot(&world.bare("ca")), before);
    }
}

scenario! {
    fn a_key_that_was_made_carelessly_is_found_out_by_what_the_token_does(world) {
        world.create_token("ca");
        let [open, wrappable, sealing] = [1, 2, 3].map(|octet| KeyId([octet; 32]));
        let bare = world.bare("ca");
        key_pair(&bare, open, "open", &[
            Attribute::Sensitive(false),
            Attribute::Extractable(true),
            Attribute::Derive(true),
        ]);
        key_pair(&bare, wrappable, "wrappable", &[
            Attribute::Sensitive(true),
            Attribute::Extractable(true),
        ]);
        bare.generate_key(&Mechanism::AesKeyGen, &[
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::Token(true),
            Attribute::Id(sealing.0.to_vec()),
            Attribute::ValueLen(32_u64.into()),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
            Attribute::Sign(true),
            Attribute::Wrap(true),
        ]).unwrap();
        let before = snapshot(&bare);
        drop(bare);
        let keys = vec![unrecorded(open), unrecorded(wrappable), ExpectedKey::Sealing { id: sealing }];
        let seen = examine(&world.config("ca"), &complete(keys)).unwrap();
        let broken = |key: usize| -> Vec<Check> {
            let broken = seen.keys[key].observations.iter().filter(|o| o.outcome == Outcome::Broken);
            broken.map(|observed| observed.check).collect()
        };
        use Check::{Attributes, NotCopied, NotWrapped, OneUsage, ValueNotTold};
        assert_eq!(broken(0), [Attributes, ValueNotTold, NotCopied, NotWrapped, OneUsage]);
        assert_eq!(broken(1), [Attributes, NotCopied, NotWrapped]);
        assert_eq!(broken(2), [Attributes, OneUsage]);
        assert_eq!(outcome(&seen, 0, Check::PublicKey), Outcome::Doubtful);
        // Each wrong attribute is named, not only the first.
        let attributes = &seen.keys[0].observations.iter().find(|o| o.check == Attributes).unwrap().detail;
        for name in ["CKA_SENSITIVE", "CKA_EXTRACTABLE", "CKA_MODIFIABLE", "CKA_DERIVE"] {
            assert!(attributes.contains(name), "{attributes}");
        }
        assert_eq!(snapshot(&world.bare("ca")), before);
    }
}

scenario! {
    fn a_wrapping_key_without_a_template_is_found_out_by_the_theft(world) {
        world.create_token("sealing");
        let ours = world.workshop("sealing").generate_generation("sealwright", 1, None).unwrap().keys;
        let careless = KeyId([1; 32]);
        let bare = world.bare("sealing");
        bare.generate_key(&Mechanism::AesKeyGen, &[
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Id(careless.0.to_vec()),
            Attribute::ValueLen(32_u64.into()),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Wrap(true),
            Attribute::Unwrap(true),
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
        ]).unwrap();
        let before = snapshot(&bare);
        drop(bare);
        let keys = [ours.wrapping, careless].map(|id| ExpectedKey::Wrapping { id });
        let seen = examine(&world.config("sealing"), &complete(keys.into())).unwrap();
        for (key, theft, usage) in [(0, Outcome::Held, Outcome::Held), (1, Outcome::Broken, Outcome::Broken)] {
            assert_eq!(outcome(&seen, key, Check::NotTakenOut), theft, "{seen:#?}");
            assert_eq!(outcome(&seen, key, Check::OneUsage), usage, "{seen:#?}");
            assert_eq!(outcome(&seen, key, Check::Proof), Outcome::Held);
            // Nobody is told that nothing can be done any more.
            let told = seen.keys[key].observations.iter().find(|o| o.check == Check::NotTakenOut).unwrap();
            assert!(told.detail.contains("wrap it again under a key of their own"), "{told:?}");
        }
        // The sealing key was not on record.
        assert_eq!(seen.strangers.len(), 1);
        assert_eq!(snapshot(&world.bare("sealing")), before);
    }
}

scenario! {
    fn strangers_substitutions_and_ambiguous_keys_are_told_apart(world) {
        world.create_token("ca");
        let ours = world.workshop("ca").generate_signing_key("issuer", Algorithm::P256).unwrap();
        let bare = world.bare("ca");
        key_pair(&bare, KeyId([1; 32]), "litter", &[]);
        key_pair(&bare, KeyId([2; 32]), "issuer", &[]);
        drop(bare);

        let seen = examine(&world.config("ca"), &complete(vec![on_record(&ours)])).unwrap();
        let told: Vec<_> = seen.strangers.iter()
            .map(|stranger| (stranger.kind, stranger.label.as_str(), stranger.resembles_ours))
            .collect();
        for kind in [StrangerKind::PrivateKey, StrangerKind::PublicKey] {
            assert!(told.contains(&(kind, "litter", false)), "{told:?}");
            assert!(told.contains(&(kind, "issuer", true)), "{told:?}");
        }
        assert_eq!(told.len(), 4);

        // Without a complete record every key is examined, and none is called a stranger.
        let incomplete = Expected { keys: vec![on_record(&ours)], complete: false };
        let seen = examine(&world.config("ca"), &incomplete).unwrap();
        assert_eq!((seen.keys.len(), seen.strangers.len()), (3, 0));
        assert_eq!(outcome(&seen, 0, Check::PublicKey), Outcome::Held);
        assert_eq!(outcome(&seen, 1, Check::PublicKey), Outcome::Doubtful);

        // Another public key than the one on record.
        let other = KeyReference { id: ours.id, public_key: vec![1] };
        let seen = examine(&world.config("ca"), &complete(vec![on_record(&other)])).unwrap();
        assert_eq!(outcome(&seen, 0, Check::PublicKey), Outcome::Broken);

        // A second key under the id of ours, and a key that is not there.
        key_pair(&world.bare("ca"), ours.id, "second", &[]);
        let keys = vec![on_record(&ours), unrecorded(KeyId([9; 32]))];
        let seen = examine(&world.config("ca"), &complete(keys)).unwrap();
        for key in 0..2 {
            assert_eq!(outcome(&seen, key, Check::Present), Outcome::Broken);
            assert_eq!(seen.keys[key].observations.len(), 1, "nothing is done with a key that is not clear");
        }
    }
}

scenario! {
    fn it_works_where_the_folder_cannot_be_written(world) {
        match world.step() {
            "main" => {
                world.create_token("ca");
                world.store("issuer", &world.workshop("ca").generate_signing_key("issuer", Algorithm::Rsa(2048)).unwrap());
                world.run_step("examine");
            }
            _ => {
                crate::read_only::become_read_only(world);
                let seen = examine(&world.config("ca"), &complete(vec![on_record(&world.stored("issuer"))])).unwrap();
                assert!(seen.keys[0].observations.iter().all(|o| o.outcome == Outcome::Held), "{seen:#?}");
            }
        }
    }
}

scenario! {
    fn a_pin_that_is_refused_is_tried_once(world) {
        world.create_token("ca");
        world.write_pin("ca", "not the PIN", 0o600);
        for _ in 0..2 {
            let refused = examine(&world.config("ca"), &complete(Vec::new())).unwrap_err();
            assert!(matches!(refused, hsm::Error::Locked(_)), "{refused}");
        }
    }
}
