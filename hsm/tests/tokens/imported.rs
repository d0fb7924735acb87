//! Keys from outside: they sign, and stay marked as imported.

use hsm::{Algorithm, Error, Origin, Purpose};

use crate::bench::Bench;
use crate::openssl::{hash_of, make_key, verifies};

pub(crate) fn imported_keys(bench: &Bench) {
    for algorithm in [Algorithm::Rsa(2048), Algorithm::P256, Algorithm::P384] {
        let [pkcs8, spki] = make_key(bench, algorithm);
        let imported = bench.workshop().import_signing_key("imported", &pkcs8).and_then(|key| {
            assert_eq!(key.public_key, spki);
            let signing = bench.token().signing_key(key);
            signing.check()?;
            assert_eq!(
                signing.origin()?,
                Origin::Imported,
                "an imported key passes for a generated one"
            );
            signing.sign(Purpose::Content, b"message")
        });
        if let Ok(signature) = &imported {
            assert!(verifies(bench, &spki, hash_of(algorithm), &[], b"message", signature));
        }
        bench.try_to(&format!("{algorithm} signs, marked as imported"), imported);
    }
    let refused = bench.workshop().import_signing_key("nothing", b"no key");
    assert!(matches!(refused, Err(Error::Refused(_))));
}
