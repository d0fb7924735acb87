//! The text dumps of OpenSSL 3.0: `openssl x509 -text -noout` and `openssl crl -text -noout`.
//!
//! Scripts of administrators read these texts, so they are the same to the octet.

mod extension;
mod general_name;
mod key;
mod name;
mod object;
#[cfg(test)]
mod tests;

use super::asn1::{self, Element};
use super::extension::Extension;
use super::signed::Signed;
use super::{certificate, crl, signature, time};

/// A certificate.
pub(super) fn certificate(parts: &certificate::Parts, signed: &Signed) -> String {
    let mut text = String::from("Certificate:\n    Data:\n");
    text += &format!("        Version: {} (0x{:x})\n", u64::from(parts.version) + 1, parts.version);
    text += &format!("        Serial Number:{}", serial(&parts.serial));
    text += &signature_algorithm(signed, 8);
    text += &format!("        Issuer: {}\n", name::one_line(&parts.issuer));
    text += "        Validity\n";
    text += &format!("            Not Before: {}\n", time::openssl_text(parts.not_before));
    text += &format!("            Not After : {}\n", time::openssl_text(parts.not_after));
    text += &format!("        Subject: {}\n", name::one_line(&parts.subject));
    text += &key::public_key(&parts.public_key);
    text += &extensions("X509v3 extensions", &parts.extensions);
    text += &signature_value(signed);
    text
}

/// A revocation list.
pub(super) fn revocation_list(parts: &crl::Parts, signed: &Signed) -> String {
    let mut text = String::from("Certificate Revocation List (CRL):\n");
    text += &format!("        Version {} (0x{:x})\n", u64::from(parts.version) + 1, parts.version);
    text += &signature_algorithm(signed, 8);
    text += &format!("        Issuer: {}\n", name::one_line(&parts.issuer));
    text += &format!("        Last Update: {}\n", time::openssl_text(parts.this_update));
    let next_update = parts.next_update.map_or("NONE".to_owned(), time::openssl_text);
    text += &format!("        Next Update: {next_update}\n");
    text += &extensions("CRL extensions", &parts.extensions);
    text += if parts.revoked.is_empty() {
        "No Revoked Certificates.\n"
    } else {
        "Revoked Certificates:\n"
    };
    for entry in &parts.revoked {
        text += &format!("    Serial Number: {}\n", plain_serial(&entry.serial));
        text += &format!("        Revocation Date: {}\n", time::openssl_text(entry.revoked_at));
        text += &extensions("CRL entry extensions", &entry.extensions);
    }
    text += &signature_value(signed);
    text
}

fn extensions(title: &str, extensions: &[Extension]) -> String {
    if extensions.is_empty() {
        return String::new();
    }
    let mut text = format!("        {title}:\n");
    for extension in extensions {
        let critical = if extension.critical { "critical" } else { "" };
        let kind = object::long_name(&extension.kind);
        text += &format!("            {kind}: {critical}\n");
        text += &extension::value(extension, 16);
        text += "\n";
    }
    text
}

fn signature_algorithm(signed: &Signed, indent: usize) -> String {
    let kind = Element::only(signed.algorithm(), asn1::SEQUENCE)
        .and_then(|identifier| signature::algorithm_of(&identifier))
        .map_or_else(|_| "NULL".to_owned(), |kind| object::long_name(&kind));
    format!("{:indent$}Signature Algorithm: {kind}\n", "")
}

fn signature_value(signed: &Signed) -> String {
    let mut text = signature_algorithm(signed, 4);
    text += "    Signature Value:\n";
    text += &octets(signed.signature(), 18, 8);
    text
}

/// A serial number in a certificate: decimal where it fits into 63 bits, octets otherwise.
fn serial(content: &[u8]) -> String {
    let (is_negative, magnitude) = magnitude(content);
    let small = (magnitude.len() <= 8)
        .then(|| magnitude.iter().fold(0u64, |sum, octet| sum << 8 | u64::from(*octet)))
        .filter(|value| i64::try_from(*value).is_ok())
        // OpenSSL takes its own -1 for a failure.
        .filter(|value| !(is_negative && *value == 1));
    match small {
        Some(value) => {
            let sign = if is_negative { "-" } else { "" };
            format!(" {sign}{value} ({sign}0x{value:x})\n")
        }
        None => {
            let sign = if is_negative { " (Negative)" } else { "" };
            format!("\n            {sign}{}\n", colons(&magnitude))
        }
    }
}

/// A serial number in a revocation list: upper-case octets, 35 to a line.
fn plain_serial(content: &[u8]) -> String {
    let (is_negative, magnitude) = magnitude(content);
    let lines: Vec<String> = magnitude
        .chunks(35)
        .map(|line| line.iter().map(|octet| format!("{octet:02X}")).collect())
        .collect();
    format!("{}{}", if is_negative { "-" } else { "" }, lines.join("\\\n"))
}

/// Sign and magnitude of the content of an INTEGER.
fn magnitude(content: &[u8]) -> (bool, Vec<u8>) {
    let is_negative = content.first().is_some_and(|first| *first >= 0x80);
    let mut magnitude: Vec<u8> = if is_negative {
        let mut inverted: Vec<u8> = content.iter().map(|octet| !octet).collect();
        for octet in inverted.iter_mut().rev() {
            *octet = octet.wrapping_add(1);
            if *octet != 0 {
                break;
            }
        }
        inverted
    } else {
        content.to_vec()
    };
    let zeros = magnitude.iter().take_while(|octet| **octet == 0).count();
    magnitude.drain(..zeros.min(magnitude.len().saturating_sub(1)));
    (is_negative, magnitude)
}

fn colons(octets: &[u8]) -> String {
    let parts: Vec<String> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    parts.join(":")
}

/// Octets in lines of so many; a line that is followed by another ends with a colon.
fn octets(octets: &[u8], per_line: usize, indent: usize) -> String {
    let lines: Vec<String> =
        octets.chunks(per_line).map(|line| format!("{:indent$}{}", "", colons(line))).collect();
    lines.join(":\n") + "\n"
}
