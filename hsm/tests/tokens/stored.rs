//! Private keys that are stored sealed and sign in the token: born there, and from outside.

use hsm::{Algorithm, Content, Error, Header, Purpose, Scheme, SealingKeys};

use crate::bench::Bench;
use crate::facts::said;
use crate::openssl::{make_key, openssl, text, verifies};

const PSS: &[&str] = &["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"];

fn schemes(algorithm: Algorithm) -> &'static [(Scheme, &'static str, &'static [&'static str])] {
    match algorithm {
        Algorithm::P256 => &[(Scheme::EcdsaP256Sha256, "-sha256", &[])],
        Algorithm::P384 => &[(Scheme::EcdsaP384Sha384, "-sha384", &[])],
        Algorithm::Rsa(_) => &[
            (Scheme::RsaPkcs1Sha256, "-sha256", &[]),
            (Scheme::RsaPkcs1Sha384, "-sha384", &[]),
            (Scheme::RsaPkcs1Sha512, "-sha512", &[]),
            (Scheme::RsaPssSha256, "-sha256", PSS),
            (Scheme::RsaPssSha384, "-sha384", PSS),
            (Scheme::RsaPssSha512, "-sha512", PSS),
        ],
    }
}

fn signs(
    bench: &Bench,
    what: &str,
    keys: &SealingKeys,
    sealed: &[u8],
    spki: &[u8],
    kind: Algorithm,
) {
    let mut differs = Vec::new();
    for (scheme, hash, options) in schemes(kind) {
        match keys.sign(b"context", sealed, Purpose::Content, *scheme, b"message") {
            Ok(signature) => {
                assert!(verifies(bench, spki, hash, options, b"message", &signature), "{scheme:?}");
            }
            Err(error) => differs.push(format!("{scheme:?} {}", said(&error))),
        }
    }
    assert!(differs.is_empty() || !bench.is_reference(), "{differs:?}");
    let told = if differs.is_empty() { "yes".to_owned() } else { differs.join("; ") };
    bench.facts.tell(&format!("{what} signs in every scheme"), told);
}

fn keys(bench: &Bench) -> Option<SealingKeys> {
    let made = bench.workshop().generate_generation("sealwright", 1, None).ok();
    assert!(made.is_some() || !bench.is_reference());
    made.map(|made| bench.token().sealing_keys(made.keys))
}

pub(crate) fn born(bench: &Bench) {
    let Some(keys) = keys(bench) else {
        return bench.facts.tell("made in the token", "it does not seal");
    };
    for algorithm in [Algorithm::P256, Algorithm::P384, Algorithm::Rsa(2048)] {
        let what = format!("{algorithm} made in the token");
        let Some(born) = bench.try_to(&what, keys.generate(algorithm, b"context")) else {
            continue;
        };
        assert_eq!(
            Header::read(&born.sealed).map(|header| header.content),
            Some(Content::WrappedKey)
        );
        signs(bench, &algorithm.to_string(), &keys, &born.sealed, &born.public_key, algorithm);
        if let Some(pkcs8) = bench.try_to(
            &format!("{algorithm} opens to its PKCS#8"),
            keys.open(b"context", &born.sealed),
        ) {
            let (private, public) = (bench.path("key.der"), bench.path("key.spki"));
            std::fs::write(&private, &pkcs8).unwrap();
            let files =
                ["-in", text(&private), "-pubout", "-outform", "DER", "-out", text(&public)];
            assert!(openssl(&[&["pkey", "-inform", "DER"], &files[..]].concat()));
            assert_eq!(std::fs::read(&public).unwrap(), born.public_key);
        }
        assert!(matches!(keys.open(b"another", &born.sealed), Err(Error::Unreadable(_))));
    }
}

pub(crate) fn from_outside(bench: &Bench) {
    let Some(keys) = keys(bench) else {
        return bench.facts.tell("sealed", "it does not seal");
    };
    for algorithm in [Algorithm::P256, Algorithm::P384, Algorithm::Rsa(2048)] {
        let [pkcs8, spki] = make_key(bench, algorithm);
        let sealed = keys.seal(b"context", &pkcs8).unwrap();
        signs(bench, &algorithm.to_string(), &keys, &sealed, &spki, algorithm);
    }
    let sealed = keys.seal(b"context", b"a password").unwrap();
    let scheme = Scheme::EcdsaP256Sha256;
    let signed = keys.sign(b"context", &sealed, Purpose::Content, scheme, b"message");
    assert!(matches!(signed, Err(Error::Refused(_))), "{signed:?}");
}
