//! subjectAltName values (RFC 5280, 4.2.1.6) that have been checked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::asn1::{self, context};
use super::error::{Error, Refusal};
use super::general_name::GeneralName;

/// subjectAltName values, checked when they are added; see [`AlternativeNames::check`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlternativeNames {
    /// rfc822Name values.
    pub email: Vec<String>,
    /// iPAddress values.
    pub ip: Vec<IpAddr>,
    /// uniformResourceIdentifier values.
    pub uri: Vec<String>,
    /// dNSName values.
    pub dns: Vec<String>,
}

impl AlternativeNames {
    /// Whether there is no name at all; such an extension must not be written.
    pub fn is_empty(&self) -> bool {
        self.email.is_empty() && self.ip.is_empty() && self.uri.is_empty() && self.dns.is_empty()
    }

    /// Whether any host name has a `*` in it. Such names are read, so that the policy can refuse
    /// them with its own code.
    pub fn has_wildcard(&self) -> bool {
        self.dns.iter().any(|name| name.contains('*'))
    }

    /// Adds a host name; one that is there already is not added again.
    pub fn add_dns(&mut self, text: &str) -> Result<(), Error> {
        check_dns(text)?;
        if !self.dns.iter().any(|known| known.eq_ignore_ascii_case(text)) {
            self.dns.push(text.to_owned());
        }
        Ok(())
    }

    /// Adds an IPv4 or IPv6 address in its usual text form.
    pub fn add_ip(&mut self, text: &str) -> Result<(), Error> {
        let address = text.parse().map_err(|cause| {
            Error::Field(Refusal::because(
                format!(
                    "IPAddress \"{}\" is neither an IPv4 nor an IPv6 address; write it like 192.0.2.1 or 2001:db8::1",
                    text.escape_debug()
                ),
                cause,
            ))
        })?;
        if !self.ip.contains(&address) {
            self.ip.push(address);
        }
        Ok(())
    }

    /// Adds an e-mail address.
    pub fn add_email(&mut self, text: &str) -> Result<(), Error> {
        check_email(text)?;
        if !self.email.iter().any(|known| known == text) {
            self.email.push(text.to_owned());
        }
        Ok(())
    }

    /// Adds a URI.
    pub fn add_uri(&mut self, text: &str) -> Result<(), Error> {
        check_uri(text)?;
        if !self.uri.iter().any(|known| known == text) {
            self.uri.push(text.to_owned());
        }
        Ok(())
    }

    /// Judges every value again. The fields are open, so whoever writes them out asks first.
    pub fn check(&self) -> Result<(), Error> {
        self.dns.iter().try_for_each(|name| check_dns(name))?;
        self.email.iter().try_for_each(|name| check_email(name))?;
        self.uri.iter().try_for_each(|name| check_uri(name))
    }

    /// The value of the extension in VMCA's order: rfc822Name, iPAddress, URI, dNSName.
    /// Nothing for no names, because GeneralNames may not be empty.
    pub fn to_der(&self) -> Option<Vec<u8>> {
        if self.is_empty() {
            return None;
        }
        let mut names: Vec<Vec<u8>> = Vec::new();
        let text = |number: u8, name: &String| asn1::encode(context(number), &[name.as_bytes()]);
        names.extend(self.email.iter().map(|name| text(1, name)));
        names.extend(self.ip.iter().map(|address| match address {
            IpAddr::V4(address) => asn1::encode(context(7), &[&address.octets()]),
            IpAddr::V6(address) => asn1::encode(context(7), &[&address.octets()]),
        }));
        names.extend(self.uri.iter().map(|name| text(6, name)));
        names.extend(self.dns.iter().map(|name| text(2, name)));
        let parts: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
        Some(asn1::sequence(&parts))
    }

    /// Reads the value of the extension. Names of other kinds are refused; see
    /// [`super::RequestedExtensions::unsupported_names`] for how requests treat them.
    pub fn from_der(value: &[u8]) -> Result<Self, Error> {
        let (names, unsupported) = Self::read(value)?;
        match unsupported.first() {
            None => Ok(names),
            Some(kind) => Err(Error::Field(
                format!("an alternative name is of the kind {kind}, which is not accepted").into(),
            )),
        }
    }

    /// The names of the four kinds, and the kinds of all others.
    pub(super) fn read(value: &[u8]) -> Result<(Self, Vec<String>), Error> {
        let mut names = Self::default();
        let mut unsupported = Vec::new();
        for name in GeneralName::list(value)? {
            match name {
                GeneralName::Email(text) => names.add_email(&text)?,
                GeneralName::Dns(text) => names.add_dns(&text)?,
                GeneralName::Uri(text) => names.add_uri(&text)?,
                GeneralName::Ip(octets) => {
                    let address = ip_address(&octets).ok_or_else(|| {
                        Error::Malformed(
                            format!(
                                "an iPAddress has {} octets; IPv4 has 4 and IPv6 has 16",
                                octets.len()
                            )
                            .into(),
                        )
                    })?;
                    if !names.ip.contains(&address) {
                        names.ip.push(address);
                    }
                }
                other => unsupported.push(other.kind().to_owned()),
            }
        }
        Ok((names, unsupported))
    }
}

/// The address of an iPAddress.
pub(super) fn ip_address(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return Some(Ipv4Addr::from(octets).into());
    }
    <[u8; 16]>::try_from(octets).ok().map(|octets| Ipv6Addr::from(octets).into())
}

fn refused(field: &str, text: &str, why: &str) -> Error {
    let shown: String = text.chars().take(64).collect();
    Error::Field(format!("{field} \"{}\" {why}", shown.escape_debug()).into())
}

