//! Reading a private key from PEM without leaving copies of it behind.

use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm,
};
use der::SecretDocument;
use der::oid::ObjectIdentifier;

use super::Pair;
use crate::x509::asn1::{self, Element, context_constructed};
use crate::x509::error::{Error, Refusal};
use crate::x509::{oid, pem, public_key};

const LABELS: [&str; 4] =
    ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"];

pub(super) fn from_pem(octets: &[u8]) -> Result<Pair, Error> {
    let text = pem::text_of(octets, "a private key", pem::MAX_PRIVATE_KEY)?;
    let block = pem::first(text, &LABELS, "a private key")?;
    if block.label == "ENCRYPTED PRIVATE KEY" || block.says_encrypted() {
        return Err(Error::Encrypted(
            "the private key is protected by a password, which is not supported here; remove it first with \"openssl pkey -in FILE -out NEW\" and keep the new file readable only by you".into(),
        ));
    }
    let strict = block.strict_text();
    let (_, document) = SecretDocument::from_pem(&strict).map_err(|cause| {
        Error::Malformed(Refusal::because(
            format!("the PEM block \"{}\" is damaged; copy the file again", block.label),
            cause,
        ))
    })?;
    match block.label {
        "RSA PRIVATE KEY" => rsa_from_pkcs1(document.as_bytes()),
        "EC PRIVATE KEY" => ec_from_sec1(document.as_bytes(), None),
        _ => from_pkcs8(document.as_bytes()),
    }
}

/// PrivateKeyInfo (RFC 5208) or OneAsymmetricKey (RFC 5958).
pub(super) fn from_pkcs8(octets: &[u8]) -> Result<Pair, Error> {
    let (kind, curve, key) = read_pkcs8(octets).map_err(asn1::unreadable("the private key"))?;
    match (kind, curve) {
        (oid::RSA_ENCRYPTION, _) => rsa_from_pkcs1(key),
        (oid::EC_PUBLIC_KEY, curve @ Some(_)) => ec_from_sec1(key, curve),
        (other, _) => Err(Error::KeyNotAccepted(
            format!(
                "the private key is of the kind {other}; accepted are RSA keys of 2048 to 8192 bits and EC keys on P-256 or P-384"
            )
            .into(),
        )),
    }
}

pub(in crate::x509) type Pkcs8<'a> = (ObjectIdentifier, Option<ObjectIdentifier>, &'a [u8]);

pub(in crate::x509) fn read_pkcs8(octets: &[u8]) -> der::Result<Pkcs8<'_>> {
    let mut parts = Element::only(octets, asn1::SEQUENCE)?.elements()?;
    parts.next()?.small_unsigned()?;
    let mut algorithm = parts.expect(asn1::SEQUENCE)?.elements()?;
    let kind = algorithm.next()?.object_identifier()?;
    let curve = algorithm
        .optional(asn1::OBJECT_IDENTIFIER)?
        .map(|curve| curve.object_identifier())
        .transpose()?;
    let key = parts.expect(asn1::OCTET_STRING)?.value;
    // Attributes and a public key may follow; the library derives the public key itself.
    Ok((kind, curve, key))
}

/// RSAPrivateKey (RFC 8017, A.1.2).
fn rsa_from_pkcs1(octets: &[u8]) -> Result<Pair, Error> {
    let modulus = read_modulus(octets).map_err(asn1::unreadable("the RSA private key"))?;
    let bits = public_key::bits(modulus);
    if !(2048..=8192).contains(&bits) {
        return Err(public_key::weak_rsa(bits));
    }
    rsa::KeyPair::from_der(octets).map(Pair::Rsa).map_err(inconsistent)
}

fn read_modulus(octets: &[u8]) -> der::Result<&[u8]> {
    let mut parts = Element::only(octets, asn1::SEQUENCE)?.elements()?;
    parts.next()?.small_unsigned()?;
    parts.next()?.unsigned()
}

/// ECPrivateKey (RFC 5915); PKCS #8 names the curve outside of it.
fn ec_from_sec1(octets: &[u8], curve: Option<ObjectIdentifier>) -> Result<Pair, Error> {
    let inside = read_curve(octets).map_err(asn1::unreadable("the EC private key"))?;
    if let (Some(outside), Some(inside)) = (curve, inside)
        && outside != inside
    {
        return Err(Error::Malformed(
            "the EC private key names two different curves; export it again".into(),
        ));
    }
    let algorithm: &'static EcdsaSigningAlgorithm = match curve.or(inside) {
        Some(oid::SECP256R1) => &ECDSA_P256_SHA256_ASN1_SIGNING,
        Some(oid::SECP384R1) => &ECDSA_P384_SHA384_ASN1_SIGNING,
        Some(other) => {
            return Err(Error::KeyNotAccepted(
                format!("the EC private key is on the curve {other}; accepted are P-256 and P-384: make a new key").into(),
            ));
        }
        None => {
            return Err(Error::Malformed(
                "the EC private key does not name its curve; convert it with \"openssl pkey -in FILE -out NEW\"".into(),
            ));
        }
    };
    EcdsaKeyPair::from_private_key_der(algorithm, octets).map(Pair::Ec).map_err(inconsistent)
}

