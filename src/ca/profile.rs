//! What the named profiles take from a request, and what they refuse.

use super::Request;
use super::error::{Error, Rule};
use super::settings::{Profile, Settings};
use super::validity::Validity;
use crate::base::{KeyAlgorithm, UnixTime};
use crate::x509::{self, AlternativeNames, Chain, KeyUsage, LeafTemplate, Name, PublicKey};

/// id-kp-serverAuth and id-kp-clientAuth (RFC 5280, 4.2.1.12).
const EXTENDED_KEY_USAGES: [&str; 2] = ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"];
/// id-ce-extKeyUsage.
const EXTENDED_KEY_USAGE: &str = "2.5.29.37";

/// What a certificate will say, decided by a profile. Only the serial number is missing.
#[derive(Debug)]
pub(super) struct Judged {
    subject: Name,
    public_key: PublicKey,
    validity: Validity,
    alternative_names: AlternativeNames,
    key_usage: KeyUsage,
    key_usage_critical: bool,
    extended_key_usage: Vec<String>,
    /// What was asked for and not taken: object identifiers of extensions and extended key usages,
    /// kinds of alternative names.
    pub(super) ignored: Vec<String>,
}

impl Judged {
    pub(super) fn into_template(self, serial: [u8; 16], settings: &Settings) -> LeafTemplate {
        LeafTemplate {
            serial,
            subject: self.subject,
            public_key: self.public_key,
            not_before: self.validity.not_before,
            not_after: self.validity.not_after,
            alternative_names: self.alternative_names,
            key_usage: self.key_usage,
            key_usage_critical: self.key_usage_critical,
            extended_key_usage: self.extended_key_usage,
            subject_key_identifier: true,
            ca_issuers_url: settings.ca_issuers_url.clone(),
        }
    }
}

/// Judges a request that is about to be signed by the first certificate of this chain.
pub(super) fn judge(
    settings: &Settings,
    request: &Request,
    issuer: &Chain,
    now: UnixTime,
) -> Result<Judged, Error> {
    let profile = settings.profile;
    let asked = request.csr.requested();
    let subject = request.csr.subject();
    if subject.is_empty() {
        return Err(Error::refused(
            Rule::Field,
            "the request has an empty subject: give it at least a Name (CN)",
        ));
    }
    let validity = Validity::decide(
        request.not_before,
        request.not_after,
        settings.validity_days,
        Validity { not_before: issuer.ca().not_before(), not_after: issuer.not_after() },
        now,
    )?;
    let key_usage = key_usage(
        profile,
        asked.ca,
        asked.key_usage.unwrap_or_default(),
        request.csr.public_key().algorithm(),
    )?;
    without_wildcards(subject, &asked.alternative_names)?;
    if profile == Profile::Strict {
        strictly_named(settings, subject, &asked.alternative_names)?;
    }
    issuer.permits_leaf(subject, &asked.alternative_names).map_err(Error::Constrained)?;
    let (extended_key_usage, not_taken) =
        extended_key_usage(profile, asked.extended_key_usage.clone());
    let mut ignored = asked.others.clone();
    ignored.extend(not_taken);
    ignored.extend(asked.unsupported_names.clone());
    Ok(Judged {
        subject: subject.clone(),
        public_key: request.csr.public_key().clone(),
        validity,
        alternative_names: asked.alternative_names.clone(),
        key_usage,
        key_usage_critical: profile == Profile::Strict,
        extended_key_usage,
        ignored,
    })
}

/// What only the strict profile wants of names, and of the address that it writes itself.
fn strictly_named(
    settings: &Settings,
    subject: &Name,
    names: &AlternativeNames,
) -> Result<(), Error> {
    if names.dns.is_empty() {
        return Err(Error::refused(
            Rule::Field,
            "the strict profile needs a DNS name in the subject alternative names: set Hostname",
        ));
    }
    x509::check_names(subject, names).map_err(Error::Request)?;
    settings.ca_issuers_url.as_deref().map_or(Ok(()), x509::check_url).map_err(|cause| {
        Error::refused(
            Rule::Field,
            format!(
                "the strict profile cannot write the address of this CA's certificate: {cause}; \
                 correct name under [node] in sealwright.toml"
            ),
        )
    })
}

/// Key usage as asked for, inside what an end entity may have; the profile's own where none is.
fn key_usage(
    profile: Profile,
    asks_for_ca: bool,
    asked: KeyUsage,
    algorithm: KeyAlgorithm,
) -> Result<KeyUsage, Error> {
    let refused = |what: &str| {
        Err(Error::refused(
            Rule::Field,
            format!("the request asks for {what}, which this CA does not give: leave it out"),
        ))
    };
    if asks_for_ca {
        return refused("a CA certificate (CA:TRUE)");
    }
    if asked.key_cert_sign || asked.crl_sign {
        return refused("the key usage of a CA (keyCertSign or cRLSign)");
    }
    if asked.data_encipherment {
        return refused("the key usage dataEncipherment");
    }
    if asked.key_agreement {
        return refused("the key usage keyAgreement");
    }
    let mut usage = if asked == KeyUsage::default() {
        KeyUsage {
            digital_signature: true,
            // VMCA's clients always ask for it; a linter wants it only where somebody means it.
            non_repudiation: profile == Profile::VmcaCompat,
            key_encipherment: true,
            ..KeyUsage::default()
        }
    } else {
        asked
    };
    // An ECDSA key enciphers nothing; RFC 8813, section 3, forbids the bit. VMCA never issued for
    // such keys, so compatibility has nothing to say about it.
    if !matches!(algorithm, KeyAlgorithm::Rsa(_)) {
        usage.key_encipherment = false;
    }
    if usage == KeyUsage::default() {
        return refused("keyEncipherment alone, for a key that can only sign");
    }
    Ok(usage)
}

/// Extended key usages taken, and identifiers of those that are not.
fn extended_key_usage(profile: Profile, asked: Vec<String>) -> (Vec<String>, Vec<String>) {
    match profile {
        Profile::VmcaCompat if asked.is_empty() => (asked, Vec::new()),
        Profile::VmcaCompat => (Vec::new(), vec![EXTENDED_KEY_USAGE.to_owned()]),
        Profile::Strict => {
            asked.into_iter().partition(|usage| EXTENDED_KEY_USAGES.contains(&usage.as_str()))
        }
    }
}

/// A name with an asterisk stands for machines that nobody has named.
pub(super) fn without_wildcards(subject: &Name, names: &AlternativeNames) -> Result<(), Error> {
    if let Some(name) = subject.common_names().into_iter().find(|name| name.contains('*')) {
        return Err(Error::refused(
            Rule::CommonName,
            format!("the common name '{name}' has a wildcard: name one machine"),
        ));
    }
    if let Some(name) = names.dns.iter().find(|name| name.contains('*')) {
        return Err(Error::refused(
            Rule::DnsName,
            format!("the DNS name '{name}' has a wildcard: name each machine"),
        ));
    }
    Ok(())
}
