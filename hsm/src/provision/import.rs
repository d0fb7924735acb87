//! Private keys from outside: PKCS#8 (RFC 5208) to the attributes of a token object.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair,
};
use cryptoki::object::{Attribute, KeyType, ObjectClass};
use der::asn1::{AnyRef, OctetStringRef, UintRef};
use der::{Decode, Encode, Reader, SliceReader};
use zeroize::Zeroize;

use super::curve_parameters;
use crate::{Algorithm, Error};

/// A private key on its way into a token.
pub(crate) struct Imported {
    pub(crate) algorithm: Algorithm,
    pub(crate) spki: Vec<u8>,
    pub(crate) public: Vec<Attribute>,
    pub(crate) private: SecretAttributes,
}

/// Attributes with private numbers in them. Wiped when dropped, because `cryptoki` does not wipe attributes.
pub(crate) struct SecretAttributes(Vec<Attribute>);

impl SecretAttributes {
    /// The value of a secret key.
    pub(crate) fn with_value(octets: &[u8]) -> Self {
        Self(vec![Attribute::Value(octets.to_vec())])
    }

    /// Adds attributes that are not secret.
    pub(crate) fn joined_to(mut self, template: Vec<Attribute>) -> Self {
        self.0.extend(template);
        self
    }

    pub(crate) fn attributes(&self) -> &[Attribute] {
        &self.0
    }
}

impl Drop for SecretAttributes {
    fn drop(&mut self) {
        for attribute in &mut self.0 {
            if let Attribute::Value(number)
            | Attribute::PrivateExponent(number)
            | Attribute::Prime1(number)
            | Attribute::Prime2(number)
            | Attribute::Exponent1(number)
            | Attribute::Exponent2(number)
            | Attribute::Coefficient(number) = attribute
            {
                number.zeroize();
            }
        }
    }
}

/// Reads an unencrypted PKCS#8 key. The numbers are checked to be one key by a second library before they go into
/// the token, because tokens take anything.
pub(crate) fn parse(pkcs8: &[u8]) -> Result<Imported, Error> {
    let (algorithm, spki) = recognise(pkcs8).ok_or_else(refused)?;
    let inner = private_key(pkcs8).map_err(|_| refused())?;
    let (public, private) = match algorithm {
        Algorithm::Rsa(2048 | 3072 | 4096) => rsa_attributes(inner),
        Algorithm::Rsa(_) => return Err(refused()),
        Algorithm::P256 | Algorithm::P384 => ec_attributes(inner, algorithm, &spki),
    }
    .map_err(|_| refused())?;
    Ok(Imported { algorithm, spki, public, private })
}

/// What a key from outside is in the token for as long as a session lives: it signs, and never leaves.
pub(crate) fn session_template(algorithm: Algorithm) -> Vec<Attribute> {
    let key_type = match algorithm {
        Algorithm::Rsa(_) => KeyType::RSA,
        Algorithm::P256 | Algorithm::P384 => KeyType::EC,
    };
    vec![
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::KeyType(key_type),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
        Attribute::SignRecover(false),
        Attribute::Decrypt(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
    ]
}

fn refused() -> Error {
    Error::Refused(
        "this is not a private key that can be imported: give an unencrypted PKCS#8 key of RSA with 2048, 3072 or \
         4096 bits, P-256 or P-384"
            .into(),
    )
}

fn recognise(pkcs8: &[u8]) -> Option<(Algorithm, Vec<u8>)> {
    for (algorithm, signing) in [
        (Algorithm::P256, &ECDSA_P256_SHA256_ASN1_SIGNING),
        (Algorithm::P384, &ECDSA_P384_SHA384_ASN1_SIGNING),
    ] {
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(signing, pkcs8) {
            return Some((algorithm, pair.public_key().as_der().ok()?.as_ref().to_vec()));
        }
    }
    let pair = aws_lc_rs::rsa::KeyPair::from_pkcs8(pkcs8).ok()?;
    let bits = u16::try_from(8 * pair.public_modulus_len()).ok()?;
    Some((Algorithm::Rsa(bits), pair.public_key().as_der().ok()?.as_ref().to_vec()))
}

/// The privateKey field of PrivateKeyInfo, borrowed from the caller's buffer.
fn private_key(pkcs8: &[u8]) -> der::Result<&[u8]> {
    let mut reader = SliceReader::new(pkcs8)?;
    reader.sequence(|info| {
        u8::decode(info)?;
        AnyRef::decode(info)?;
        let key = <&OctetStringRef>::decode(info)?.as_bytes();
        skip_rest(info)?;
        Ok(key)
    })
}

fn skip_rest<'a>(reader: &mut impl Reader<'a>) -> der::Result<()> {
    while !reader.is_finished() {
        reader.tlv_bytes()?;
    }
    Ok(())
}