fn read_curve(octets: &[u8]) -> der::Result<Option<ObjectIdentifier>> {
    let mut parts = Element::only(octets, asn1::SEQUENCE)?.elements()?;
    parts.next()?.small_unsigned()?;
    parts.expect(asn1::OCTET_STRING)?;
    match parts.optional(context_constructed(0))? {
        Some(parameters) => {
            Element::only(parameters.value, asn1::OBJECT_IDENTIFIER)?.object_identifier().map(Some)
        }
        None => Ok(None),
    }
}

fn inconsistent(cause: aws_lc_rs::error::KeyRejected) -> Error {
    Error::Malformed(Refusal::because(
        "the parts of the private key do not belong together; the file is damaged, restore it or make a new key",
        cause,
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use crate::base::{KeyAlgorithm, Secret};
    use crate::x509::tests::judge;
    use crate::x509::{Error, PrivateKey, pem};

    fn load(text: &str) -> Result<PrivateKey, Error> {
        PrivateKey::from_pem(&Secret::new(text.as_bytes().to_vec()))
    }

    #[test]
    fn every_form_that_openssl_writes_is_read() {
        let folder = judge::Folder::new();
        for (make, algorithm) in [
            (
                &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "k"]
                    [..],
                KeyAlgorithm::Rsa(2048),
            ),
            (
                &[
                    "genpkey",
                    "-algorithm",
                    "EC",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                    "-out",
                    "k",
                ],
                KeyAlgorithm::P256,
            ),
            (
                &[
                    "genpkey",
                    "-algorithm",
                    "EC",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-384",
                    "-out",
                    "k",
                ],
                KeyAlgorithm::P384,
            ),
        ] {
            folder.openssl(make);
            let spki = folder.openssl_octets(&["pkey", "-in", "k", "-pubout", "-outform", "DER"]);
            let traditional = folder.openssl(&["pkey", "-in", "k", "-traditional"]);
            for text in [folder.read("k"), traditional.clone(), traditional.replace('\n', "\r\n")] {
                let key = load(&text).unwrap();
                assert_eq!(key.public_key().algorithm(), algorithm);
                assert_eq!(key.public_key().as_der(), spki);
            }
        }
    }

    #[test]
    fn what_is_written_is_read_by_openssl() {
        let folder = judge::Folder::new();
        for algorithm in [KeyAlgorithm::Rsa(2048), KeyAlgorithm::P256, KeyAlgorithm::P384] {
            let key = PrivateKey::generate(algorithm).unwrap();
            let secret = key.to_pkcs8_pem();
            let text = std::str::from_utf8(secret.expose_secret()).unwrap();
            assert!(text.starts_with("-----BEGIN PRIVATE KEY-----\n"));
            assert!(text.ends_with("-----END PRIVATE KEY-----\n"));
            folder.write("k", text.as_bytes());
            assert!(folder.openssl(&["pkey", "-in", "k", "-check", "-noout"]).contains("valid"));
            assert_eq!(folder.openssl(&["pkey", "-in", "k", "-pubout"]), key.public_key().to_pem());
            if let KeyAlgorithm::Rsa(_) = algorithm {
                assert_eq!(
                    folder.openssl(&["rsa", "-in", "k", "-RSAPublicKey_out"]),
                    key.public_key_pem()
                );
            }
            assert_eq!(load(text).unwrap().public_key(), key.public_key());
        }
    }

    #[test]
    fn keys_under_a_password_are_named_as_such() {
        let folder = judge::Folder::new();
        folder.openssl(&[
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-out",
            "k",
        ]);
        folder.openssl(&["pkcs8", "-topk8", "-in", "k", "-out", "new", "-passout", "pass:secret"]);
        folder.openssl(&["ec", "-in", "k", "-aes128", "-out", "old", "-passout", "pass:secret"]);
        for file in ["new", "old"] {
            assert!(matches!(load(&folder.read(file)), Err(Error::Encrypted(_))), "{file}");
        }
    }

    #[test]
    fn weak_and_foreign_keys_are_refused() {
        let folder = judge::Folder::new();
        for make in [
            &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024", "-out", "k"][..],
            &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521", "-out", "k"],
            &["genpkey", "-algorithm", "ED25519", "-out", "k"],
        ] {
            folder.openssl(make);
            assert!(matches!(load(&folder.read("k")), Err(Error::KeyNotAccepted(_))), "{make:?}");
        }
        assert!(matches!(load("no key"), Err(Error::NoPem(_))));
    }

    #[test]
    fn a_key_whose_halves_do_not_belong_together_is_refused() {
        // The last octet of an EC key in PKCS #8 belongs to its public point; an octet in the
        // middle of an RSA key belongs to one of its secret numbers.
        for (algorithm, from_end) in [(KeyAlgorithm::P256, 1), (KeyAlgorithm::Rsa(2048), 400)] {
            let key = PrivateKey::generate(algorithm).unwrap();
            let mut octets = key.to_pkcs8_der().expose_secret().to_vec();
            let position = octets.len() - from_end;
            octets[position] ^= 1;
            let text = pem::encode("PRIVATE KEY", &octets);
            assert!(matches!(load(&text), Err(Error::Malformed(_))), "{algorithm}");
        }
    }
}
