//! A key is found by id and public key, and by nothing else.

use cryptoki::object::{Attribute as A, ObjectClass};
use hsm::{AlarmKind, Algorithm, Error, KeyId, KeyReference, Purpose};

use crate::bench::Bench;

/// Two keys of the first kind that this token makes.
fn two(bench: &Bench) -> Option<[KeyReference; 2]> {
    let workshop = bench.workshop();
    [Algorithm::P256, Algorithm::Rsa(2048)].into_iter().find_map(|algorithm| {
        let make = || workshop.generate_signing_key("issuer", algorithm).ok();
        Some([make()?, make()?])
    })
}

pub(crate) fn bound_by_public_key(bench: &Bench) {
    let Some([one, two]) = two(bench) else {
        assert!(!bench.is_reference());
        return bench.facts.tell("another public key under the id", "no key is accepted");
    };
    let token = bench.token();
    let exchanged = KeyReference { public_key: two.public_key, ..one.clone() };
    let key = token.signing_key(exchanged);
    let refused = key.sign(Purpose::Content, b"message");
    let Err(Error::Refused(_)) = &refused else { panic!("{refused:?}") };
    assert_eq!(key.check().unwrap_err().alarm(), Some(AlarmKind::Replaced));
    bench.facts.tell("another public key under the id", "refused, alarm");
    let nobody = token.signing_key(KeyReference { id: KeyId([1; 32]), ..one.clone() });
    assert!(matches!(nobody.check(), Err(Error::NoSuchKey(_))));
    bench.facts.tell("no key under the id", "no such key");
    // The token is none the worse for it.
    token.signing_key(one).check().unwrap();
}

/// A second key under the id of the first, by bare PKCS#11.
pub(crate) fn ambiguous(bench: &Bench) {
    let Some([one, two]) = two(bench) else {
        assert!(!bench.is_reference());
        return bench.facts.tell("two keys under one id", "no key is accepted");
    };
    {
        // Ours cannot be changed, so the second is made under it.
        let session = bench.bare();
        let p256 = vec![6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
        let mine = [A::Token(true), A::Id(one.id.0.to_vec()), A::Sign(true), A::Private(true)];
        let public = [A::Token(true), A::Id(one.id.0.to_vec()), A::EcParams(p256), A::Verify(true)];
        let made = session.generate_key_pair(
            &cryptoki::mechanism::Mechanism::EccKeyPairGen,
            &public,
            &mine,
        );
        if let Err(error) = made {
            assert!(!bench.is_reference(), "{error}");
            return bench
                .facts
                .tell("two keys under one id", format!("the token refuses: {error}"));
        }
        let class = A::Class(ObjectClass::PRIVATE_KEY);
        assert_eq!(session.find_objects(&[class, A::Id(one.id.0.to_vec())]).unwrap().len(), 2);
    }
    let token = bench.token();
    let refused = token.signing_key(one).sign(Purpose::Content, b"message");
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    bench.facts.tell("two keys under one id", "refused");
    token.signing_key(two).check().unwrap();
}
