//! CRL distribution points (RFC 5280, 4.2.1.13 and 5.2.5) as OpenSSL prints them.

use super::super::super::asn1::{self, Element, context, context_constructed};
use super::super::super::general_name::GeneralName;
use super::super::super::name::Name;
use super::super::{general_name, name};

/// cRLDistributionPoints and freshestCRL.
pub(super) fn list(value: &[u8], indent: usize) -> Option<String> {
    let mut points = Vec::new();
    let mut elements = Element::only(value, asn1::SEQUENCE).ok()?.elements().ok()?;
    while !elements.is_finished() {
        let mut parts = elements.expect(asn1::SEQUENCE).ok()?.elements().ok()?;
        let mut text = String::new();
        if let Some(point) = parts.optional(context_constructed(0)).ok()? {
            text += &point_name(&point, indent)?;
        }
        if let Some(flags) = parts.optional(context(1)).ok()? {
            text += &reasons("Reasons", &flags, indent)?;
        }
        if let Some(issuer) = parts.optional(context_constructed(2)).ok()? {
            text += &format!("{:indent$}CRL Issuer:\n", "");
            text += &names(&issuer, indent)?;
        }
        parts.finish().ok()?;
        points.push(text);
    }
    Some(points.join("\n"))
}

/// issuingDistributionPoint.
pub(super) fn issuing(value: &[u8], indent: usize) -> Option<String> {
    let mut parts = Element::only(value, asn1::SEQUENCE).ok()?.elements().ok()?;
    let mut text = String::new();
    if let Some(point) = parts.optional(context_constructed(0)).ok()? {
        text += &point_name(&point, indent)?;
    }
    let mut flag = |number: u8, title: &str| -> Option<String> {
        Some(match parts.optional(context(number)).ok()? {
            Some(flag) if flag.value == [0xff] => format!("{:indent$}{title}\n", ""),
            _ => String::new(),
        })
    };
    text += &flag(1, "Only User Certificates")?;
    text += &flag(2, "Only CA Certificates")?;
    // OpenSSL prints the reasons after the flag that follows them in the encoding.
    let some_reasons = parts.optional(context(3)).ok()?;
    let mut flag = |number: u8, title: &str| -> Option<String> {
        Some(match parts.optional(context(number)).ok()? {
            Some(flag) if flag.value == [0xff] => format!("{:indent$}{title}\n", ""),
            _ => String::new(),
        })
    };
    text += &flag(4, "Indirect CRL")?;
    if let Some(flags) = some_reasons {
        text += &reasons("Only Some Reasons", &flags, indent)?;
    }
    text += &flag(5, "Only Attribute Certificates")?;
    parts.finish().ok()?;
    if text.is_empty() {
        text = format!("{:indent$}<EMPTY>\n", "");
    }
    Some(text)
}

/// DistributionPointName, a CHOICE inside an explicit tag.
fn point_name(point: &Element<'_>, indent: usize) -> Option<String> {
    let mut parts = point.elements().ok()?;
    let choice = parts.next().ok()?;
    parts.finish().ok()?;
    if choice.tag == context_constructed(0) {
        Some(format!("{:indent$}Full Name:\n{}", "", names(&choice, indent)?))
    } else if choice.tag == context_constructed(1) {
        // An RDN with its own tag replaced; as a name of one RDN it can be read.
        let relative = asn1::sequence(&[&asn1::encode(asn1::SET, &[choice.value])]);
        let relative = Name::from_der(&relative).ok()?;
        let text = name::one_line(&relative);
        Some(format!("{:indent$}Relative Name:\n{:indent$}  {text}\n", "", ""))
    } else {
        None
    }
}

fn names(list: &Element<'_>, indent: usize) -> Option<String> {
    let names = GeneralName::all(list.elements().ok()?).ok()?;
    let lines: Vec<String> =
        names.iter().map(|name| format!("{:indent$}  {}", "", general_name::alone(name))).collect();
    // No line end: OpenSSL writes none, even where reasons follow.
    Some(lines.join("\n"))
}

fn reasons(title: &str, flags: &Element<'_>, indent: usize) -> Option<String> {
    const NAMES: [&str; 9] = [
        "Unused",
        "Key Compromise",
        "CA Compromise",
        "Affiliation Changed",
        "Superseded",
        "Cessation Of Operation",
        "Certificate Hold",
        "Privilege Withdrawn",
        "AA Compromise",
    ];
    let bits = asn1::encode(asn1::BIT_STRING, &[flags.value]);
    let names = super::bits(&bits, &NAMES)?;
    let names = if names.is_empty() { "<EMPTY>".to_owned() } else { names.join(", ") };
    Some(format!("{:indent$}{title}:\n{:indent$}  {names}\n", "", ""))
}
