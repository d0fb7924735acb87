//! Searches that find nothing, too much, or an object that is not whole. Nothing is signed by guess.

use hsm::provision::Workshop;
use hsm::{Algorithm, Error, Purpose, Token};

use super::scene::{Bench, Keys, Scene};
use crate::harness::{World, scenario};

/// `CKA_ID`, `CKA_EC_PARAMS` and `CKA_EC_POINT`.
const ID: &str = "0x102";
const PARAMETERS: &str = "0x180";
const POINT: &str = "0x181";

/// The outcome of a signature whose key is not found yet, and how often the module was initialised and asked to sign.
fn sign(scene: &Scene<'_>, keys: &Keys, rules: &[&str]) -> (Result<Vec<u8>, Error>, u64, u64) {
    let token = scene.token("ca");
    token.check().unwrap();
    let signing = token.signing_key(keys.issuer.clone());
    let (outcome, counts) = scene.during(rules, || signing.sign(Purpose::Content, b"message"));
    (outcome, counts.calls("C_Initialize"), counts.calls("C_Sign"))
}

scenario! {
    fn a_key_that_is_not_found_is_looked_for_once_in_a_fresh_view(world) {
        let keys = Keys::make(world, "ca");
        let scene = Scene::new(world);
        let (outcome, initialised, signed) = sign(&scene, &keys, &["C_FindObjects empty count=1"]);
        assert!(world.openssl_verifies(&keys.issuer, "-sha256", b"message", &outcome.unwrap()));
        assert_eq!((initialised, signed), (1, 1));
        let (outcome, initialised, signed) = sign(&scene, &keys, &["C_FindObjects empty"]);
        assert!(matches!(outcome, Err(Error::NoSuchKey(_))), "{outcome:?}");
        assert_eq!((initialised, signed), (1, 0));
    }
}

scenario! {
    fn an_object_that_is_found_twice_is_not_chosen_from(world) {
        let keys = Keys::make(world, "ca");
        let scene = Scene::new(world);
        let (outcome, initialised, signed) = sign(&scene, &keys, &["C_FindObjects twice"]);
        let Err(Error::Refused(fault)) = outcome else { panic!("{outcome:?}") };
        assert!(fault.to_string().contains("it is not clear which one is meant"), "{fault}");
        assert_eq!((initialised, signed), (0, 0));
    }
}

scenario! {
    fn a_second_key_with_the_same_label_is_never_used_in_its_place(world) {
        let keys = Keys::make(world, "ca");
        world.workshop("ca").generate_signing_key("issuer", Algorithm::P256).unwrap();
        let scene = Scene::new(world);
        // The token gives every private key, whatever identifier is asked for.
        let rule = format!("C_FindObjectsInit ignore={ID}");
        let (outcome, initialised, signed) = sign(&scene, &keys, &[&rule]);
        assert!(matches!(outcome, Err(Error::Refused(_))), "{outcome:?}");
        assert_eq!((initialised, signed), (0, 0));
    }
}

scenario! {
    fn a_key_that_a_token_gives_for_another_is_told_by_its_public_key(world) {
        let keys = Keys::make(world, "ca");
        world.create_token("other");
        world.workshop("other").generate_signing_key("issuer", Algorithm::P256).unwrap();
        let scene = Scene::new(world);
        // It holds one key, and gives it for any identifier.
        let token = scene.token("other");
        token.check().unwrap();
        let signing = token.signing_key(keys.issuer.clone());
        let rule = format!("C_FindObjectsInit ignore={ID}");
        let (outcome, counts) = scene.during(&[&rule], || signing.sign(Purpose::Content, b"message"));
        let Err(Error::Refused(fault)) = outcome else { panic!("{outcome:?}") };
        assert!(fault.to_string().contains("another public key"), "{fault}");
        assert_eq!(counts.calls("C_Sign"), 0);
    }
}

scenario! {
    fn attributes_that_are_cut_short_are_no_key(world) {
        let keys = Keys::make(world, "ca");
        let scene = Scene::new(world);
        let points = [0, 1, 33, 66].map(|octets| (POINT, octets));
        for (attribute, octets) in points.into_iter().chain([(PARAMETERS, 0), (PARAMETERS, 9)]) {
            let rule = format!("C_GetAttributeValue truncate={attribute}:{octets}");
            let (outcome, _, signed) = sign(&scene, &keys, &[&rule]);
            assert!(matches!(outcome, Err(Error::NoSuchKey(_) | Error::Refused(_))), "{rule}: {outcome:?}");
            assert_eq!(signed, 0, "{rule}");
        }
        // The longest that it is is all of it; and an identifier is sought and not read, so that it may be cut.
        for (attribute, octets) in [(POINT, 67), (ID, 0)] {
            let rule = format!("C_GetAttributeValue truncate={attribute}:{octets}");
            let (outcome, ..) = sign(&scene, &keys, &[&rule]);
            assert!(world.openssl_verifies(&keys.issuer, "-sha256", b"message", &outcome.unwrap()), "{rule}");
        }
    }
}

scenario! {
    fn sealing_keys_are_found_with_the_same_care(world) {
        let keys = Keys::make(world, "ca");
        let scene = Scene::new(world);
        let sealed = scene.token("ca").sealing_keys(keys.generation).seal(b"context", b"secret").unwrap();
        let open = |rules: &[&str]| {
            let token: std::sync::Arc<Token> = scene.token("ca");
            token.check().unwrap();
            scene.during(rules, || token.sealing_keys(keys.generation).open(b"context", &sealed))
        };
        let (outcome, counts) = open(&["C_FindObjects empty count=1"]);
        assert_eq!(*outcome.unwrap(), b"secret");
        assert_eq!((counts.calls("C_Initialize"), counts.calls("C_Decrypt")), (1, 1));
        let (outcome, counts) = open(&["C_FindObjects empty"]);
        assert!(matches!(outcome, Err(Error::NoSuchKey(_))), "{outcome:?}");
        assert_eq!((counts.calls("C_Initialize"), counts.calls("C_Decrypt")), (1, 0));
        for rule in ["C_FindObjects twice".to_owned(), format!("C_FindObjectsInit ignore={ID}")] {
            let (outcome, counts) = open(&[&rule]);
            assert!(matches!(outcome, Err(Error::Refused(_))), "{outcome:?}");
            assert_eq!((counts.calls("C_Initialize"), counts.calls("C_Decrypt")), (0, 0), "{rule}");
        }
    }
}

scenario! {
    fn a_key_pair_that_is_made_and_not_told_of_is_removed_again(world) {
        let keys = Keys::make(world, "ca");
        let scene = Scene::new(world);
        let workshop = Workshop::open(&scene.config("ca")).unwrap();
        let bench = Bench::new(scene.token("ca"), &keys);
        bench.sign().unwrap();
        let before = objects_of(world);
        // The pair is there, and the token says that it is not.
        let (outcome, counts) = scene.during(&["C_GenerateKeyPair answer-after=0x30"], || {
            workshop.generate_signing_key("further", Algorithm::P256)
        });
        assert!(matches!(outcome, Err(Error::Unavailable(_))), "{outcome:?}");
        assert_eq!((counts.calls("C_GenerateKeyPair"), counts.calls("C_DestroyObject")), (1, 2));
        assert_eq!(objects_of(world), before);
        bench.sign().unwrap();
    }
}

/// The files of the token's objects.
fn objects_of(world: &World) -> std::collections::BTreeSet<std::path::PathBuf> {
    let files = std::fs::read_dir(world.token_folder()).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|end| end == "object")).collect()
}
