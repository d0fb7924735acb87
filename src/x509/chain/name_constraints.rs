//! Name constraints (RFC 5280, 4.2.1.10).

use std::net::IpAddr;

use crate::x509::alternative_names::AlternativeNames;
use crate::x509::asn1::{self, Element, context, context_constructed};
use crate::x509::certificate::Certificate;
use crate::x509::error::Error;
use crate::x509::general_name::GeneralName;
use crate::x509::hash_name;
use crate::x509::name::Name;
use crate::x509::{extension, oid};

/// The constraints of one CA certificate.
pub struct NameConstraints {
    permitted: Vec<GeneralName>,
    excluded: Vec<GeneralName>,
}

/// The names of a certificate below, as constraints look at them.
pub(super) struct Names(Vec<GeneralName>);

impl Names {
    /// Subject and alternative names of a leaf that is to be issued.
    pub(super) fn of_leaf(subject: &Name, names: &AlternativeNames) -> Self {
        let mut all: Vec<GeneralName> = Vec::new();
        all.extend(names.email.iter().cloned().map(GeneralName::Email));
        all.extend(names.dns.iter().cloned().map(GeneralName::Dns));
        all.extend(names.uri.iter().cloned().map(GeneralName::Uri));
        all.extend(names.ip.iter().map(|address| {
            GeneralName::Ip(match address {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => address.octets().to_vec(),
            })
        }));
        Self::with_subject(all, subject, true)
    }

    /// The same of a certificate that exists.
    pub(super) fn of_certificate(certificate: &Certificate) -> Self {
        Self::with_subject(
            certificate.subject_alternative_names(),
            &certificate.subject(),
            !certificate.is_ca(),
        )
    }

    fn with_subject(mut all: Vec<GeneralName>, subject: &Name, is_leaf: bool) -> Self {
        if is_leaf && !all.iter().any(|name| matches!(name, GeneralName::Dns(_))) {
            // Clients take a common name for the host name when there is no other, so OpenSSL
            // constrains it, and so do we.
            let host_names = subject.common_names().into_iter().filter(|name| may_be_host(name));
            all.extend(host_names.map(GeneralName::Dns));
        }
        // Old certificates carry mailboxes in the subject. RFC 5280 constrains these where there is
        // no alternative name, OpenSSL always.
        all.extend(subject.values(&oid::EMAIL_ADDRESS).into_iter().map(GeneralName::Email));
        if !subject.is_empty() {
            all.push(GeneralName::Directory(subject.clone()));
        }
        Self(all)
    }
}

impl NameConstraints {
    /// The constraints of this CA certificate, where it has any.
    ///
    /// # Errors
    /// [`Error::Malformed`] when they cannot be read, or are critical and not understood here.
    pub fn of(ca: &Certificate) -> Result<Option<Self>, Error> {
        extension::find(&ca.parts().extensions, oid::NAME_CONSTRAINTS)
            .map(|extension| Self::read(&extension.value, extension.critical))
            .transpose()
    }

    /// Whether a leaf with this subject and these alternative names is allowed.
    ///
    /// # Errors
    /// Which name is not, and why.
    pub fn permit_leaf(&self, subject: &Name, names: &AlternativeNames) -> Result<(), String> {
        self.check(&Names::of_leaf(subject, names))
    }

    /// Reads the value of the extension. A constraint that cannot be followed is refused when the
    /// extension is critical, and does not bind when it is not.
    pub(in crate::x509) fn read(value: &[u8], critical: bool) -> Result<Self, Error> {
        let unreadable = asn1::unreadable("the name constraints");
        let mut parts = Element::only(value, asn1::SEQUENCE)
            .and_then(|constraints| constraints.elements())
            .map_err(&unreadable)?;
        let permitted = parts.optional(context_constructed(0)).map_err(&unreadable)?;
        let excluded = parts.optional(context_constructed(1)).map_err(&unreadable)?;
        parts.finish().map_err(&unreadable)?;
        Ok(Self {
            permitted: read_subtrees(permitted, critical)?,
            excluded: read_subtrees(excluded, critical)?,
        })
    }

