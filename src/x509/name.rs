//! X.501 names, kept octet for octet (RFC 5280, 4.1.2.4).
//!
//! Two certificates chain only if issuer and subject are equal, so a name is never taken apart and
//! put together again: what was read is what is written.

use std::fmt;
use std::sync::Arc;

use der::oid::ObjectIdentifier;

use super::asn1::{self, Element};
use super::error::{Error, Refusal};
use super::{hash_name, oid};

/// An X.501 Name, kept as the octets it was read from. Clones share them.
#[derive(Clone)]
pub struct Name(Arc<Parts>);

struct Parts {
    der: Vec<u8>,
    rdns: Vec<Vec<Attribute>>,
}

/// One attribute of a relative distinguished name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attribute {
    pub kind: ObjectIdentifier,
    /// Tag octet of the value.
    pub tag: u8,
    /// Content octets of the value.
    pub value: Vec<u8>,
}

impl Name {
    /// Reads a `Name`; refuses embedded NUL characters and character strings that are not in their
    /// own encoding.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let rdns = Element::only(der, asn1::SEQUENCE)
            .and_then(|name| read_rdns(&name))
            .map_err(asn1::unreadable("the name"))?;
        for attribute in rdns.iter().flatten() {
            attribute.check()?;
        }
        Ok(Self(Arc::new(Parts { der: der.to_vec(), rdns })))
    }

    /// A name of one attribute per RDN, in this order.
    pub(super) fn of_attributes(attributes: Vec<Attribute>) -> Result<Self, Error> {
        let sets: Vec<Vec<u8>> = attributes
            .iter()
            .map(|attribute| asn1::encode(asn1::SET, &[&attribute.to_der()]))
            .collect();
        let parts: Vec<&[u8]> = sets.iter().map(Vec::as_slice).collect();
        Self::from_der(&asn1::sequence(&parts))
    }

    /// The octets, as they were read.
    pub fn as_der(&self) -> &[u8] {
        &self.0.der
    }

    /// Whether there is no attribute at all.
    pub fn is_empty(&self) -> bool {
        self.0.rdns.is_empty()
    }

    /// The text of RFC 4514: the last attribute first, `CN=server,O=Example\, Inc.`.
    ///
    /// Attributes that RFC 4514 has no short name for are written as dotted numbers with the value
    /// in hexadecimal, but for e-mail addresses (`emailAddress=`), which everybody reads.
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(self.0.der.len());
        for (place, rdn) in self.0.rdns.iter().rev().enumerate() {
            if place > 0 {
                text.push(',');
            }
            for (place, attribute) in rdn.iter().rev().enumerate() {
                if place > 0 {
                    text.push('+');
                }
                attribute.write_text(&mut text);
            }
        }
        text
    }

    /// Every value of commonName, in order.
    pub fn common_names(&self) -> Vec<String> {
        self.values(&oid::COMMON_NAME)
    }

    /// Every value of organizationName, in order.
    pub fn organizations(&self) -> Vec<String> {
        self.values(&oid::ORGANIZATION)
    }

    /// Every value of organizationalUnitName, in order.
    pub fn organizational_units(&self) -> Vec<String> {
        self.values(&oid::ORGANIZATIONAL_UNIT)
    }

    /// Every value of countryName, in order.
    pub fn countries(&self) -> Vec<String> {
        self.values(&oid::COUNTRY)
    }

    /// OpenSSL's file name hash of this name (`-subject_hash`).
    pub fn hash(&self) -> u32 {
        hash_name::canonical(self)
    }

    /// OpenSSL's file name hash of this name before version 1.0 (`-subject_hash_old`).
    pub fn hash_old(&self) -> u32 {
        hash_name::old(self)
    }

    pub(super) fn values(&self, kind: &ObjectIdentifier) -> Vec<String> {
        self.0
            .rdns
            .iter()
            .flatten()
            .filter(|attribute| attribute.kind == *kind)
            .filter_map(Attribute::characters)
            .collect()
    }

    pub(super) fn rdns(&self) -> &[Vec<Attribute>] {
        &self.0.rdns
    }

    /// Whether the attributes of every RDN stand in the order that DER gives a SET OF (X.690, 11.6).
    /// Names that do not are read, but never written: whoever encodes them again gets others.
    pub(super) fn is_in_order(&self) -> bool {
        let in_order = |rdn: &Vec<Attribute>| rdn.iter().map(Attribute::to_der).is_sorted();
        self.0.rdns.iter().all(|rdn| rdn.len() < 2 || in_order(rdn))
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        // What is read from the same octets is the same.
        self.0.der == other.0.der
    }
}

