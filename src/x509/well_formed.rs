//! What RFC 5280 wants of the names in a new certificate, beyond what can be read and copied.
//!
//! Names that others made are kept as they are, and VMCA copies whatever a request says. Whoever
//! issues strictly asks here first, and gets no finding from a linter for what passes.

use std::net::{Ipv4Addr, Ipv6Addr};

use der::oid::ObjectIdentifier;

use super::alternative_names::AlternativeNames;
use super::asn1;
use super::error::Error;
use super::name::{Attribute, Name};
use super::oid;

/// How an attribute's value is written.
#[derive(Clone, Copy)]
enum Syntax {
    /// DirectoryString in one of the two forms for new names (RFC 5280, 4.1.2.4).
    Directory,
    /// PrintableString.
    Printable,
    /// PrintableString of two letters.
    Country,
    /// IA5String.
    Ia5,
}

/// Attributes that a new name may have, with their upper bounds (RFC 5280, appendix A.1; RFC 4519).
const ATTRIBUTES: [(ObjectIdentifier, usize, Syntax); 11] = [
    (oid::COMMON_NAME, 64, Syntax::Directory),
    (oid::SERIAL_NUMBER, 64, Syntax::Printable),
    (oid::COUNTRY, 2, Syntax::Country),
    (oid::LOCALITY, 128, Syntax::Directory),
    (oid::STATE, 128, Syntax::Directory),
    (oid::STREET, 128, Syntax::Directory),
    (oid::ORGANIZATION, 64, Syntax::Directory),
    (oid::ORGANIZATIONAL_UNIT, 64, Syntax::Directory),
    (oid::DOMAIN_COMPONENT, 63, Syntax::Ia5),
    (oid::USER_ID, 256, Syntax::Directory),
    (oid::EMAIL_ADDRESS, 255, Syntax::Ia5),
];

/// Judges a subject together with the alternative names beside it.
///
/// # Errors
/// [`Error::Field`] says which name is not one for a new certificate, and why.
pub fn check_names(subject: &Name, names: &AlternativeNames) -> Result<(), Error> {
    for rdn in subject.rdns() {
        for (position, attribute) in rdn.iter().enumerate() {
            check_attribute(attribute)?;
            if rdn[..position].iter().any(|earlier| earlier.kind == attribute.kind) {
                return refused(
                    &format!("{subject}"),
                    "has one kind of attribute twice in a multi-valued part; give each its own part",
                );
            }
        }
    }
    // The top of the domain comes first in a name (RFC 2247, 3). VMCA's own names have it last, and
    // read as a domain that way, too.
    let mut components = subject.values(&oid::DOMAIN_COMPONENT);
    components.reverse();
    let domain = components.join(".");
    if !domain.is_empty() && !is_domain(&domain) {
        return refused(&domain, "in the domain components is no domain of at least two parts");
    }
    for email in subject.values(&oid::EMAIL_ADDRESS) {
        // RFC 5280, 4.1.2.6.
        if !names.email.contains(&email) {
            return refused(
                &email,
                "stands in the subject alone; ask for it as an alternative name, too",
            );
        }
    }
    for name in &names.dns {
        if !is_domain(name) {
            return refused(
                name,
                "is no full host name; write it with its domain, like vc.example.com",
            );
        }
    }
    for email in &names.email {
        if !email.rsplit_once('@').is_some_and(|(_, host)| is_domain(host)) {
            return refused(email, "has no full host name after the @");
        }
    }
    names.uri.iter().try_for_each(|uri| check_url(uri))
}

/// Judges an address of the web: a scheme, a full host name or an IP address, a path.
///
/// # Errors
/// [`Error::Field`] when it is not of that form.
pub fn check_url(url: &str) -> Result<(), Error> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let Some(rest) = rest else {
        return refused(url, "is no address of the web, which starts with https:// or http://");
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let port_at = authority.rfind(':').filter(|at| !authority[*at..].contains(']'));
    let (host, port) = authority.split_at(port_at.unwrap_or(authority.len()));
    let is_address = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(inside) => inside.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<Ipv4Addr>().is_ok(),
    };
    if !is_address && !is_domain(host) {
        return refused(
            url,
            "has no full host name; write it with its domain, like vc.example.com",
        );
    }
    if !port.is_empty() && !port[1..].parse::<u16>().is_ok_and(|number| number > 0) {
        return refused(url, "has a port that is no number from 1 to 65535");
    }
    if !is_path(path) {
        return refused(url, "has a path with characters that must be written with a percent sign");
    }
    Ok(())
}

fn check_attribute(attribute: &Attribute) -> Result<(), Error> {
    let Some((_, limit, syntax)) =
        ATTRIBUTES.into_iter().find(|(kind, ..)| *kind == attribute.kind)
    else {
        return refused(
            &attribute.kind.to_string(),
            "is an attribute that new names do not have here; leave it out of the subject",
        );
    };
    let is_printable = || {
        let others = b" '()+,-./:=?";
        attribute.tag == asn1::PRINTABLE_STRING
            && attribute
                .value
                .iter()
                .all(|octet| octet.is_ascii_alphanumeric() || others.contains(octet))
    };
    let text = attribute.characters().unwrap_or_default();
    let is_right = match syntax {
        Syntax::Directory => attribute.tag == asn1::UTF8_STRING || is_printable(),
        Syntax::Printable => is_printable(),
        Syntax::Country => {
            is_printable()
                && text.len() == 2
                && text.bytes().all(|octet| octet.is_ascii_alphabetic())
        }
        Syntax::Ia5 => attribute.tag == asn1::IA5_STRING,
    };
    if !is_right {
        return refused(&text, "is not written in the string type that new names have");
    }
    if !(1..=limit).contains(&text.chars().count()) {
        return refused(&text, &format!("must have 1 to {limit} characters"));
    }
    Ok(())
}

