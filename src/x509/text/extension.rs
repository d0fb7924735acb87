//! Extension values as OpenSSL prints them.

use super::super::asn1::{self, Element, context, context_constructed};
use super::super::extension::{self, AuthorityKeyIdentifier, BasicConstraints, Extension};
use super::super::general_name::GeneralName;
use super::super::{oid, time};
use super::{general_name, object};

mod distribution_point;
mod policy;

/// The value, indented. One that is unknown or damaged is printed as text, octet by octet.
pub(super) fn value(extension: &Extension, indent: usize) -> String {
    known(extension, indent)
        .unwrap_or_else(|| format!("{:indent$}{}", "", printable(&extension.value)))
}

/// Octets as text: what is not printable ASCII becomes a dot, line ends stay.
pub(super) fn printable(octets: &[u8]) -> String {
    octets
        .iter()
        .map(|octet| match octet {
            b' '..=b'~' | b'\n' | b'\r' => char::from(*octet),
            _ => '.',
        })
        .collect()
}

/// Text that somebody put into a certificate. OpenSSL prints control characters in it as they are; here they become dots, so
/// that it can neither forge a line nor tell a terminal to do something.
pub(super) fn shown(octets: &[u8]) -> String {
    let plain = |found: char| if found.is_control() { '.' } else { found };
    String::from_utf8_lossy(octets).chars().map(plain).collect()
}

fn known(extension: &Extension, indent: usize) -> Option<String> {
    let value = &extension.value;
    let line = |text: String| format!("{:indent$}{text}", "");
    match extension.kind {
        oid::KEY_USAGE => bits(value, &KEY_USAGE).map(|names| one_line(&names, indent)),
        oid::NETSCAPE_CERT_TYPE => {
            bits(value, &NETSCAPE_CERT_TYPE).map(|names| one_line(&names, indent))
        }
        oid::BASIC_CONSTRAINTS => basic_constraints(value).map(line),
        oid::EXTENDED_KEY_USAGE => {
            let purposes = extension::read_purposes(value).ok()?;
            Some(one_line(&purposes.iter().map(object::long_name).collect::<Vec<_>>(), indent))
        }
        oid::SUBJECT_KEY_IDENTIFIER => {
            let identifier = extension::read_key_identifier(value).ok()?;
            Some(line(upper(&identifier)))
        }
        oid::AUTHORITY_KEY_IDENTIFIER => {
            authority_key_identifier(value).map(|lines| many_lines(&lines, indent))
        }
        oid::SUBJECT_ALT_NAME | oid::ISSUER_ALT_NAME => {
            let names = GeneralName::list(value).ok()?;
            let texts: Vec<String> = names.iter().map(general_name::in_list).collect();
            Some(one_line(&texts, indent))
        }
        oid::AUTHORITY_INFO_ACCESS | oid::SUBJECT_INFO_ACCESS => {
            access(value).map(|lines| many_lines(&lines, indent))
        }
        oid::CRL_DISTRIBUTION_POINTS | oid::FRESHEST_CRL => distribution_point::list(value, indent),
        oid::ISSUING_DISTRIBUTION_POINT => distribution_point::issuing(value, indent),
        oid::CERTIFICATE_POLICIES => policy::policies(value, indent),
        oid::POLICY_CONSTRAINTS => policy::constraints(value).map(|texts| one_line(&texts, indent)),
        oid::NAME_CONSTRAINTS => name_constraints(value, indent),
        oid::CRL_NUMBER | oid::DELTA_CRL_INDICATOR | oid::INHIBIT_ANY_POLICY => {
            let number = Element::only(value, asn1::INTEGER).ok()?;
            integer(number.integer().ok()?).map(line)
        }
        oid::REASON_CODE => reason(value).map(line),
        oid::INVALIDITY_DATE => {
            let moment = Element::only(value, asn1::GENERALIZED_TIME).ok()?;
            time::read(&moment).ok().map(time::openssl_text).map(line)
        }
        oid::TLS_FEATURE => tls_features(value).map(|names| one_line(&names, indent)),
        oid::PRIVATE_KEY_USAGE_PERIOD => usage_period(value).map(line),
        oid::NETSCAPE_COMMENT => {
            let comment = Element::only(value, asn1::IA5_STRING).ok()?;
            Some(line(shown(comment.value)))
        }
        _ => None,
    }
}

