//! Sealed private keys sign inside the token, in every scheme, and do not pile up there.

use std::sync::Arc;

use aws_lc_rs::signature as judge;
use hsm::{Algorithm, Error, Purpose, Scheme, SealingKeys, SealingMechanism};

use crate::harness::{MECHANISMS, World, objects, openssl, scenario, text};

const RSA: [(Scheme, &judge::RsaParameters); 6] = [
    (Scheme::RsaPkcs1Sha256, &judge::RSA_PKCS1_2048_8192_SHA256),
    (Scheme::RsaPkcs1Sha384, &judge::RSA_PKCS1_2048_8192_SHA384),
    (Scheme::RsaPkcs1Sha512, &judge::RSA_PKCS1_2048_8192_SHA512),
    (Scheme::RsaPssSha256, &judge::RSA_PSS_2048_8192_SHA256),
    (Scheme::RsaPssSha384, &judge::RSA_PSS_2048_8192_SHA384),
    (Scheme::RsaPssSha512, &judge::RSA_PSS_2048_8192_SHA512),
];

/// What OpenSSL is told about each scheme.
fn openssl_words(scheme: Scheme) -> (&'static str, &'static [&'static str]) {
    const PSS: &[&str] = &["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"];
    match scheme {
        Scheme::RsaPkcs1Sha256 | Scheme::EcdsaP256Sha256 => ("-sha256", &[]),
        Scheme::RsaPkcs1Sha384 | Scheme::EcdsaP384Sha384 => ("-sha384", &[]),
        Scheme::RsaPkcs1Sha512 => ("-sha512", &[]),
        Scheme::RsaPssSha256 => ("-sha256", PSS),
        Scheme::RsaPssSha384 => ("-sha384", PSS),
        Scheme::RsaPssSha512 => ("-sha512", PSS),
    }
}

fn openssl_verifies(world: &World, spki: &[u8], scheme: Scheme, signature: &[u8]) -> bool {
    let (key, message, signed) =
        (world.path("spki"), world.path("message"), world.path("signature"));
    std::fs::write(&key, spki).unwrap();
    std::fs::write(&message, b"message").unwrap();
    std::fs::write(&signed, signature).unwrap();
    let (hash, options) = openssl_words(scheme);
    let mut words = vec!["dgst", hash, "-keyform", "DER", "-verify", text(&key)];
    words.extend(options);
    words.extend(["-signature", text(&signed), text(&message)]);
    openssl(&words)
}

/// Signs in each scheme, those that do not fit included.
fn signs_as_its_kind(
    world: &World,
    keys: &SealingKeys,
    sealed: &[u8],
    spki: &[u8],
    kind: Algorithm,
) {
    let sign = |scheme| keys.sign(b"context", sealed, Purpose::Content, scheme, b"message");
    for (scheme, parameters) in RSA {
        let signed = sign(scheme);
        if matches!(kind, Algorithm::Rsa(_)) {
            let signature = signed.unwrap();
            let public = judge::ParsedPublicKey::new(parameters, spki).unwrap();
            public.verify_sig(b"message", &signature).unwrap();
            assert!(openssl_verifies(world, spki, scheme, &signature), "{scheme:?}");
        } else {
            assert!(matches!(signed, Err(Error::Refused(_))), "{scheme:?}");
        }
    }
    for (scheme, parameters, of) in [
        (Scheme::EcdsaP256Sha256, &judge::ECDSA_P256_SHA256_ASN1, Algorithm::P256),
        (Scheme::EcdsaP384Sha384, &judge::ECDSA_P384_SHA384_ASN1, Algorithm::P384),
    ] {
        let signed = sign(scheme);
        if kind == of {
            let signature = signed.unwrap();
            let public = judge::ParsedPublicKey::new(parameters, spki).unwrap();
            public.verify_sig(b"message", &signature).unwrap();
            assert!(openssl_verifies(world, spki, scheme, &signature), "{scheme:?}");
        } else {
            assert!(matches!(signed, Err(Error::Refused(_))), "{scheme:?}");
        }
    }
}

scenario! {
    fn born_keys_sign_in_every_scheme_of_their_kind(world) {
        world.create_token("sealing");
        for mechanism in MECHANISMS {
            let keys = world.token("sealing").sealing_keys(world.generation("sealing", 1, mechanism));
            for kind in [Algorithm::P256, Algorithm::P384, Algorithm::Rsa(2048), Algorithm::Rsa(3072)] {
                let born = keys.generate(kind, b"context").unwrap();
                signs_as_its_kind(world, &keys, &born.sealed, &born.public_key, kind);
            }
        }
    }
}

/// A key that OpenSSL makes: PEM, DER, SubjectPublicKeyInfo.
fn from_openssl(world: &World, kind: &str, option: &str) -> [Vec<u8>; 3] {
    let [pem, der, spki] = ["made.pem", "made.der", "made.spki"].map(|name| world.path(name));
    assert!(openssl(&["genpkey", "-algorithm", kind, "-pkeyopt", option, "-out", text(&pem)]));
    assert!(openssl(&[
        "pkcs8",
        "-topk8",
        "-nocrypt",
        "-in",
        text(&pem),
        "-outform",
        "DER",
        "-out",
        text(&der)
    ]));
    assert!(openssl(&[
        "pkey",
        "-in",
        text(&pem),
        "-pubout",
        "-outform",
        "DER",
        "-out",
        text(&spki)
    ]));
    [pem, der, spki].map(|path| std::fs::read(path).unwrap())
}

scenario! {
    fn keys_from_outside_sign_in_the_token_from_pem_and_from_der(world) {
        world.create_token("sealing");
        let keys = world.token("sealing").sealing_keys(world.generation("sealing", 1, SealingMechanism::Gcm));
        for (kind, option, algorithm) in [
            ("RSA", "rsa_keygen_bits:2048", Algorithm::Rsa(2048)),
            ("EC", "ec_paramgen_curve:P-256", Algorithm::P256),
            ("EC", "ec_paramgen_curve:P-384", Algorithm::P384),
        ] {
            let [pem, der, spki] = from_openssl(world, kind, option);
            for secret in [pem, der] {
                let sealed = keys.seal(b"context", &secret).unwrap();
                signs_as_its_kind(world, &keys, &sealed, &spki, algorithm);
            }
        }
    }
}

scenario! {
    fn what_is_no_key_does_not_sign(world) {
        world.create_token("sealing");
        let keys = world.token("sealing").sealing_keys(world.generation("sealing", 1, SealingMechanism::Gcm));
        keys.check().unwrap();
        let beside = world.beside("sealing");
        let before = objects(&beside);
        let [pem, der, spki] = from_openssl(world, "EC", "ec_paramgen_curve:P-256");
        let other = String::from_utf8(pem).unwrap().replace("PRIVATE KEY", "EC PRIVATE KEY").into_bytes();
        for secret in [&b""[..], b"a password", b"-----BEGIN ", b"-----BEGIN \xff", &der[1..], &spki, &other] {
            let sealed = keys.seal(b"context", secret).unwrap();
            let signed = keys.sign(b"context", &sealed, Purpose::Content, Scheme::EcdsaP256Sha256, b"m");
            assert!(matches!(signed, Err(Error::Refused(_))), "{signed:?}");
        }
        assert_eq!(objects(&beside), before);
    }
}

scenario! {
    fn a_key_that_is_in_the_token_signs_only_for_its_place(world) {
        world.create_token("sealing");
        let [one, two] = [1, 2].map(|number| world.generation("sealing", number, SealingMechanism::Gcm));
        let token = world.token("sealing");
        let (one, two) = (token.sealing_keys(one), token.sealing_keys(two));
        let born = one.generate(Algorithm::P256, b"context").unwrap();
        let sign = |keys: &SealingKeys, context: &[u8], sealed: &[u8]| {
            keys.sign(context, sealed, Purpose::Tls, Scheme::EcdsaP256Sha256, b"message")
        };
        sign(&one, b"context", &born.sealed).unwrap();
        assert!(matches!(sign(&one, b"another", &born.sealed), Err(Error::Unreadable(_))));
        assert!(matches!(sign(&two, b"context", &born.sealed), Err(Error::Unreadable(_))));
        for at in 0..born.sealed.len() {
            let mut changed = born.sealed.clone();
            changed[at] ^= 1;
            assert!(matches!(sign(&one, b"context", &changed), Err(Error::Unreadable(_))), "octet {at}");
        }
        for length in 0..born.sealed.len() {
            assert!(matches!(sign(&one, b"context", &born.sealed[..length]), Err(Error::Unreadable(_))), "{length}");
        }
        sign(&one, b"context", &born.sealed).unwrap();
    }
}

scenario! {
    fn at_most_64_keys_stay_and_all_go_with_the_connection(world) {
        world.create_token("sealing");
        let token = world.token("sealing");
        let keys = token.sealing_keys(world.generation("sealing", 1, SealingMechanism::Gcm));
        let sign = |sealed: &[u8]| {
            keys.sign(b"context", sealed, Purpose::Tls, Scheme::EcdsaP256Sha256, b"message").unwrap();
        };
        let born: Vec<_> =
            (0..70).map(|_| keys.generate(Algorithm::P256, b"context").unwrap().sealed).collect();
        let beside = world.beside("sealing");
        let (in_token, before) = objects(&beside);
        for (number, sealed) in born.iter().enumerate() {
            for _ in 0..3 {
                sign(sealed);
            }
            assert_eq!(objects(&beside), (in_token, before + (number + 1).min(64)));
        }
        // What was pushed out comes back.
        sign(&born[0]);
        assert_eq!(objects(&beside), (in_token, before + 64));
        drop(beside);
        token.reload().unwrap();
        assert_eq!(objects(&world.beside("sealing")), (in_token, before));
        sign(&born[69]);
        assert_eq!(objects(&world.beside("sealing")), (in_token, before + 1));
    }
}

scenario! {
    fn many_threads_sign_with_more_keys_than_stay(world) {
        world.create_token("sealing");
        let token = world.token("sealing");
        let keys = token.sealing_keys(world.generation("sealing", 1, SealingMechanism::Gcm));
        let born: Arc<Vec<_>> =
            Arc::new((0..80).map(|_| keys.generate(Algorithm::P256, b"context").unwrap().sealed).collect());
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (keys, born) = (keys.clone(), Arc::clone(&born));
                scope.spawn(move || {
                    for round in 0..200 {
                        let sealed = &born[(thread * 37 + round * 13) % born.len()];
                        keys.sign(b"context", sealed, Purpose::Tls, Scheme::EcdsaP256Sha256, b"m").unwrap();
                    }
                });
            }
        });
        assert!(objects(&world.beside("sealing")).1 <= 64);
    }
}