/// A host name of two labels at least, whose last one is no number.
fn is_domain(text: &str) -> bool {
    let last = text.rsplit_once('.').map(|(_, last)| last.as_bytes());
    AlternativeNames::default().add_dns(text).is_ok()
        && !text.contains('*')
        && last
            .is_some_and(|last| last.len() > 1 && last.last().is_some_and(u8::is_ascii_alphabetic))
}

/// RFC 3986, 3.3, with every percent sign followed by two hexadecimal digits.
fn is_path(path: &str) -> bool {
    let mut parts = path.split('%');
    let plain = |text: &str| {
        text.bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&octet))
    };
    parts.next().is_none_or(plain)
        && parts.all(|part| {
            part.get(..2).is_some_and(|code| code.bytes().all(|octet| octet.is_ascii_hexdigit()))
                && plain(part)
        })
}

fn refused(what: &str, why: &str) -> Result<(), Error> {
    let shown: String = what.chars().take(64).collect();
    Err(Error::Field(format!("\"{}\" {why}", shown.escape_debug()).into()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::{Attribute, Name, check_names, check_url};
    use crate::x509::{AlternativeNames, SubjectFields, asn1, oid};

    fn names(email: &[&str], dns: &[&str], uri: &[&str]) -> AlternativeNames {
        let mut names = AlternativeNames::default();
        email.iter().for_each(|text| names.add_email(text).unwrap());
        dns.iter().for_each(|text| names.add_dns(text).unwrap());
        uri.iter().for_each(|text| names.add_uri(text).unwrap());
        names
    }

    #[test]
    fn what_certool_builds_passes() {
        let field = |text: &str| Some(text.to_owned());
        let fields = SubjectFields {
            common_name: field("CA"),
            domain_component: field("vsphere.local"),
            country: field("US"),
            state: field("California"),
            locality: field("Palo Alto"),
            organization: field("One,Zwei GmbH ü"),
            org_unit: field("VMware Engineering"),
        };
        let names = names(&["email@acme.com"], &["vc.example.com"], &["https://vc.example.com/"]);
        check_names(&fields.to_name().unwrap(), &names).unwrap();
    }

    #[test]
    fn attributes_of_a_new_subject() {
        let one = |kind, tag, value: &[u8]| {
            Name::of_attributes(vec![Attribute { kind, tag, value: value.to_vec() }]).unwrap()
        };
        let long = [b'x'; 65];
        for (subject, right) in [
            (one(oid::COMMON_NAME, asn1::UTF8_STRING, b"a"), true),
            (one(oid::COMMON_NAME, asn1::PRINTABLE_STRING, b"a"), true),
            (one(oid::COMMON_NAME, asn1::PRINTABLE_STRING, b"a@b"), false),
            (one(oid::COMMON_NAME, asn1::T61_STRING, b"a"), false),
            (one(oid::COMMON_NAME, asn1::BMP_STRING, b"\0a"), false),
            (one(oid::COMMON_NAME, asn1::BOOLEAN, b"\xff"), false),
            (one(oid::COMMON_NAME, asn1::UTF8_STRING, b""), false),
            (one(oid::COMMON_NAME, asn1::UTF8_STRING, &long), false),
            (one(oid::LOCALITY, asn1::UTF8_STRING, &long), true),
            (one(oid::COUNTRY, asn1::PRINTABLE_STRING, b"US"), true),
            (one(oid::COUNTRY, asn1::UTF8_STRING, b"US"), false),
            (one(oid::COUNTRY, asn1::PRINTABLE_STRING, b"USA"), false),
            (one(oid::DOMAIN_COMPONENT, asn1::IA5_STRING, b"local"), false),
            (one(oid::EMAIL_ADDRESS, asn1::IA5_STRING, b"a@example.com"), true),
            (one(oid::EMAIL_ADDRESS, asn1::IA5_STRING, b"b@example.com"), false),
            (one("2.5.4.12".parse().unwrap(), asn1::UTF8_STRING, b"title"), false),
        ] {
            let answer = check_names(&subject, &names(&["a@example.com"], &[], &[]));
            assert_eq!(answer.is_ok(), right, "{subject} {answer:?}");
        }
    }

    #[test]
    fn alternative_names_have_full_host_names() {
        let nobody = SubjectFields::default().to_name().unwrap();
        for (names, right) in [
            (names(&[], &["vc.example.com", "xn--bcher-kva.example"], &[]), true),
            (names(&[], &["localhost"], &[]), false),
            (names(&[], &["a.1"], &[]), false),
            (names(&[], &["a.b"], &[]), false),
            (names(&["root@localhost"], &[], &[]), false),
            (names(&[], &[], &["urn:uuid:1"]), false),
        ] {
            assert_eq!(check_names(&nobody, &names).is_ok(), right, "{names:?}");
        }
    }

    #[test]
    fn addresses_of_the_web() {
        for (url, right) in [
            ("https://vc.example.com/afd/vecs/ca", true),
            ("http://vc.example.com:8080", true),
            ("https://192.0.2.1/a%20b", true),
            ("https://[2001:db8::1]:443/x", true),
            ("https://[2001:db8::1/x", false),
            ("https://vc/", false),
            ("https://a..example.com/", false),
            ("https://user@vc.example.com/", false),
            ("https://vc.example.com:/", false),
            ("https://vc.example.com:0/", false),
            ("https://vc.example.com:70000/", false),
            ("https://vc.example.com/%zz", false),
            ("https://vc.example.com/%2", false),
            ("https://vc.example.com/?q", false),
            ("ldap://vc.example.com/", false),
        ] {
            assert_eq!(check_url(url).is_ok(), right, "{url}");
        }
    }
}