const KEY_USAGE: [&str; 9] = [
    "Digital Signature",
    "Non Repudiation",
    "Key Encipherment",
    "Data Encipherment",
    "Key Agreement",
    "Certificate Sign",
    "CRL Sign",
    "Encipher Only",
    "Decipher Only",
];

const NETSCAPE_CERT_TYPE: [&str; 8] = [
    "SSL Client",
    "SSL Server",
    "S/MIME",
    "Object Signing",
    "Unused",
    "SSL CA",
    "S/MIME CA",
    "Object Signing CA",
];

fn bits(value: &[u8], names: &[&str]) -> Option<Vec<String>> {
    let (_, octets) = Element::only(value, asn1::BIT_STRING).ok()?.bit_string().ok()?;
    let is_set = |number: usize| {
        octets.get(number / 8).is_some_and(|octet| octet & (0x80 >> (number % 8)) != 0)
    };
    let set = names.iter().enumerate().filter(|(number, _)| is_set(*number));
    Some(set.map(|(_, name)| (*name).to_owned()).collect())
}

fn one_line(texts: &[String], indent: usize) -> String {
    if texts.is_empty() {
        return format!("{:indent$}<EMPTY>\n", "");
    }
    format!("{:indent$}{}", "", texts.join(", "))
}

fn many_lines(texts: &[String], indent: usize) -> String {
    if texts.is_empty() {
        return format!("{:indent$}<EMPTY>\n", "");
    }
    let lines: Vec<String> = texts.iter().map(|text| format!("{:indent$}{text}", "")).collect();
    lines.join("\n")
}

fn upper(octets: &[u8]) -> String {
    let parts: Vec<String> = octets.iter().map(|octet| format!("{octet:02X}")).collect();
    parts.join(":")
}

fn basic_constraints(value: &[u8]) -> Option<String> {
    let constraints = BasicConstraints::read(value).ok()?;
    let ca = if constraints.ca { "CA:TRUE" } else { "CA:FALSE" };
    Some(match constraints.path_length {
        Some(length) => format!("{ca}, pathlen:{length}"),
        None => ca.to_owned(),
    })
}

/// The label `keyid` is there only beside an issuer or a serial number.
fn authority_key_identifier(value: &[u8]) -> Option<Vec<String>> {
    let authority = AuthorityKeyIdentifier::read(value).ok()?;
    let is_alone = authority.issuer.is_empty() && authority.serial.is_none();
    let mut lines = Vec::new();
    if let Some(identifier) = authority.key_identifier {
        let label = if is_alone { "" } else { "keyid:" };
        lines.push(format!("{label}{}", upper(&identifier)));
    }
    lines.extend(authority.issuer.iter().map(general_name::in_list));
    if let Some(serial) = authority.serial {
        let (_, magnitude) = super::magnitude(&serial);
        lines.push(format!("serial:{}", upper(&magnitude)));
    }
    Some(lines)
}

fn access(value: &[u8]) -> Option<Vec<String>> {
    let mut lines = Vec::new();
    let mut elements = Element::only(value, asn1::SEQUENCE).ok()?.elements().ok()?;
    while !elements.is_finished() {
        let mut parts = elements.expect(asn1::SEQUENCE).ok()?.elements().ok()?;
        let method = parts.next().ok()?.object_identifier().ok()?;
        let location = GeneralName::read(&parts.next().ok()?).ok()?;
        parts.finish().ok()?;
        lines.push(format!(
            "{} - {}",
            object::long_name(&method),
            general_name::in_list(&location)
        ));
    }
    Some(lines)
}

