//! Names as OpenSSL prints them.

use super::super::asn1;
use super::super::name::{Attribute, Name};
use super::object;

/// `C = US, O = "Example, Inc.", OU = a + CN = b` (`XN_FLAG_ONELINE`).
pub(super) fn one_line(name: &Name) -> String {
    rdns(name.rdns())
}

/// The same for the attributes of one RDN alone.
pub(super) fn rdn(attributes: &[Attribute]) -> String {
    attributes
        .iter()
        .map(|attribute| format!("{} = {}", object::short_name(&attribute.kind), value(attribute)))
        .collect::<Vec<_>>()
        .join(" + ")
}

fn rdns(rdns: &[Vec<Attribute>]) -> String {
    rdns.iter().map(|attributes| rdn(attributes)).collect::<Vec<_>>().join(", ")
}

/// `/C=US/O=Example`, the form of `X509_NAME_oneline`, which OpenSSL cuts at 255 characters.
pub(super) fn slashes(name: &Name) -> String {
    let mut text = String::new();
    for attribute in name.rdns().iter().flatten() {
        let mut part = format!("/{}=", object::short_name(&attribute.kind));
        for octet in &attribute.value {
            match octet {
                b' '..=b'~' => part.push(char::from(*octet)),
                other => part += &format!("\\x{other:02X}"),
            }
        }
        if text.len() + part.len() > 255 {
            break;
        }
        text += &part;
    }
    text
}

/// A value in the style of RFC 2253, in quotes where quotes are enough to escape it.
fn value(attribute: &Attribute) -> String {
    let octets = match (attribute.tag, attribute.characters()) {
        (_, Some(text)) => text.into_bytes(),
        // NumericString has only digits and spaces.
        (0x12, None) => attribute.value.clone(),
        (tag, None) => {
            let dump = asn1::encode(tag, &[&attribute.value]);
            let digits: String = dump.iter().map(|octet| format!("{octet:02X}")).collect();
            return format!("#{digits}");
        }
    };
    let mut needs_quotes = false;
    let mut text = String::new();
    let last = octets.len().saturating_sub(1);
    for (position, octet) in octets.iter().enumerate() {
        match octet {
            b',' | b'+' | b'<' | b'>' | b';' => {
                needs_quotes = true;
                text.push(char::from(*octet));
            }
            b' ' if position == 0 || position == last => {
                needs_quotes = true;
                text.push(' ');
            }
            // OpenSSL asks first whether a character is the last one, so a lone # is plain.
            b'#' if position == 0 && last > 0 => {
                needs_quotes = true;
                text.push('#');
            }
            b'"' | b'\\' => text.extend(['\\', char::from(*octet)]),
            b' '..=b'~' => text.push(char::from(*octet)),
            other => text += &format!("\\{other:02X}"),
        }
    }
    if needs_quotes { format!("\"{text}\"") } else { text }
}
