//! Raw DER elements: taking a structure apart without losing an octet, and putting one together.
//!
//! Typed decoders forget how a value was written. Names and keys must travel octet for octet, so
//! this file works on elements (tag, length, value) and leaves their meaning to the callers.

use der::oid::ObjectIdentifier;
use der::{Decode, ErrorKind, Header, Reader, SliceReader};

use super::error::{Error, Refusal};

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const ENUMERATED: u8 = 0x0a;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const PRINTABLE_STRING: u8 = 0x13;
pub(super) const T61_STRING: u8 = 0x14;
pub(super) const IA5_STRING: u8 = 0x16;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const VISIBLE_STRING: u8 = 0x1a;
pub(super) const BMP_STRING: u8 = 0x1e;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// `[number]`, primitive.
pub(super) const fn context(number: u8) -> u8 {
    0x80 | number
}

/// `[number]`, constructed.
pub(super) const fn context_constructed(number: u8) -> u8 {
    0xa0 | number
}

/// One element as it was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    /// First octet of the identifier; a long-form tag never equals one that is asked for here.
    pub tag: u8,
    /// Tag, length and value.
    pub raw: &'a [u8],
    /// The value alone.
    pub value: &'a [u8],
}

impl<'a> Element<'a> {
    /// The only element of these octets, with this tag.
    pub(super) fn only(octets: &'a [u8], tag: u8) -> der::Result<Self> {
        let mut elements = Elements::of(octets)?;
        let element = elements.expect(tag)?;
        elements.finish()?;
        Ok(element)
    }

    /// The elements inside a constructed one.
    pub(super) fn elements(&self) -> der::Result<Elements<'a>> {
        Elements::of(self.value)
    }

    /// An OBJECT IDENTIFIER.
    pub(super) fn object_identifier(&self) -> der::Result<ObjectIdentifier> {
        self.tagged(OBJECT_IDENTIFIER)?;
        ObjectIdentifier::from_bytes(self.value)
            .map_err(|_| ErrorKind::Value { tag: der::Tag::ObjectIdentifier }.into())
    }

    /// The content octets of an INTEGER, checked to be the shortest form (X.690, 8.3.2).
    pub(super) fn integer(&self) -> der::Result<&'a [u8]> {
        self.tagged(INTEGER)?;
        match self.value {
            [] => Err(ErrorKind::Length { tag: der::Tag::Integer }.into()),
            [0x00, next, ..] if *next < 0x80 => {
                Err(ErrorKind::Noncanonical { tag: der::Tag::Integer }.into())
            }
            [0xff, next, ..] if *next >= 0x80 => {
                Err(ErrorKind::Noncanonical { tag: der::Tag::Integer }.into())
            }
            octets => Ok(octets),
        }
    }

    /// The magnitude of an INTEGER that is not negative, without a leading zero octet.
    pub(super) fn unsigned(&self) -> der::Result<&'a [u8]> {
        match self.integer()? {
            [0x00, magnitude @ ..] if !magnitude.is_empty() => Ok(magnitude),
            [first, ..] if *first >= 0x80 => {
                Err(ErrorKind::Value { tag: der::Tag::Integer }.into())
            }
            octets => Ok(octets),
        }
    }

    /// An INTEGER that fits into 32 bits.
    pub(super) fn small_unsigned(&self) -> der::Result<u32> {
        let octets = self.unsigned()?;
        if octets.len() > 4 {
            return Err(ErrorKind::Overflow.into());
        }
        Ok(octets.iter().fold(0, |sum, octet| sum << 8 | u32::from(*octet)))
    }

    /// A BIT STRING that is a whole number of octets.
    pub(super) fn bit_string_octets(&self) -> der::Result<&'a [u8]> {
        match self.bit_string()? {
            (0, octets) => Ok(octets),
            _ => Err(ErrorKind::Value { tag: der::Tag::BitString }.into()),
        }
    }

    /// A BIT STRING: number of unused bits, octets.
    pub(super) fn bit_string(&self) -> der::Result<(u8, &'a [u8])> {
        self.tagged(BIT_STRING)?;
        match self.value {
            [0, octets @ ..] => Ok((0, octets)),
            [unused @ 1..=7, octets @ ..]
                if octets.last().is_some_and(|last| last & ((1 << unused) - 1) == 0) =>
            {
                Ok((*unused, octets))
            }
            _ => Err(ErrorKind::Value { tag: der::Tag::BitString }.into()),
        }
    }

    /// A BOOLEAN.
    pub(super) fn boolean(&self) -> der::Result<bool> {
        self.tagged(BOOLEAN)?;
        match self.value {
            [0x00] => Ok(false),
            [0xff] => Ok(true),
            _ => Err(ErrorKind::Noncanonical { tag: der::Tag::Boolean }.into()),
        }
    }

    fn tagged(&self, tag: u8) -> der::Result<()> {
        if self.tag == tag { Ok(()) } else { Err(ErrorKind::Failed.into()) }
    }
}