    /// Every name must lie in a permitted subtree, if there are any of its kind, and in no
    /// excluded one. Says which name does not.
    pub(super) fn check(&self, names: &Names) -> Result<(), String> {
        for name in &names.0 {
            let same_kind = |base: &&GeneralName| base.kind() == name.kind();
            if self.excluded.iter().any(|base| is_within(name, base)) {
                return Err(format!("{} is excluded by its name constraints", shown(name)));
            }
            // RFC 5280: a URI without a host cannot be judged, so it is refused.
            if let GeneralName::Uri(uri) = name
                && uri_host(uri).is_none()
                && self.permitted.iter().chain(&self.excluded).any(|base| same_kind(&base))
            {
                return Err(format!(
                    "{} has no host that its name constraints could allow",
                    shown(name)
                ));
            }
            let mut permitted = self.permitted.iter().filter(same_kind).peekable();
            if permitted.peek().is_some() && !permitted.any(|base| is_within(name, base)) {
                return Err(format!("{} is not permitted by its name constraints", shown(name)));
            }
        }
        Ok(())
    }
}

fn read_subtrees(list: Option<Element<'_>>, critical: bool) -> Result<Vec<GeneralName>, Error> {
    let unreadable = asn1::unreadable("the name constraints");
    let mut bases = Vec::new();
    let Some(list) = list else {
        return Ok(bases);
    };
    let mut elements = list.elements().map_err(&unreadable)?;
    while !elements.is_finished() {
        let mut parts = elements
            .expect(asn1::SEQUENCE)
            .and_then(|subtree| subtree.elements())
            .map_err(&unreadable)?;
        let base = GeneralName::read(&parts.next().map_err(&unreadable)?)?;
        let minimum = parts.optional(context(0)).map_err(&unreadable)?;
        let maximum = parts.optional(context(1)).map_err(&unreadable)?;
        parts.finish().map_err(&unreadable)?;
        // RFC 5280: minimum is always zero, maximum always absent.
        let is_plain = maximum.is_none() && minimum.is_none_or(|minimum| minimum.value == [0]);
        let is_understood = match &base {
            GeneralName::Dns(_) | GeneralName::Email(_) | GeneralName::Directory(_) => true,
            // For hosts, an empty base has no meaning, and readers differ about it.
            GeneralName::Uri(host) => !host.is_empty(),
            GeneralName::Ip(octets) => matches!(octets.len(), 8 | 32),
            _ => false,
        };
        if is_plain && is_understood {
            bases.push(base);
        } else if critical {
            return Err(Error::Malformed(
                format!("a constraint on {} of this form is not understood", base.kind()).into(),
            ));
        }
    }
    Ok(bases)
}

fn is_within(name: &GeneralName, base: &GeneralName) -> bool {
    match (name, base) {
        (GeneralName::Dns(name), GeneralName::Dns(base)) => dns_is_within(name, base),
        (GeneralName::Email(name), GeneralName::Email(base)) => email_is_within(name, base),
        (GeneralName::Uri(name), GeneralName::Uri(base)) => {
            uri_host(name).is_some_and(|host| host_is_within(host, base))
        }
        (GeneralName::Ip(name), GeneralName::Ip(base)) => ip_is_within(name, base),
        (GeneralName::Directory(name), GeneralName::Directory(base)) => {
            directory_is_within(name, base)
        }
        _ => false,
    }
}

/// Zero or more labels added to the left. With a leading dot, which RFC 5280 does not give a
/// meaning here but CAs write, at least one.
fn dns_is_within(name: &str, base: &str) -> bool {
    let (name, base) = (name.to_ascii_lowercase(), base.to_ascii_lowercase());
    match base.strip_prefix('.') {
        _ if base.is_empty() => true,
        Some(_) => name.ends_with(&base) && name.len() > base.len(),
        None => name == base || name.ends_with(&format!(".{base}")),
    }
}

/// A mailbox, a host, or (with a leading dot) every host of a domain.
fn email_is_within(name: &str, base: &str) -> bool {
    let Some((local, host)) = name.rsplit_once('@') else {
        return false;
    };
    match base.rsplit_once('@') {
        Some((base_local, base_host)) => {
            local == base_local && host.eq_ignore_ascii_case(base_host)
        }
        None => base.is_empty() || host_is_within(host, base),
    }
}

