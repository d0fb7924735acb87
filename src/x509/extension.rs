//! Extensions of certificates, requests and revocation lists (RFC 5280, 4.2 and 5.2).

use der::oid::ObjectIdentifier;

use super::asn1::{self, Element, context, context_constructed};
use super::error::Error;
use super::general_name::GeneralName;
use super::oid;

/// One extension as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// extnID.
    pub kind: ObjectIdentifier,
    /// Whether who does not understand it must refuse the whole.
    pub critical: bool,
    /// Content of extnValue.
    pub value: Vec<u8>,
}

/// Reads an `Extensions` SEQUENCE. The same extension twice is refused (RFC 5280, 4.2): two
/// readers could take a different one of them.
pub(super) fn read_all(list: &Element<'_>) -> Result<Vec<Extension>, Error> {
    let extensions = read_list(list).map_err(asn1::unreadable("the list of extensions"))?;
    let mut kinds: Vec<&ObjectIdentifier> = extensions.iter().map(|found| &found.kind).collect();
    kinds.sort_unstable();
    if let Some(twice) = kinds.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]) {
        return Err(Error::Malformed(
            format!(
                "the extension {twice} is there twice; ask for a correct one from where this was made"
            )
            .into(),
        ));
    }
    Ok(extensions)
}

fn read_list(list: &Element<'_>) -> der::Result<Vec<Extension>> {
    let mut extensions = Vec::new();
    let mut elements = list.elements()?;
    while !elements.is_finished() {
        let mut parts = elements.expect(asn1::SEQUENCE)?.elements()?;
        let kind = parts.next()?.object_identifier()?;
        let critical = match parts.optional(asn1::BOOLEAN)? {
            Some(critical) => critical.boolean()?,
            None => false,
        };
        let value = parts.expect(asn1::OCTET_STRING)?.value.to_vec();
        parts.finish()?;
        extensions.push(Extension { kind, critical, value });
    }
    Ok(extensions)
}

/// The `Extensions` SEQUENCE of these, in DER: what is false by default is left out.
pub(super) fn write_all(extensions: &[Extension]) -> Vec<u8> {
    let written: Vec<Vec<u8>> = extensions.iter().map(Extension::to_der).collect();
    let parts: Vec<&[u8]> = written.iter().map(Vec::as_slice).collect();
    asn1::sequence(&parts)
}

impl Extension {
    fn to_der(&self) -> Vec<u8> {
        let critical: &[u8] = if self.critical { &[asn1::BOOLEAN, 1, 0xff] } else { &[] };
        asn1::sequence(&[
            &asn1::object_identifier(&self.kind),
            critical,
            &asn1::encode(asn1::OCTET_STRING, &[&self.value]),
        ])
    }
}

/// The extension of this kind.
pub(super) fn find(extensions: &[Extension], kind: ObjectIdentifier) -> Option<&Extension> {
    extensions.iter().find(|extension| extension.kind == kind)
}

/// Bits of keyUsage (RFC 5280, 4.2.1.3). encipherOnly and decipherOnly are neither asked for nor
/// issued, so they are not here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyUsage {
    /// digitalSignature (0).
    pub digital_signature: bool,
    /// nonRepudiation (1), which newer texts call contentCommitment.
    pub non_repudiation: bool,
    /// keyEncipherment (2).
    pub key_encipherment: bool,
    /// dataEncipherment (3).
    pub data_encipherment: bool,
    /// keyAgreement (4).
    pub key_agreement: bool,
    /// keyCertSign (5).
    pub key_cert_sign: bool,
    /// cRLSign (6).
    pub crl_sign: bool,
}

impl KeyUsage {
    /// keyCertSign and cRLSign: what a CA may do.
    pub const CA: Self = Self {
        digital_signature: false,
        non_repudiation: false,
        key_encipherment: false,
        data_encipherment: false,
        key_agreement: false,
        key_cert_sign: true,
        crl_sign: true,
    };

    /// Whether no bit is set; such an extension must not be written.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Reads the value of the extension.
    pub(super) fn read(value: &[u8]) -> der::Result<Self> {
        let (_, octets) = Element::only(value, asn1::BIT_STRING)?.bit_string()?;
        let first = octets.first().copied().unwrap_or(0);
        let bit = |number: u8| first & (0x80 >> number) != 0;
        Ok(Self {
            digital_signature: bit(0),
            non_repudiation: bit(1),
            key_encipherment: bit(2),
            data_encipherment: bit(3),
            key_agreement: bit(4),
            key_cert_sign: bit(5),
            crl_sign: bit(6),
        })
    }

    /// The value of the extension. DER drops trailing zero bits of a named bit list.
    pub(super) fn to_der(self) -> Vec<u8> {
        let octet = [
            self.digital_signature,
            self.non_repudiation,
            self.key_encipherment,
            self.data_encipherment,
            self.key_agreement,
            self.key_cert_sign,
            self.crl_sign,
        ]
        .into_iter()
        .enumerate()
        .fold(0, |octet: u8, (number, set)| octet | (u8::from(set) << (7 - number)));
        if octet == 0 {
            return asn1::encode(asn1::BIT_STRING, &[&[0]]);
        }
        let unused = octet.trailing_zeros() as u8;
        asn1::encode(asn1::BIT_STRING, &[&[unused, octet]])
    }
}

