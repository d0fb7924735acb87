//! The wrapping key's template: what somebody with the PIN and a wrapped key can and cannot have unwrapped.

use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute as A, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use crate::harness::scenario;

fn wrapping_key(session: &Session, id: hsm::KeyId) -> ObjectHandle {
    session.find_objects(&[A::Class(ObjectClass::SECRET_KEY), A::Id(id.0.to_vec())]).unwrap()[0]
}

/// P-256, named curve.
const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

fn wrapped(session: &Session, wrapping: ObjectHandle) -> Vec<u8> {
    let (_, private) = session
        .generate_key_pair(
            &Mechanism::EccKeyPairGen,
            &[A::Token(false), A::EcParams(P256.to_vec())],
            &[A::Token(false), A::Sensitive(true), A::Extractable(true), A::Sign(true)],
        )
        .unwrap();
    session.wrap_key(&Mechanism::AesKeyWrapPad, wrapping, private).unwrap()
}

fn private(sensitive: bool, extractable: bool) -> Vec<A> {
    vec![
        A::Class(ObjectClass::PRIVATE_KEY),
        A::KeyType(KeyType::EC),
        A::Token(false),
        A::Sensitive(sensitive),
        A::Extractable(extractable),
        A::Sign(true),
    ]
}

fn secret(kind: KeyType) -> Vec<A> {
    vec![
        A::Class(ObjectClass::SECRET_KEY),
        A::KeyType(kind),
        A::Token(false),
        A::Sensitive(false),
        A::Extractable(true),
    ]
}

scenario! {
    fn a_wrapped_key_cannot_be_unwrapped_as_readable(world) {
        world.create_token("sealing");
        let keys = world.workshop("sealing").generate_generation("sealwright", 1, None).unwrap().keys;
        let session = world.bare("sealing");
        let wrapping = wrapping_key(&session, keys.wrapping);
        let wrapped = wrapped(&session, wrapping);
        let unwrap = |template: &[A]| session.unwrap_key(&Mechanism::AesKeyWrapPad, wrapping, &wrapped, template);
        // The right way in between, so that the refusals are because of the template and of nothing else.
        unwrap(&private(true, true)).unwrap();
        for theft in [
            private(false, true),
            private(false, false),
            private(true, false),
            secret(KeyType::GENERIC_SECRET),
            secret(KeyType::AES),
        ] {
            let answer = unwrap(&theft);
            assert!(
                matches!(answer, Err(Pkcs11Error::Pkcs11(RvError::TemplateInconsistent, _))),
                "{theft:?}: {answer:?}"
            );
            unwrap(&private(true, true)).unwrap();
        }
    }
}

scenario! {
    /// The control: without the template the same attempts succeed, so it is the template that stops them.
    fn without_the_template_the_same_theft_succeeds(world) {
        world.create_token("sealing");
        let session = world.bare("sealing");
        let wrapping = session.generate_key(&Mechanism::AesKeyGen, &[
            A::Token(false),
            A::Sensitive(true),
            A::Extractable(false),
            A::Wrap(true),
            A::Unwrap(true),
            A::ValueLen(32.into()),
        ]).unwrap();
        let wrapped = wrapped(&session, wrapping);
        for theft in [private(false, true), secret(KeyType::GENERIC_SECRET)] {
            session.unwrap_key(&Mechanism::AesKeyWrapPad, wrapping, &wrapped, &theft).unwrap();
        }
    }
}
