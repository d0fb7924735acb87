//! Somebody with the PIN tries to take out what custody should keep in, by bare PKCS#11.

use cryptoki::error::Error as Pkcs11Error;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute as A, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use hsm::Algorithm;

use crate::bench::Bench;

pub(crate) fn theft(bench: &Bench) {
    let workshop = bench.workshop();
    let mut made = None;
    for algorithm in [Algorithm::P256, Algorithm::Rsa(2048)] {
        made = made.or_else(|| workshop.generate_signing_key("issuer", algorithm).ok());
    }
    drop(workshop);
    let Some(key) = made else {
        assert!(!bench.is_reference());
        return bench.facts.tell("of a signing key", "no key is accepted");
    };
    let session = bench.bare();
    let ours = [A::Class(ObjectClass::PRIVATE_KEY), A::Id(key.id.0.to_vec())];
    let key = session.find_objects(&ours).unwrap()[0];
    let read = session.get_attributes(key, &[AttributeType::Value, AttributeType::PrivateExponent]);
    let octets = read.into_iter().flatten().any(|value| match value {
        A::Value(octets) | A::PrivateExponent(octets) => !octets.is_empty(),
        _ => false,
    });
    tell(bench, "read its value", octets);
    let weaker = [A::Extractable(true), A::Sensitive(false)];
    let changed = weaker.iter().any(|change| {
        let _ = session.update_attributes(key, std::slice::from_ref(change));
        session
            .get_attributes(key, &[change.attribute_type()])
            .is_ok_and(|now| now == [change.clone()])
    });
    tell(bench, "make it readable", changed);
    let copy =
        session.copy_object(key, &[A::Token(false), A::Extractable(true), A::Sensitive(false)]);
    tell(bench, "copy it as readable", copy.is_ok());
    let wrapped = wrap(&session, key);
    match wrapped {
        Ok(wrapped) => tell(bench, "wrap it under a key of the thief's", wrapped),
        Err(error) => {
            assert!(!bench.is_reference());
            let told = format!("not tried, the token makes no AES key: {error}");
            bench.facts.tell("wrap it under a key of the thief's", told);
        }
    }
}

/// Nothing of this may succeed with a key that our code has taken.
fn tell(bench: &Bench, attempt: &str, succeeded: bool) {
    assert!(!succeeded, "with a key that was accepted the thief can {attempt}");
    bench.facts.tell(attempt, "no");
}

fn wrap(session: &Session, key: ObjectHandle) -> Result<bool, Pkcs11Error> {
    let template = [A::Token(false), A::Wrap(true), A::Encrypt(true), A::ValueLen(32.into())];
    let under = session.generate_key(&Mechanism::AesKeyGen, &template)?;
    let mechanisms =
        [Mechanism::AesKeyWrap, Mechanism::AesKeyWrapPad, Mechanism::AesCbcPad([0; 16])];
    Ok(mechanisms.iter().any(|mechanism| session.wrap_key(mechanism, under, key).is_ok()))
}
