//! The exactness step: takes what rcgen built apart into its raw elements and puts names and keys
//! in, octet for octet.

use super::super::asn1::{self, Element, context_constructed};
use super::super::error::Error;
use super::unreadable;

/// TBSCertificate: version, serial, algorithm, **issuer**, validity, **subject**, **key**, rest.
pub(super) fn certificate(
    built: &[u8],
    issuer: &[u8],
    subject: &[u8],
    public_key: &[u8],
) -> Result<Vec<u8>, Error> {
    let elements = split(built)?;
    match elements.as_slice() {
        [version, serial, algorithm, _, validity, _, _, rest @ ..]
            if *version.first().unwrap_or(&0) == context_constructed(0) =>
        {
            let mut parts =
                vec![*version, *serial, *algorithm, issuer, *validity, subject, public_key];
            parts.extend(rest);
            Ok(asn1::sequence(&parts))
        }
        _ => Err(super::building("rcgen built something that is no certificate of version 3")),
    }
}

/// CertificationRequestInfo: version, **subject**, **key**, attributes.
pub(super) fn request(built: &[u8], subject: &[u8], public_key: &[u8]) -> Result<Vec<u8>, Error> {
    match split(built)?.as_slice() {
        [version, _, _, attributes] => {
            Ok(asn1::sequence(&[version, subject, public_key, attributes]))
        }
        _ => Err(super::building("rcgen built something that is no certificate request")),
    }
}

/// TBSCertList: version, algorithm, **issuer**, rest.
pub(super) fn revocation_list(built: &[u8], issuer: &[u8]) -> Result<Vec<u8>, Error> {
    match split(built)?.as_slice() {
        [version, algorithm, _, rest @ ..] => {
            let mut parts = vec![*version, *algorithm, issuer];
            parts.extend(rest);
            Ok(asn1::sequence(&parts))
        }
        _ => Err(super::building("rcgen built something that is no revocation list")),
    }
}

fn split(built: &[u8]) -> Result<Vec<&[u8]>, Error> {
    let mut elements = Element::only(built, asn1::SEQUENCE)
        .and_then(|whole| whole.elements())
        .map_err(unreadable)?;
    let mut parts = Vec::new();
    while !elements.is_finished() {
        parts.push(elements.next().map_err(unreadable)?.raw);
    }
    Ok(parts)
}
