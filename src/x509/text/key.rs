//! Public keys as OpenSSL prints them.

use super::super::oid;
use super::super::public_key::{self, Info};
use super::{object, octets};

/// Algorithm and key.
pub(super) fn public_key(der: &[u8]) -> String {
    let mut text = String::from("        Subject Public Key Info:\n");
    let Ok(info) = Info::read(der) else {
        return text;
    };
    text += &format!("            Public Key Algorithm: {}\n", object::long_name(&info.kind));
    text += &key(&info).unwrap_or_else(|| "            Unable to load Public Key\n".to_owned());
    text
}

fn key(info: &Info<'_>) -> Option<String> {
    match info.kind {
        oid::RSA_ENCRYPTION => {
            let (modulus, exponent) = info.rsa().ok()?;
            Some(format!(
                "{:16}Public-Key: ({} bit)\n{:16}Modulus:\n{}{}",
                "",
                public_key::bits(modulus),
                "",
                octets(&with_sign_octet(modulus), 15, 20),
                exponent_line(exponent)
            ))
        }
        oid::EC_PUBLIC_KEY => {
            let (bits, name, nist) = match info.curve()? {
                oid::SECP256R1 => (256, "prime256v1", "P-256"),
                oid::SECP384R1 => (384, "secp384r1", "P-384"),
                oid::SECP521R1 => (521, "secp521r1", "P-521"),
                _ => return None,
            };
            Some(format!(
                "{:16}Public-Key: ({bits} bit)\n{:16}pub:\n{}{:16}ASN1 OID: {name}\n{:16}NIST CURVE: {nist}\n",
                "",
                "",
                octets(info.key, 15, 20),
                "",
                ""
            ))
        }
        oid::ED25519 | oid::ED448 => Some(format!(
            "{:16}{} Public-Key:\n{:16}pub:\n{}",
            "",
            object::short_name(&info.kind),
            "",
            octets(info.key, 15, 20)
        )),
        _ => None,
    }
}

/// Numbers are printed as DER holds them: a zero octet first where the top bit is set.
fn with_sign_octet(magnitude: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(magnitude.len() + 1);
    if magnitude.first().is_some_and(|first| *first >= 0x80) {
        octets.push(0);
    }
    octets.extend_from_slice(magnitude);
    octets
}

fn exponent_line(exponent: &[u8]) -> String {
    if exponent.len() <= 8 {
        let value = exponent.iter().fold(0u64, |sum, octet| sum << 8 | u64::from(*octet));
        format!("{:16}Exponent: {value} (0x{value:x})\n", "")
    } else {
        format!("{:16}Exponent:\n{}", "", octets(&with_sign_octet(exponent), 15, 20))
    }
}
