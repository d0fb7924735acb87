//! Key pairs that the token makes: they sign what OpenSSL verifies, and are held as their role demands.

use cryptoki::object::{Attribute as A, AttributeType, ObjectClass};
use hsm::{Algorithm, Origin, Purpose};

use crate::bench::Bench;
use crate::openssl::{hash_of, verifies};

/// Every kind that we make.
pub(crate) const ALL: [Algorithm; 5] = [
    Algorithm::Rsa(2048),
    Algorithm::Rsa(3072),
    Algorithm::Rsa(4096),
    Algorithm::P256,
    Algorithm::P384,
];

pub(crate) fn identity(bench: &Bench) {
    let seen = bench.need("logged in", bench.token().check());
    assert_eq!(seen.label, "harness");
    bench.facts.tell("manufacturer, model", format!("{}, {}", seen.manufacturer, seen.model));
    let serial = seen.serial.chars().all(|digit| digit == '0');
    bench.facts.tell("serial number tells tokens apart", if serial { "no" } else { "yes" });
}

pub(crate) fn signing_keys(bench: &Bench) {
    let workshop = bench.workshop();
    for algorithm in ALL {
        let what = format!("generate {algorithm}, sign, verified by OpenSSL");
        let made = workshop.generate_signing_key("issuer", algorithm);
        let signed = made.and_then(|reference| {
            let key = bench.token().signing_key(reference.clone());
            key.check()?;
            assert_eq!((key.algorithm(), key.origin()?), (algorithm, Origin::Generated));
            Ok((key.sign(Purpose::Content, b"to be signed")?, reference.public_key))
        });
        // Wrong signatures are never a difference.
        if let Ok((signature, spki)) = &signed {
            let hash = hash_of(algorithm);
            assert!(verifies(bench, spki, hash, &[], b"to be signed", signature));
            assert!(!verifies(bench, spki, hash, &[], b"to be forged", signature));
        }
        bench.try_to(&what, signed);
    }
}

/// What the token says of a key that our code has taken, asked by bare PKCS#11.
pub(crate) fn attributes(bench: &Bench) {
    let mut made = None;
    for algorithm in [Algorithm::P256, Algorithm::Rsa(2048)] {
        made = made.or_else(|| bench.workshop().generate_signing_key("issuer", algorithm).ok());
    }
    let Some(key) = made else {
        assert!(!bench.is_reference());
        return bench.facts.tell("of a signing key", "no key is accepted");
    };
    let session = bench.bare();
    let ours = [A::Class(ObjectClass::PRIVATE_KEY), A::Id(key.id.0.to_vec())];
    let found = session.find_objects(&ours).unwrap();
    assert_eq!(found.len(), 1);
    let mut differs = Vec::new();
    for wanted in [
        A::Token(true),
        A::Private(true),
        A::Sensitive(true),
        A::Extractable(false),
        A::Modifiable(false),
        A::Copyable(false),
        A::Sign(true),
        A::SignRecover(false),
        A::Decrypt(false),
        A::Unwrap(false),
        A::Derive(false),
        A::AlwaysSensitive(true),
        A::NeverExtractable(true),
        A::Local(true),
    ] {
        let kind = wanted.attribute_type();
        match session.get_attributes(found[0], &[kind]).as_deref() {
            Ok([read]) if *read == wanted => {}
            Ok(read) => differs.push(format!("{kind} reads {read:?}")),
            Err(_) => differs.push(format!("{kind} is not known")),
        }
        // Without these no key is taken, on whatever token.
        let essential =
            [AttributeType::Sensitive, AttributeType::Extractable, AttributeType::Private];
        let told = differs.last().is_some_and(|last| last.starts_with(&kind.to_string()));
        assert!(!(essential.contains(&kind) && told), "{differs:?}");
    }
    assert!(differs.is_empty() || !bench.is_reference(), "{differs:?}");
    let told = if differs.is_empty() { "as demanded".to_owned() } else { differs.join("; ") };
    bench.facts.tell("of a signing key", told);
}

pub(crate) fn reload(bench: &Bench) {
    let token = bench.token();
    let before = bench.need("logged in", token.check());
    if bench.try_to("finalised, initialised, logged in again", token.reload()).is_some() {
        assert_eq!(token.check().unwrap(), before);
    }
}