impl Eq for Name {}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({})", self.to_text())
    }
}

fn read_rdns(name: &Element<'_>) -> der::Result<Vec<Vec<Attribute>>> {
    let mut rdns = Vec::new();
    let mut sets = name.elements()?;
    while !sets.is_finished() {
        let mut rdn = Vec::new();
        let mut attributes = sets.expect(asn1::SET)?.elements()?;
        // RelativeDistinguishedName ::= SET SIZE (1..MAX)
        loop {
            let mut parts = attributes.expect(asn1::SEQUENCE)?.elements()?;
            let kind = parts.next()?.object_identifier()?;
            let value = parts.next()?;
            parts.finish()?;
            rdn.push(Attribute { kind, tag: value.tag, value: value.value.to_vec() });
            if attributes.is_finished() {
                break;
            }
        }
        rdns.push(rdn);
    }
    Ok(rdns)
}

impl Attribute {
    fn to_der(&self) -> Vec<u8> {
        asn1::sequence(&[
            &asn1::object_identifier(&self.kind),
            &asn1::encode(self.tag, &[&self.value]),
        ])
    }

    /// The value as characters, where it is a character string.
    pub(super) fn characters(&self) -> Option<String> {
        match self.tag {
            asn1::UTF8_STRING => String::from_utf8(self.value.clone()).ok(),
            asn1::PRINTABLE_STRING | asn1::IA5_STRING | asn1::VISIBLE_STRING => {
                self.value.is_ascii().then(|| self.value.iter().copied().map(char::from).collect())
            }
            // Everybody, OpenSSL included, reads T61String as Latin-1.
            asn1::T61_STRING => Some(self.value.iter().copied().map(char::from).collect()),
            asn1::BMP_STRING => {
                let units: Vec<u16> = self
                    .value
                    .chunks(2)
                    .map(|pair| match pair {
                        [high, low] => Some(u16::from_be_bytes([*high, *low])),
                        _ => None,
                    })
                    .collect::<Option<_>>()?;
                // BMPString is UCS-2: a surrogate is not a character.
                units.into_iter().map(|unit| char::from_u32(u32::from(unit))).collect()
            }
            _ => None,
        }
    }

    fn is_character_string(&self) -> bool {
        matches!(
            self.tag,
            asn1::UTF8_STRING
                | asn1::PRINTABLE_STRING
                | asn1::IA5_STRING
                | asn1::VISIBLE_STRING
                | asn1::T61_STRING
                | asn1::BMP_STRING
        )
    }

    fn check(&self) -> Result<(), Error> {
        if !self.is_character_string() {
            return Ok(());
        }
        // What most names are, without a copy.
        let has_nul = match self.tag {
            asn1::UTF8_STRING => {
                std::str::from_utf8(&self.value).map(|text| text.contains('\0')).ok()
            }
            _ => self.characters().map(|text| text.contains('\0')),
        };
        match has_nul {
            None => Err(Error::Malformed(Refusal::from(format!(
                "the name holds a value of attribute {} that is not in its own character set",
                self.kind
            )))),
            // A NUL lets a name look different to programs that stop reading at it.
            Some(true) => Err(Error::Malformed(Refusal::from(format!(
                "the name holds a NUL character in attribute {}; such names are used to deceive and are refused",
                self.kind
            )))),
            Some(false) => Ok(()),
        }
    }

    fn write_text(&self, text: &mut String) {
        match (short_name(&self.kind), self.characters()) {
            (Some(short), Some(characters)) => {
                text.push_str(short);
                text.push('=');
                write_escaped(&characters, text);
            }
            _ => {
                text.push_str(&format!("{}=#", self.kind));
                for octet in asn1::encode(self.tag, &[&self.value]) {
                    text.push_str(&format!("{octet:02X}"));
                }
            }
        }
    }
}

