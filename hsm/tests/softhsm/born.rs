//! Keys born in the token: made there, never in it for good, and read only by whoever may open what is sealed.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair,
};
use hsm::{Algorithm, Content, Error, Header, Purpose, Scheme, SealingMechanism};

use crate::harness::{MECHANISMS, objects, openssl, scenario, text};

const ALL: [Algorithm; 5] = [
    Algorithm::P256,
    Algorithm::P384,
    Algorithm::Rsa(2048),
    Algorithm::Rsa(3072),
    Algorithm::Rsa(4096),
];

/// The public key that a second implementation computes from a private key.
fn public_key_of(algorithm: Algorithm, pkcs8: &[u8]) -> Vec<u8> {
    let ec = |signing| {
        let pair = EcdsaKeyPair::from_pkcs8(signing, pkcs8).unwrap();
        pair.public_key().as_der().unwrap().as_ref().to_vec()
    };
    match algorithm {
        Algorithm::P256 => ec(&ECDSA_P256_SHA256_ASN1_SIGNING),
        Algorithm::P384 => ec(&ECDSA_P384_SHA384_ASN1_SIGNING),
        Algorithm::Rsa(_) => {
            let pair = aws_lc_rs::rsa::KeyPair::from_pkcs8(pkcs8).unwrap();
            pair.public_key().as_der().unwrap().as_ref().to_vec()
        }
    }
}

scenario! {
    fn a_key_born_in_the_token_opens_to_its_pkcs8_and_stays_nowhere(world) {
        world.create_token("sealing");
        for mechanism in MECHANISMS {
            let keys = world.token("sealing").sealing_keys(world.generation("sealing", 1, mechanism));
            keys.check().unwrap();
            let beside = world.beside("sealing");
            let before = objects(&beside);
            // The slow ones once.
            let kinds = if mechanism == SealingMechanism::Gcm { &ALL[..] } else { &ALL[..3] };
            for algorithm in kinds.iter().copied() {
                let born = keys.generate(algorithm, b"context").unwrap();
                let header = Header::read(&born.sealed).unwrap();
                assert_eq!((header.content, header.mechanism), (Content::WrappedKey, mechanism));
                assert_eq!(objects(&beside), before, "{algorithm}");
                let pkcs8 = keys.open(b"context", &born.sealed).unwrap();
                assert_eq!(objects(&beside), before, "{algorithm}");
                assert_eq!(public_key_of(algorithm, &pkcs8), born.public_key);
                // OpenSSL agrees, and finds nothing behind the key.
                let (private, public) = (world.path("key.der"), world.path("key.spki"));
                std::fs::write(&private, &pkcs8).unwrap();
                assert!(openssl(&["pkey", "-inform", "DER", "-in", text(&private), "-pubout",
                    "-outform", "DER", "-out", text(&public)]));
                assert_eq!(std::fs::read(&public).unwrap(), born.public_key);
                assert!(matches!(keys.open(b"another", &born.sealed), Err(Error::Unreadable(_))));
            }
            assert!(matches!(keys.generate(Algorithm::Rsa(1024), b"context"), Err(Error::Refused(_))));
            assert!(matches!(keys.generate(Algorithm::P256, b""), Err(Error::Refused(_))));
            assert_eq!(objects(&beside), before);
        }
    }
}

scenario! {
    fn nothing_is_left_behind_when_it_fails(world) {
        world.create_token("sealing");
        let keys = world.token("sealing").sealing_keys(world.generation("sealing", 1, SealingMechanism::KeyWrap));
        let born = keys.generate(Algorithm::P256, b"context").unwrap();
        let sealed = keys.seal(b"context", b"secret").unwrap();
        let beside = world.beside("sealing");
        let before = objects(&beside);
        for at in [0, 3, 8, 45, 85, 100] {
            for octets in [&born.sealed, &sealed] {
                let mut changed = octets.clone();
                changed[at] ^= 1;
                assert!(matches!(keys.open(b"context", &changed), Err(Error::Unreadable(_))), "{at}");
                assert!(matches!(keys.reseal(&keys, b"context", b"another", &changed), Err(Error::Unreadable(_))));
                let signed = keys.sign(b"context", &changed, Purpose::Content, Scheme::EcdsaP256Sha256, b"m");
                assert!(matches!(signed, Err(Error::Unreadable(_))));
            }
        }
        assert_eq!(objects(&beside), before);
    }
}

scenario! {
    fn a_born_key_goes_from_generation_to_generation(world) {
        world.create_token("sealing");
        use SealingMechanism::{Gcm, KeyWrap};
        for (from, to) in [(Gcm, Gcm), (Gcm, KeyWrap), (KeyWrap, Gcm)] {
            let (one, two) = (world.generation("sealing", 1, from), world.generation("sealing", 2, to));
            let token = world.token("sealing");
            let (old, new) = (token.sealing_keys(one), token.sealing_keys(two));
            for algorithm in [Algorithm::P256, Algorithm::P384, Algorithm::Rsa(2048)] {
                let born = old.generate(algorithm, b"version 1").unwrap();
                let clear = old.open(b"version 1", &born.sealed).unwrap();
                let beside = world.beside("sealing");
                let before = objects(&beside);
                let mut sealed = born.sealed;
                for (old, context, next) in [(&old, b"version 1", b"version 2"), (&new, b"version 2", b"version 3")] {
                    sealed = new.reseal(old, context, next, &sealed).unwrap();
                    let header = Header::read(&sealed).unwrap();
                    assert_eq!((header.generation, header.content), (2, Content::WrappedKey));
                    assert_eq!(new.open(next, &sealed).unwrap(), clear);
                }
                assert_eq!(objects(&beside), before);
                // The old keys are of no use for it any more.
                assert!(matches!(old.open(b"version 3", &sealed), Err(Error::Unreadable(_))));
            }
        }
    }
}
