//! The hashes by which OpenSSL names the files of trusted certificates (`c_rehash`).

use aws_lc_rs::digest;
use md5::{Digest, Md5};

use super::asn1;
use super::name::{Attribute, Name};

/// First four octets, little end first, of SHA-1 over the canonical encoding of a name.
pub(super) fn canonical(name: &Name) -> u32 {
    let mut octets = Vec::new();
    for rdn in name.rdns() {
        octets.extend(canonical_rdn(rdn));
    }
    first_four(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &octets).as_ref())
}

/// First four octets, little end first, of MD5 over the name as it is encoded.
pub(super) fn old(name: &Name) -> u32 {
    first_four(&Md5::digest(name.as_der()))
}

/// One RDN in the form that OpenSSL compares and hashes: every character string as UTF8String in
/// lower case with its spaces folded. Names that RFC 5280, 7.1 calls equal have equal forms.
pub(super) fn canonical_rdn(rdn: &[Attribute]) -> Vec<u8> {
    let mut attributes: Vec<Vec<u8>> = rdn
        .iter()
        .map(|attribute| {
            let kind = asn1::object_identifier(&attribute.kind);
            let value = match attribute.characters() {
                Some(text) => asn1::encode(asn1::UTF8_STRING, &[folded(&text).as_bytes()]),
                None => asn1::encode(attribute.tag, &[&attribute.value]),
            };
            asn1::sequence(&[&kind, &value])
        })
        .collect();
    // DER orders the elements of a SET OF by their octets.
    attributes.sort();
    let parts: Vec<&[u8]> = attributes.iter().map(Vec::as_slice).collect();
    asn1::encode(asn1::SET, &parts)
}

fn folded(text: &str) -> String {
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r');
    text.split(is_space)
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
        .to_ascii_lowercase()
}

fn first_four(digest: &[u8]) -> u32 {
    digest.iter().take(4).rev().fold(0, |sum, octet| sum << 8 | u32::from(*octet))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use crate::x509::tests::judge;

    #[test]
    fn both_hashes_are_those_of_openssl() {
        for subject in [
            "/CN=CA/DC=vsphere/DC=local/C=US/ST=California/O=vc.example.com/OU=VMware Engineering",
            "/CN=  Two   Spaces  /O=UPPER lower",
            "/O=Zürich ÄÖÜ/CN=grüße",
            "/OU=b+CN=a+O=c/C=DE",
            "/emailAddress=Root@Example.COM",
            "/CN=tab\there",
        ] {
            let certificate = judge::self_signed(subject);
            let printed = judge::run_on_der(
                &["x509", "-inform", "DER", "-noout", "-subject_hash", "-subject_hash_old"],
                certificate.as_der(),
            );
            assert_eq!(
                printed,
                format!(
                    "{:08x}\n{:08x}\n",
                    certificate.subject_hash(),
                    certificate.subject_hash_old()
                ),
                "{subject}"
            );
        }
    }
}
