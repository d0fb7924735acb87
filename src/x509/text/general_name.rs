//! GeneralNames as OpenSSL prints them, which it does in two ways.

use der::oid::ObjectIdentifier;

use super::super::asn1;
use super::super::general_name::GeneralName;
use super::extension::shown;
use super::{name, object};

/// In lists: alternative names, access descriptions.
pub(super) fn in_list(general_name: &GeneralName) -> String {
    match general_name {
        GeneralName::Other { kind, tag, value } => {
            let label = label_of(kind).map_or_else(|| object::long_name(kind), str::to_owned);
            let text = other_name_text(*tag, value).unwrap_or_else(|| "<unsupported>".into());
            format!("othername: {label}::{text}")
        }
        GeneralName::Directory(directory) => format!("DirName:{}", name::slashes(directory)),
        GeneralName::Ip(octets) if !matches!(octets.len(), 4 | 16) => {
            format!("IP Address:<invalid length={}>", octets.len())
        }
        other => alone(other),
    }
}

/// Elsewhere: distribution points, name constraints.
pub(super) fn alone(general_name: &GeneralName) -> String {
    match general_name {
        GeneralName::Other { kind, tag, value } => {
            match (label_of(kind), other_name_text(*tag, value)) {
                (Some(label), Some(text)) => format!("othername:{label}:{text}"),
                _ => "othername:<unsupported>".into(),
            }
        }
        GeneralName::X400 => "X400Name:<unsupported>".into(),
        GeneralName::EdiParty => "EdiPartyName:<unsupported>".into(),
        GeneralName::Email(text) => format!("email:{}", shown(text.as_bytes())),
        GeneralName::Dns(text) => format!("DNS:{}", shown(text.as_bytes())),
        GeneralName::Uri(text) => format!("URI:{}", shown(text.as_bytes())),
        GeneralName::Directory(directory) => format!("DirName:{}", name::one_line(directory)),
        GeneralName::Ip(octets) => match address(octets) {
            Some(text) => format!("IP Address:{text}"),
            None => "IP Address:<invalid>".into(),
        },
        GeneralName::Registered(kind) => format!("Registered ID:{}", object::long_name(kind)),
    }
}

/// An address, or a network with its mask as name constraints hold it.
pub(super) fn network(octets: &[u8]) -> String {
    let (network, mask) = octets.split_at(octets.len() / 2);
    match (octets.len(), address(network), address(mask)) {
        (8 | 32, Some(network), Some(mask)) => format!("IP:{network}/{mask}"),
        _ => "IP Address:<invalid>".into(),
    }
}

fn address(octets: &[u8]) -> Option<String> {
    let parts: Vec<String> = match octets.len() {
        4 => {
            return Some(octets.iter().map(u8::to_string).collect::<Vec<_>>().join("."));
        }
        16 => octets
            .chunks(2)
            .map(|pair| {
                format!("{:X}", pair.iter().fold(0u16, |sum, octet| sum << 8 | u16::from(*octet)))
            })
            .collect(),
        _ => return None,
    };
    Some(parts.join(":"))
}

/// Kinds of otherName that OpenSSL has a word for.
fn label_of(kind: &ObjectIdentifier) -> Option<&'static str> {
    match kind.to_string().as_str() {
        "1.3.6.1.5.5.7.8.5" => Some("XmppAddr"),
        "1.3.6.1.5.5.7.8.7" => Some("SRVName"),
        "1.3.6.1.5.5.7.8.8" => Some("NAIRealm"),
        "1.3.6.1.5.5.7.8.9" => Some("SmtpUTF8Mailbox"),
        "1.3.6.1.4.1.311.20.2.3" => Some("UPN"),
        _ => None,
    }
}

fn other_name_text(tag: u8, value: &[u8]) -> Option<String> {
    matches!(tag, asn1::UTF8_STRING | asn1::IA5_STRING).then(|| shown(value))
}