type Attributes = (Vec<Attribute>, SecretAttributes);

/// RSAPrivateKey (RFC 8017 appendix A.1.2).
fn rsa_attributes(key: &[u8]) -> der::Result<Attributes> {
    let mut reader = SliceReader::new(key)?;
    reader.sequence(|key| {
        u8::decode(key)?;
        let mut number = || der::Result::Ok(UintRef::decode(key)?.as_bytes().to_vec());
        let (modulus, exponent) = (number()?, number()?);
        // Put under the type that wipes them one by one, so that a fault in between leaves nothing behind.
        let mut private = SecretAttributes(Vec::with_capacity(32));
        private.0.push(Attribute::PrivateExponent(number()?));
        private.0.push(Attribute::Prime1(number()?));
        private.0.push(Attribute::Prime2(number()?));
        private.0.push(Attribute::Exponent1(number()?));
        private.0.push(Attribute::Exponent2(number()?));
        private.0.push(Attribute::Coefficient(number()?));
        private.0.push(Attribute::Modulus(modulus.clone()));
        private.0.push(Attribute::PublicExponent(exponent.clone()));
        let public = vec![Attribute::Modulus(modulus), Attribute::PublicExponent(exponent)];
        Ok((public, private))
    })
}

/// ECPrivateKey (RFC 5915 section 3). The point comes from the public key that was computed from it.
fn ec_attributes(key: &[u8], algorithm: Algorithm, spki: &[u8]) -> der::Result<Attributes> {
    let point_octets = algorithm.coordinate_octets().map_or(0, |octets| 1 + 2 * octets);
    let point = spki.get(spki.len().saturating_sub(point_octets)..).unwrap_or_default();
    let mut reader = SliceReader::new(key)?;
    let mut private = reader.sequence(|key| {
        u8::decode(key)?;
        let value = <&OctetStringRef>::decode(key)?.as_bytes().to_vec();
        let private = SecretAttributes(vec![Attribute::Value(value)]);
        skip_rest(key)?;
        der::Result::Ok(private)
    })?;
    let parameters = Attribute::EcParams(curve_parameters(algorithm));
    private.0.push(parameters.clone());
    let point = OctetStringRef::new(point)?.to_der()?;
    Ok((vec![parameters, Attribute::EcPoint(point)], private))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_ec_key_becomes_its_attributes() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).unwrap();
        let imported = parse(pair.to_pkcs8v1().unwrap().as_ref()).unwrap();
        assert_eq!(imported.algorithm, Algorithm::P384);
        assert_eq!(imported.spki, pair.public_key().as_der().unwrap().as_ref());
        let secret = imported.private.attributes();
        assert!(matches!(&secret[0], Attribute::Value(value) if value.len() == 48));
        let Attribute::EcPoint(point) = &imported.public[1] else { panic!("no point") };
        assert_eq!(point[2..], *pair.public_key().as_ref());
    }

    #[test]
    fn an_rsa_key_becomes_its_attributes() {
        let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        let imported = parse(pair.as_der().unwrap().as_ref()).unwrap();
        assert_eq!(imported.algorithm, Algorithm::Rsa(2048));
        assert_eq!(imported.private.attributes().len(), 8);
    }

    #[test]
    fn other_octets_are_refused() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let pkcs8 = pair.to_pkcs8v1().unwrap();
        for octets in [&b""[..], b"-----BEGIN PRIVATE KEY-----", &pkcs8.as_ref()[1..]] {
            assert!(matches!(parse(octets), Err(Error::Refused(_))));
        }
    }
}
