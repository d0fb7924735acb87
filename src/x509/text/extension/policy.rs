//! Certificate policies (RFC 5280, 4.2.1.4 and 4.2.1.11) as OpenSSL prints them.

use super::super::super::asn1::{self, Element};
use super::super::object;
use super::shown;

/// certificatePolicies.
pub(super) fn policies(value: &[u8], indent: usize) -> Option<String> {
    let mut lines = Vec::new();
    let mut elements = Element::only(value, asn1::SEQUENCE).ok()?.elements().ok()?;
    while !elements.is_finished() {
        let mut parts = elements.expect(asn1::SEQUENCE).ok()?.elements().ok()?;
        let policy = parts.next().ok()?.object_identifier().ok()?;
        lines.push(format!("{:indent$}Policy: {}", "", object::long_name(&policy)));
        if let Some(qualifiers) = parts.optional(asn1::SEQUENCE).ok()? {
            let mut qualifiers = qualifiers.elements().ok()?;
            while !qualifiers.is_finished() {
                lines.push(qualifier(&qualifiers.expect(asn1::SEQUENCE).ok()?, indent + 2)?);
            }
        }
        parts.finish().ok()?;
    }
    Some(lines.join("\n"))
}

fn qualifier(qualifier: &Element<'_>, indent: usize) -> Option<String> {
    let mut parts = qualifier.elements().ok()?;
    let kind = parts.next().ok()?.object_identifier().ok()?;
    let value = parts.next().ok()?;
    match kind.to_string().as_str() {
        "1.3.6.1.5.5.7.2.1" => Some(format!("{:indent$}CPS: {}", "", shown(value.value))),
        "1.3.6.1.5.5.7.2.2" => {
            let notice = user_notice(&value, indent + 2)?;
            Some(format!("{:indent$}User Notice:\n{notice}", ""))
        }
        _ => Some(format!("{:indent$}Unknown Qualifier: {kind}", "")),
    }
}

/// UserNotice: an optional reference, which nobody writes any more, and an optional text.
fn user_notice(notice: &Element<'_>, indent: usize) -> Option<String> {
    let mut parts = notice.elements().ok()?;
    let text = parts.next().ok()?;
    parts.finish().ok()?;
    matches!(
        text.tag,
        asn1::UTF8_STRING | asn1::IA5_STRING | asn1::VISIBLE_STRING | asn1::BMP_STRING
    )
    .then(|| {
        // OpenSSL prints the octets and stops at a NUL, whatever the string type.
        let octets = text.value.split(|octet| *octet == 0).next().unwrap_or_default();
        format!("{:indent$}Explicit Text: {}", "", shown(octets))
    })
}

/// policyConstraints.
pub(super) fn constraints(value: &[u8]) -> Option<Vec<String>> {
    let mut parts = Element::only(value, asn1::SEQUENCE).ok()?.elements().ok()?;
    let mut texts = Vec::new();
    for (number, title) in [(0, "Require Explicit Policy"), (1, "Inhibit Policy Mapping")] {
        if let Some(number) = super::implicit_integer(&mut parts, number)? {
            texts.push(format!("{title}:{number}"));
        }
    }
    parts.finish().ok()?;
    Some(texts)
}
