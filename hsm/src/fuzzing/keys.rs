//! Keys and signatures: from the database, from a token's attributes, from a file.

use cryptoki::object::Attribute;
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, UintRef};
use der::{Decode, Encode, Reader, SliceReader};

use crate::Algorithm;
use crate::ecdsa;
use crate::provision::import;
use crate::public_key::{PublicKey, ec_spki, rsa_spki};

mutation::targets! {
    public_key: public_key_seeds, 6000;
    token_public_key: token_seeds, 6000;
    raw_signature: signature_seeds, 8000;
    private_key: private_key_seeds, 1500;
}

/// A SubjectPublicKeyInfo that is taken is exactly what would be written from its parts.
fn public_key(octets: &[u8]) {
    let Ok(key) = PublicKey::from_spki(octets) else { return };
    let parts = parts(octets).expect("it was taken");
    assert_eq!(written(key.algorithm(), &parts), octets);
    assert!(!key.verifies(b"message", octets));
}

/// The parameters and the key of a SubjectPublicKeyInfo.
fn parts(spki: &[u8]) -> der::Result<(Vec<u8>, Vec<u8>)> {
    let mut reader = SliceReader::new(spki)?;
    reader.sequence(|spki| {
        let parameters = spki.sequence(|identifier| {
            <ObjectIdentifier>::decode(identifier)?;
            AnyRef::decode(identifier)?.to_der()
        })?;
        let key = BitStringRef::decode(spki)?.as_bytes().unwrap_or_default().to_vec();
        der::Result::Ok((parameters, key))
    })
}

fn written(algorithm: Algorithm, (parameters, key): &(Vec<u8>, Vec<u8>)) -> Vec<u8> {
    match algorithm {
        Algorithm::P256 | Algorithm::P384 => ec_spki(parameters, key).unwrap(),
        Algorithm::Rsa(_) => {
            let (modulus, exponent) = numbers(key).expect("RSAPublicKey");
            rsa_spki(&modulus, &exponent).unwrap()
        }
    }
}

fn numbers(sequence: &[u8]) -> der::Result<(Vec<u8>, Vec<u8>)> {
    let mut reader = SliceReader::new(sequence)?;
    let numbers = reader.sequence(|numbers| {
        let mut next = || der::Result::Ok(UintRef::decode(numbers)?.as_bytes().to_vec());
        der::Result::Ok((next()?, next()?))
    })?;
    reader.finish()?;
    Ok(numbers)
}

fn public_key_seeds() -> Vec<Vec<u8>> {
    mutation::vectors().into_iter().filter_map(|mut vector| vector.remove("public_key")).collect()
}

/// The first octet says how many of the others are `CKA_EC_PARAMS` or `CKA_MODULUS`; `CKA_EC_POINT` or
/// `CKA_PUBLIC_EXPONENT` follow. What becomes of them is taken only if it is one key, and exact.
fn token_public_key(octets: &[u8]) {
    let [first, rest @ ..] = octets else { return };
    let (one, other) = rest.split_at(usize::from(*first).min(rest.len()));
    for built in
        [ec_spki(one, other), rsa_spki(one, other), rsa_spki(other, one)].into_iter().flatten()
    {
        public_key(&built);
    }
}

fn token_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for spki in public_key_seeds() {
        let (parameters, key) = parts(&spki).expect("a vector");
        let wrapped =
            der::asn1::OctetStringRef::new(&key).and_then(|point| point.to_der()).unwrap();
        seeds.push([&[parameters.len() as u8], &parameters[..], &key].concat());
        seeds.push([&[parameters.len() as u8], &parameters[..], &wrapped].concat());
        if let Ok((modulus, exponent)) = numbers(&key) {
            seeds.push([&[exponent.len() as u8], &exponent[..], &modulus].concat());
        }
    }
    seeds
}

/// The first octet chooses the curve. A raw signature of the right length becomes DER with the same two numbers; one of
/// another length becomes nothing.
fn raw_signature(octets: &[u8]) {
    let [first, raw @ ..] = octets else { return };
    let half = if first % 2 == 0 { 32 } else { 48 };
    let Some(signature) = ecdsa::to_der(raw, half) else {
        return assert_ne!(raw.len(), 2 * half);
    };
    let (r, s) = numbers(&signature).expect("Ecdsa-Sig-Value");
    let padded = |number: &[u8]| [&vec![0; half - number.len()][..], number].concat();
    assert_eq!([padded(&r), padded(&s)].concat(), raw);
}

fn signature_seeds() -> Vec<Vec<u8>> {
    vec![
        [&[0], &[0x80; 64][..]].concat(),
        [&[0], &[0; 64][..]].concat(),
        [&[1], &[0x7f; 96][..]].concat(),
        [&[1], &[0; 47][..], &[1; 49]].concat(),
    ]
}

/// A private key that is taken has a public key that is taken, and the attributes of the public object say the same key.
fn private_key(octets: &[u8]) {
    let Ok(key) = import::parse(octets) else { return };
    let public = PublicKey::from_spki(&key.spki).expect("the public half");
    assert_eq!(public.algorithm(), key.algorithm);
    let built = match &key.public[..] {
        [Attribute::Modulus(modulus), Attribute::PublicExponent(exponent)] => {
            rsa_spki(modulus, exponent)
        }
        [Attribute::EcParams(parameters), Attribute::EcPoint(point)] => ec_spki(parameters, point),
        other => panic!("{other:?}"),
    };
    assert_eq!(built.unwrap(), key.spki);
    if let Some(octets) = key.algorithm.coordinate_octets() {
        let value = key.private.attributes().iter().find_map(|attribute| match attribute {
            Attribute::Value(value) => Some(value.len()),
            _ => None,
        });
        assert_eq!(value, Some(octets), "octets of the private number (RFC 5915, 3)");
    }
}

fn private_key_seeds() -> Vec<Vec<u8>> {
    mutation::vectors().into_iter().filter_map(|mut vector| vector.remove("pkcs8")).collect()
}