fn name_constraints(value: &[u8], indent: usize) -> Option<String> {
    let mut parts = Element::only(value, asn1::SEQUENCE).ok()?.elements().ok()?;
    let mut blocks = Vec::new();
    for (number, title) in [(0, "Permitted"), (1, "Excluded")] {
        let Some(list) = parts.optional(context_constructed(number)).ok()? else {
            continue;
        };
        let mut lines = vec![format!("{:indent$}{title}:", "")];
        let mut subtrees = list.elements().ok()?;
        while !subtrees.is_finished() {
            let mut subtree = subtrees.expect(asn1::SEQUENCE).ok()?.elements().ok()?;
            let text = match GeneralName::read(&subtree.next().ok()?).ok()? {
                GeneralName::Ip(octets) => general_name::network(&octets),
                other => general_name::alone(&other),
            };
            lines.push(format!("{:indent$}  {text}", ""));
        }
        blocks.push(lines.join("\n"));
    }
    parts.finish().ok()?;
    Some(blocks.join("\n"))
}

/// RFC 7633; features are numbered like TLS extensions.
fn tls_features(value: &[u8]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut elements = Element::only(value, asn1::SEQUENCE).ok()?.elements().ok()?;
    while !elements.is_finished() {
        names.push(match elements.next().ok()?.integer().ok()? {
            [5] => "status_request".to_owned(),
            [17] => "status_request_v2".to_owned(),
            other => integer(other)?,
        });
    }
    Some(names)
}

fn usage_period(value: &[u8]) -> Option<String> {
    let mut parts = Element::only(value, asn1::SEQUENCE).ok()?.elements().ok()?;
    let mut texts = Vec::new();
    for (number, title) in [(0, "Not Before"), (1, "Not After")] {
        if let Some(moment) = parts.optional(context(number)).ok()? {
            let plain = asn1::encode(asn1::GENERALIZED_TIME, &[moment.value]);
            let moment = Element::only(&plain, asn1::GENERALIZED_TIME).ok()?;
            texts.push(format!("{title}: {}", time::openssl_text(time::read(&moment).ok()?)));
        }
    }
    parts.finish().ok()?;
    Some(texts.join(", "))
}

fn reason(value: &[u8]) -> Option<String> {
    let code = Element::only(value, asn1::ENUMERATED).ok()?;
    let name = match code.value {
        [0] => "Unspecified",
        [1] => "Key Compromise",
        [2] => "CA Compromise",
        [3] => "Affiliation Changed",
        [4] => "Superseded",
        [5] => "Cessation Of Operation",
        [6] => "Certificate Hold",
        [8] => "Remove From CRL",
        [9] => "Privilege Withdrawn",
        [10] => "AA Compromise",
        [other @ 0..=0x7f] => return Some(other.to_string()),
        _ => return None,
    };
    Some(name.to_owned())
}

/// Decimal below 128 bits, hexadecimal from there on.
fn integer(content: &[u8]) -> Option<String> {
    let (is_negative, magnitude) = super::magnitude(content);
    let sign = if is_negative { "-" } else { "" };
    if super::super::public_key::bits(&magnitude) < 128 {
        let value = magnitude.iter().fold(0u128, |sum, octet| sum << 8 | u128::from(*octet));
        return Some(format!("{sign}{value}"));
    }
    let digits: String = magnitude.iter().map(|octet| format!("{octet:02X}")).collect();
    Some(format!("{sign}0x{digits}"))
}

/// The number in a small implicit INTEGER, as policy constraints hold it.
fn implicit_integer(parts: &mut asn1::Elements<'_>, number: u8) -> Option<Option<String>> {
    match parts.optional(context(number)).ok()? {
        Some(element) => integer(element.value).map(Some),
        None => Some(None),
    }
}