/// basicConstraints (RFC 5280, 4.2.1.9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BasicConstraints {
    pub ca: bool,
    pub path_length: Option<u32>,
}

impl BasicConstraints {
    pub(super) fn read(value: &[u8]) -> der::Result<Self> {
        let mut parts = Element::only(value, asn1::SEQUENCE)?.elements()?;
        let ca = match parts.optional(asn1::BOOLEAN)? {
            Some(ca) => ca.boolean()?,
            None => false,
        };
        let path_length = match parts.optional(asn1::INTEGER)? {
            Some(length) => Some(length.small_unsigned()?),
            None => None,
        };
        parts.finish()?;
        Ok(Self { ca, path_length })
    }
}

/// authorityKeyIdentifier (RFC 5280, 4.2.1.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AuthorityKeyIdentifier {
    pub key_identifier: Option<Vec<u8>>,
    pub issuer: Vec<GeneralName>,
    /// Content octets of the serial number.
    pub serial: Option<Vec<u8>>,
}

impl AuthorityKeyIdentifier {
    pub(super) fn read(value: &[u8]) -> Result<Self, Error> {
        let unreadable = asn1::unreadable("the authority key identifier");
        let mut parts = Element::only(value, asn1::SEQUENCE)
            .and_then(|list| list.elements())
            .map_err(&unreadable)?;
        let key = parts.optional(context(0)).map_err(&unreadable)?;
        let issuer = parts.optional(context_constructed(1)).map_err(&unreadable)?;
        let serial = parts.optional(context(2)).map_err(&unreadable)?;
        parts.finish().map_err(&unreadable)?;
        Ok(Self {
            key_identifier: key.map(|key| key.value.to_vec()),
            issuer: match issuer {
                Some(issuer) => GeneralName::all(issuer.elements().map_err(&unreadable)?)?,
                None => Vec::new(),
            },
            serial: serial.map(|serial| serial.value.to_vec()),
        })
    }
}

/// The key identifier inside a subjectKeyIdentifier.
pub(super) fn read_key_identifier(value: &[u8]) -> der::Result<Vec<u8>> {
    Ok(Element::only(value, asn1::OCTET_STRING)?.value.to_vec())
}

/// The purposes of an extKeyUsage, in order.
pub(super) fn read_purposes(value: &[u8]) -> der::Result<Vec<ObjectIdentifier>> {
    let mut purposes = Vec::new();
    let mut elements = Element::only(value, asn1::SEQUENCE)?.elements()?;
    while !elements.is_finished() {
        purposes.push(elements.next()?.object_identifier()?);
    }
    Ok(purposes)
}

/// keyUsage of these extensions.
pub(super) fn key_usage(extensions: &[Extension]) -> Result<Option<KeyUsage>, Error> {
    find(extensions, oid::KEY_USAGE)
        .map(|extension| KeyUsage::read(&extension.value))
        .transpose()
        .map_err(asn1::unreadable("the key usage"))
}

/// basicConstraints of these extensions; without any, not a CA.
pub(super) fn basic_constraints(extensions: &[Extension]) -> Result<BasicConstraints, Error> {
    Ok(find(extensions, oid::BASIC_CONSTRAINTS)
        .map(|extension| BasicConstraints::read(&extension.value))
        .transpose()
        .map_err(asn1::unreadable("the basic constraints"))?
        .unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::{BasicConstraints, KeyUsage};

    #[test]
    fn every_key_usage_reads_back() {
        for bits in 0..0x80u8 {
            let usage = KeyUsage {
                digital_signature: bits & 1 != 0,
                non_repudiation: bits & 2 != 0,
                key_encipherment: bits & 4 != 0,
                data_encipherment: bits & 8 != 0,
                key_agreement: bits & 16 != 0,
                key_cert_sign: bits & 32 != 0,
                crl_sign: bits & 64 != 0,
            };
            assert_eq!(KeyUsage::read(&usage.to_der()).unwrap(), usage);
        }
        assert_eq!(KeyUsage::CA.to_der(), [0x03, 0x02, 0x01, 0x06]);
    }

    #[test]
    fn basic_constraints_are_read_strictly() {
        let read = |value: &[u8]| BasicConstraints::read(value).ok();
        let ca = |path_length| Some(BasicConstraints { ca: true, path_length });
        assert_eq!(read(&[0x30, 0x00]), Some(BasicConstraints::default()));
        assert_eq!(read(&[0x30, 0x03, 1, 1, 0xff]), ca(None));
        assert_eq!(read(&[0x30, 0x06, 1, 1, 0xff, 2, 1, 0]), ca(Some(0)));
        assert_eq!(read(&[0x30, 0x03, 1, 1, 0x01]), None);
        assert_eq!(read(&[0x30, 0x06, 1, 1, 0xff, 2, 1, 0x80]), None);
    }
}
