//! GeneralName (RFC 5280, 4.2.1.6), every kind of it.

use der::oid::ObjectIdentifier;

use super::asn1::{self, Element, Elements, context, context_constructed};
use super::error::{Error, Refusal};
use super::name::Name;

/// One name of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GeneralName {
    Other {
        kind: ObjectIdentifier,
        /// Tag octet and content octets of the value.
        tag: u8,
        value: Vec<u8>,
    },
    Email(String),
    Dns(String),
    X400,
    Directory(Name),
    EdiParty,
    Uri(String),
    /// 4 or 16 octets; twice as many in name constraints.
    Ip(Vec<u8>),
    Registered(ObjectIdentifier),
}

impl GeneralName {
    /// GeneralNames ::= SEQUENCE SIZE (1..MAX) OF GeneralName
    pub(super) fn list(octets: &[u8]) -> Result<Vec<Self>, Error> {
        let elements = Element::only(octets, asn1::SEQUENCE)
            .and_then(|list| list.elements())
            .map_err(asn1::unreadable("a list of names"))?;
        Self::all(elements)
    }

    /// The names of a list whose own tag has been read already.
    pub(super) fn all(mut elements: Elements<'_>) -> Result<Vec<Self>, Error> {
        let mut names = Vec::new();
        while !elements.is_finished() {
            let element = elements.next().map_err(asn1::unreadable("a name"))?;
            names.push(Self::read(&element)?);
        }
        if names.is_empty() {
            return Err(Error::Malformed("a list of names is empty".into()));
        }
        Ok(names)
    }

    /// Reads one; embedded NUL characters are refused.
    pub(super) fn read(element: &Element<'_>) -> Result<Self, Error> {
        let unreadable = asn1::unreadable("a name");
        Ok(match element.tag {
            tag if tag == context_constructed(0) => {
                let (kind, tag, value) = other_name(element).map_err(unreadable)?;
                Self::Other { kind, tag, value }
            }
            tag if tag == context(1) => Self::Email(ia5("rfc822Name", element)?),
            tag if tag == context(2) => Self::Dns(ia5("dNSName", element)?),
            tag if tag == context_constructed(3) => Self::X400,
            tag if tag == context_constructed(4) => Self::Directory(Name::from_der(element.value)?),
            tag if tag == context_constructed(5) => Self::EdiParty,
            tag if tag == context(6) => Self::Uri(ia5("uniformResourceIdentifier", element)?),
            tag if tag == context(7) => Self::Ip(element.value.to_vec()),
            tag if tag == context(8) => {
                Self::Registered(ObjectIdentifier::from_bytes(element.value).map_err(|cause| {
                    Error::Malformed(Refusal::because("a registeredID cannot be read", cause))
                })?)
            }
            _ => {
                return Err(Error::Malformed("a name of a kind that does not exist".into()));
            }
        })
    }

    /// The kind, as RFC 5280 calls it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Other { .. } => "otherName",
            Self::Email(_) => "rfc822Name",
            Self::Dns(_) => "dNSName",
            Self::X400 => "x400Address",
            Self::Directory(_) => "directoryName",
            Self::EdiParty => "ediPartyName",
            Self::Uri(_) => "uniformResourceIdentifier",
            Self::Ip(_) => "iPAddress",
            Self::Registered(_) => "registeredID",
        }
    }
}

fn other_name(element: &Element<'_>) -> der::Result<(ObjectIdentifier, u8, Vec<u8>)> {
    let mut parts = element.elements()?;
    let kind = parts.next()?.object_identifier()?;
    let mut explicit = parts.expect(context_constructed(0))?.elements()?;
    parts.finish()?;
    let value = explicit.next()?;
    explicit.finish()?;
    Ok((kind, value.tag, value.value.to_vec()))
}

fn ia5(kind: &str, element: &Element<'_>) -> Result<String, Error> {
    if element.value.contains(&0) {
        return Err(Error::Malformed(
            format!(
                "a {kind} holds a NUL character; such names are used to deceive and are refused"
            )
            .into(),
        ));
    }
    match std::str::from_utf8(element.value) {
        Ok(text) if text.is_ascii() => Ok(text.to_owned()),
        _ => Err(Error::Malformed(
            format!("a {kind} holds characters outside ASCII; write it in its ASCII form").into(),
        )),
    }
}