/// Short names of RFC 4514, section 3.
fn short_name(kind: &ObjectIdentifier) -> Option<&'static str> {
    [
        (oid::COMMON_NAME, "CN"),
        (oid::LOCALITY, "L"),
        (oid::STATE, "ST"),
        (oid::ORGANIZATION, "O"),
        (oid::ORGANIZATIONAL_UNIT, "OU"),
        (oid::COUNTRY, "C"),
        (oid::STREET, "STREET"),
        (oid::DOMAIN_COMPONENT, "DC"),
        (oid::USER_ID, "UID"),
        (oid::EMAIL_ADDRESS, "emailAddress"),
    ]
    .into_iter()
    .find(|(known, _)| known == kind)
    .map(|(_, short)| short)
}

/// RFC 4514, section 2.4.
fn write_escaped(characters: &str, text: &mut String) {
    let end = characters.len();
    for (position, character) in characters.char_indices() {
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => text.extend(['\\', character]),
            '#' if position == 0 => text.push_str("\\#"),
            ' ' if position == 0 || position + 1 == end => text.push_str("\\ "),
            // Control characters would let a name change what a terminal shows.
            control if control.is_control() => {
                let mut octets = [0; 4];
                for octet in control.encode_utf8(&mut octets).bytes() {
                    text.push_str(&format!("\\{octet:02X}"));
                }
            }
            plain => text.push(plain),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::{Attribute, Name};
    use crate::x509::tests::judge;
    use crate::x509::{Error, asn1, oid};

    fn named(tag: u8, value: &[u8]) -> Result<Name, Error> {
        Name::of_attributes(vec![Attribute { kind: oid::COMMON_NAME, tag, value: value.to_vec() }])
    }

    #[test]
    fn text_is_what_openssl_prints_for_rfc_4514() {
        for subject in [
            "/C=DE/O=Example, Inc./OU=a\\+b/CN=#1 \"quoted\" <x>;\\\\",
            "/DC=local/DC=vsphere/CN=CA",
            "/CN= leading and trailing /O=Zürich",
            "/OU=one+CN=two/O=three",
            "/emailAddress=a@b.c/UID=me",
        ] {
            let certificate = judge::self_signed(subject);
            let expected = judge::run_on_der(
                &["x509", "-inform", "DER", "-noout", "-subject", "-nameopt", "RFC2253,-esc_msb"],
                certificate.as_der(),
            );
            assert_eq!(format!("subject={}\n", certificate.subject().to_text()), expected);
        }
    }

    #[test]
    fn an_embedded_nul_is_refused_in_every_string_type() {
        for (tag, value) in [
            (asn1::UTF8_STRING, &b"a\0b"[..]),
            (asn1::PRINTABLE_STRING, b"a\0b"),
            (asn1::BMP_STRING, b"\0a\0\0\0b"),
        ] {
            let error = named(tag, value).unwrap_err();
            assert!(error.to_string().contains("NUL"), "{error}");
        }
    }

    #[test]
    fn strings_outside_their_character_set_are_refused() {
        for (tag, value) in [
            (asn1::UTF8_STRING, &b"\xff"[..]),
            (asn1::PRINTABLE_STRING, b"\xe9"),
            (asn1::BMP_STRING, b"\0a\0"),
            (asn1::BMP_STRING, b"\xd8\0"),
        ] {
            assert!(matches!(named(tag, value), Err(Error::Malformed(_))));
        }
    }

    #[test]
    fn old_string_types_are_read() {
        assert_eq!(named(asn1::T61_STRING, b"Z\xfcrich").unwrap().common_names(), ["Zürich"]);
        assert_eq!(named(asn1::BMP_STRING, b"\0Z\0\xfc").unwrap().common_names(), ["Zü"]);
    }

    #[test]
    fn unknown_attributes_and_control_characters_are_written_in_hexadecimal() {
        let name = Name::of_attributes(vec![Attribute {
            kind: "1.2.3.4".parse().unwrap(),
            tag: asn1::UTF8_STRING,
            value: b"x".to_vec(),
        }])
        .unwrap();
        assert_eq!(name.to_text(), "1.2.3.4=#0C0178");
        assert_eq!(named(asn1::UTF8_STRING, b"a\x1b[2J").unwrap().to_text(), "CN=a\\1B[2J");
    }
}