/// A run of elements, read one after the other.
#[derive(Clone, Debug)]
pub(super) struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    pub(super) fn of(octets: &'a [u8]) -> der::Result<Self> {
        // Refuses more than its lengths can say.
        SliceReader::new(octets)?;
        Ok(Self(octets))
    }

    pub(super) fn next(&mut self) -> der::Result<Element<'a>> {
        let mut reader = SliceReader::new(self.0)?;
        let length = Header::decode(&mut reader)?.length();
        let value = reader.read_slice(length)?;
        let (raw, rest) = self.0.split_at(self.0.len() - usize::try_from(reader.remaining_len())?);
        let tag = raw.first().copied().ok_or(ErrorKind::Failed)?;
        self.0 = rest;
        Ok(Element { tag, raw, value })
    }

    /// The next element, which must have this tag.
    pub(super) fn expect(&mut self, tag: u8) -> der::Result<Element<'a>> {
        let element = self.next()?;
        element.tagged(tag)?;
        Ok(element)
    }

    /// The next element if it has this tag.
    pub(super) fn optional(&mut self, tag: u8) -> der::Result<Option<Element<'a>>> {
        if self.0.first() == Some(&tag) { self.next().map(Some) } else { Ok(None) }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn finish(self) -> der::Result<()> {
        SliceReader::new(self.0)?.finish()
    }
}

/// `tag`, length, and the parts one after the other.
pub(super) fn encode(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut octets = Vec::with_capacity(length + 6);
    octets.push(tag);
    let significant = size_of::<usize>() - length.leading_zeros() as usize / 8;
    if length >= 0x80 {
        octets.push(0x80 | significant as u8);
    }
    octets.extend_from_slice(&length.to_be_bytes()[size_of::<usize>() - significant.max(1)..]);
    for part in parts {
        octets.extend_from_slice(part);
    }
    octets
}

/// A SEQUENCE of parts that are elements already.
pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    encode(SEQUENCE, parts)
}

/// An OBJECT IDENTIFIER.
pub(super) fn object_identifier(oid: &ObjectIdentifier) -> Vec<u8> {
    encode(OBJECT_IDENTIFIER, &[oid.as_bytes()])
}

/// "{what} cannot be read: ...", with the decoder's complaint beneath.
pub(super) fn unreadable(what: &str) -> impl Fn(der::Error) -> Error {
    move |cause| {
        Error::Malformed(Refusal::because(
            format!(
                "{what} cannot be read: it is damaged or not encoded in DER; export it again from where it was made"
            ),
            cause,
        ))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::{Element, Elements, INTEGER, OCTET_STRING, encode};

    #[test]
    fn what_is_encoded_reads_back_at_every_length_form() {
        for length in [0, 1, 127, 128, 255, 256, 65535, 65536] {
            let octets = encode(OCTET_STRING, &[&vec![7; length]]);
            let element = Element::only(&octets, OCTET_STRING).unwrap();
            assert_eq!(element.value.len(), length);
            assert_eq!(element.raw, octets);
        }
    }

    #[test]
    fn integers_in_a_longer_form_than_needed_are_refused() {
        for (octets, accepted) in [
            (&[0x02, 0x01, 0x00][..], true),
            (&[0x02, 0x02, 0x00, 0x80], true),
            (&[0x02, 0x02, 0x00, 0x7f], false),
            (&[0x02, 0x02, 0xff, 0x80], false),
            (&[0x02, 0x00], false),
        ] {
            let element = Element::only(octets, INTEGER).unwrap();
            assert_eq!(element.integer().is_ok(), accepted, "{octets:x?}");
        }
    }

    #[test]
    fn indefinite_and_overlong_lengths_are_refused() {
        for octets in
            [&[0x30, 0x80, 0x00, 0x00][..], &[0x04, 0x81, 0x01, 0x00], &[0x04, 0x05, 0x00]]
        {
            assert!(Elements::of(octets).and_then(|mut e| e.next()).is_err(), "{octets:x?}");
        }
    }
}