/// Labels of letters, digits and hyphens (RFC 1034, 3.5; RFC 1123, 2.1), `*` besides.
fn check_dns(text: &str) -> Result<(), Error> {
    let refused = |why: &str| Err(refused("Hostname", text, why));
    if text.is_empty() {
        return refused("is empty; leave it out or write a host name");
    }
    if !text.is_ascii() {
        return refused("is not ASCII; write an international name in its xn-- form");
    }
    if text.len() > 253 {
        return refused("is longer than 253 characters, which no host name can be");
    }
    if text.parse::<IpAddr>().is_ok() {
        return refused("is an IP address; give it as IPAddress");
    }
    for label in text.split('.') {
        if label.is_empty() {
            return refused(
                "has an empty label; host names have no leading, trailing or double dots",
            );
        }
        if label.len() > 63 {
            return refused("has a label of more than 63 characters");
        }
        if label.starts_with('-') || label.ends_with('-') {
            return refused("has a label that starts or ends with a hyphen");
        }
        if !label.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'*'))
        {
            return refused("may hold only letters, digits, hyphens and dots");
        }
    }
    Ok(())
}

/// The dot-string form of an addr-spec (RFC 5280, 4.2.1.6: no display name, no comment).
fn check_email(text: &str) -> Result<(), Error> {
    let refused = |why: &str| Err(refused("Email", text, why));
    let Some((local, domain)) = text.rsplit_once('@') else {
        return refused("has no @; write it like admin@example.com");
    };
    let is_atom = |atom: &str| {
        !atom.is_empty()
            && atom.bytes().all(|octet| {
                octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&octet)
            })
    };
    if local.len() > 64 || !local.split('.').all(is_atom) {
        return refused("is not a plain mailbox before the @; write it like admin@example.com");
    }
    if domain.contains('*') || check_dns(domain).is_err() {
        return refused("has no valid host name after the @");
    }
    Ok(())
}

/// Characters of RFC 3986, with a scheme (RFC 5280, 4.2.1.6: never relative).
fn check_uri(text: &str) -> Result<(), Error> {
    let refused = |why: &str| Err(refused("URI", text, why));
    if text.len() > 2048 {
        return refused("is longer than 2048 characters");
    }
    let allowed =
        |octet: u8| octet.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&octet);
    if !text.bytes().all(allowed) {
        return refused("holds a character that must be written with a percent sign");
    }
    match text.split_once(':') {
        Some((scheme, rest))
            if !rest.is_empty()
                && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                && scheme
                    .bytes()
                    .all(|octet| octet.is_ascii_alphanumeric() || b"+-.".contains(&octet)) =>
        {
            Ok(())
        }
        _ => refused("has no scheme; write it like https://host/path"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::AlternativeNames;

    fn dns(text: &str) -> bool {
        AlternativeNames::default().add_dns(text).is_ok()
    }

    #[test]
    fn host_names_are_judged_label_by_label() {
        let long = "a".repeat(63);
        for good in [
            "localhost",
            "vc.example.com",
            "xn--bcher-kva.example",
            "*.example.com",
            "a*b.example.com",
            "1.example",
            &long,
        ] {
            assert!(dns(good), "{good}");
        }
        let too_long = "a".repeat(64);
        let too_many = ["abcdefg"; 32].join(".");
        for bad in [
            "",
            ".",
            "a..b",
            ".a",
            "a.",
            "-a.b",
            "a-.b",
            "a_b.c",
            "a b",
            "bücher.example",
            "a\0b",
            "192.0.2.1",
            &too_long,
            &too_many,
        ] {
            assert!(!dns(bad), "{bad}");
        }
    }

    #[test]
    fn mailboxes_and_uris_are_judged() {
        for (text, good) in [
            ("admin@example.com", true),
            ("first.last+tag@sub.example", true),
            ("admin", false),
            ("@example.com", false),
            ("a..b@example.com", false),
            ("Admin <admin@example.com>", false),
            ("a@b@example.com", false),
            ("a@*.example.com", false),
        ] {
            assert_eq!(AlternativeNames::default().add_email(text).is_ok(), good, "{text}");
        }
        for (text, good) in [
            ("https://vc/afd/vecs/ca", true),
            ("urn:uuid:1", true),
            ("/relative", false),
            ("http:", false),
            ("https://a b", false),
            ("1http://a", false),
        ] {
            assert_eq!(AlternativeNames::default().add_uri(text).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn names_read_back_in_the_order_of_vmca() {
        let mut names = AlternativeNames::default();
        names.add_dns("a.example").unwrap();
        names.add_dns("A.EXAMPLE").unwrap();
        names.add_ip("::1").unwrap();
        names.add_ip("192.0.2.1").unwrap();
        names.add_uri("https://a.example/").unwrap();
        names.add_email("a@example.com").unwrap();
        let der = names.to_der().unwrap();
        assert_eq!(AlternativeNames::from_der(&der).unwrap(), names);
        assert_eq!(names.dns.len(), 1);
        let tags: Vec<u8> = [2, 17, 35, 41].iter().map(|at| der[*at]).collect();
        assert_eq!(tags, [0x81, 0x87, 0x87, 0x86]);
        assert_eq!(AlternativeNames::default().to_der(), None);
    }

    #[test]
    fn wildcards_are_seen() {
        let mut names = AlternativeNames::default();
        names.add_dns("vc.example.com").unwrap();
        assert!(!names.has_wildcard());
        names.add_dns("*.example.com").unwrap();
        assert!(names.has_wildcard());
    }
}