/// A host, or (with a leading dot) every host of a domain.
fn host_is_within(host: &str, base: &str) -> bool {
    if base.starts_with('.') { dns_is_within(host, base) } else { host.eq_ignore_ascii_case(base) }
}

/// Whether OpenSSL would take this common name for the name of a host: two labels at least, of
/// letters, digits, hyphens inside, and underscores. An IPv4 address is one.
fn may_be_host(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet))
    };
    name.contains('.') && name.split('.').all(is_label)
}

/// The host name of a URI with an authority part; a URI without one, or with an address in its
/// place, cannot be within anything.
fn uri_host(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    // An IPv6 address stands in brackets.
    let is_address = host.starts_with('[') || host.parse::<IpAddr>().is_ok();
    Some(host).filter(|host| !host.is_empty() && !is_address)
}

/// Address and mask, one after the other.
fn ip_is_within(address: &[u8], base: &[u8]) -> bool {
    let (network, mask) = base.split_at(base.len() / 2);
    address.len() == network.len()
        && address
            .iter()
            .zip(network)
            .zip(mask)
            .all(|((address, network), mask)| address & mask == network & mask)
}

/// The base is the beginning of the name, RDN by RDN.
fn directory_is_within(name: &Name, base: &Name) -> bool {
    let (name, base) = (name.rdns(), base.rdns());
    base.len() <= name.len()
        && base
            .iter()
            .zip(name)
            .all(|(base, name)| hash_name::canonical_rdn(base) == hash_name::canonical_rdn(name))
}

fn shown(name: &GeneralName) -> String {
    match name {
        GeneralName::Dns(text) | GeneralName::Email(text) | GeneralName::Uri(text) => {
            format!("\"{}\"", text.escape_debug())
        }
        GeneralName::Ip(octets) => match crate::x509::alternative_names::ip_address(octets) {
            Some(address) => format!("the address {address}"),
            None => "an address".into(),
        },
        GeneralName::Directory(name) => format!("the name \"{name}\""),
        other => format!("a name of the kind {}", other.kind()),
    }
}

#[cfg(test)]
mod tests {
    use super::{dns_is_within, email_is_within, ip_is_within, uri_host};

    #[test]
    fn host_names_match_by_whole_labels() {
        for (name, base, within) in [
            ("example.com", "example.com", true),
            ("a.Example.COM", "example.com", true),
            ("badexample.com", "example.com", false),
            ("example.com", ".example.com", false),
            ("a.example.com", ".example.com", true),
            ("anything", "", true),
            ("*.example.com", "example.com", true),
        ] {
            assert_eq!(dns_is_within(name, base), within, "{name} {base}");
        }
    }

    #[test]
    fn mailboxes_match_by_box_host_or_domain() {
        for (name, base, within) in [
            ("a@example.com", "a@example.com", true),
            ("A@example.com", "a@example.com", false),
            ("a@EXAMPLE.com", "example.com", true),
            ("a@sub.example.com", "example.com", false),
            ("a@sub.example.com", ".example.com", true),
            ("a@example.com", ".example.com", false),
        ] {
            assert_eq!(email_is_within(name, base), within, "{name} {base}");
        }
    }

    #[test]
    fn addresses_match_by_mask() {
        let base = [10, 1, 0, 0, 255, 255, 0, 0];
        assert!(ip_is_within(&[10, 1, 2, 3], &base));
        assert!(!ip_is_within(&[10, 2, 2, 3], &base));
        assert!(!ip_is_within(&[0; 16], &base));
    }

    #[test]
    fn the_host_of_a_uri_is_found() {
        for (uri, host) in [
            ("https://user@vc.example.com:443/x", Some("vc.example.com")),
            ("ldap://h?x", Some("h")),
            ("urn:uuid:1", None),
            ("file:///x", None),
            ("https://192.0.2.1:443/", None),
            ("https://[2001:db8::1]:443/", None),
        ] {
            assert_eq!(uri_host(uri), host, "{uri}");
        }
    }
}
