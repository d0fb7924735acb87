//! A CA chain from outside, checked whole before anything is done with it (RFC 5280, 6.1).

mod name_constraints;

use super::alternative_names::AlternativeNames;
use super::certificate::Certificate;
use super::error::{ChainError, Error};
use super::name::Name;
use super::{oid, time};
use crate::base::UnixTime;
pub use name_constraints::NameConstraints;
use name_constraints::Names;

/// Longest chain that OpenSSL follows by default, and so the longest that clients can use.
const MAX_LENGTH: usize = 10;

/// A CA chain that was checked whole: VMCA first, self-signed root last.
#[derive(Clone, Debug)]
pub struct Chain {
    certificates: Vec<Certificate>,
}

impl Chain {
    /// Order, every signature, dates at `now`, CA bit, keyCertSign, path length, name constraints,
    /// critical extensions, accepted keys, self-signed end.
    ///
    /// The first certificate must also be allowed to sign revocation lists, because VMCA signs one
    /// as soon as it has a certificate.
    pub fn verify(certificates: Vec<Certificate>, now: UnixTime) -> Result<Self, ChainError> {
        check_order(&certificates)?;
        for (position, certificate) in certificates.iter().enumerate() {
            let at = Place::new(&certificates, position);
            check_ca(certificate, &at)?;
            check_name(certificate, &at)?;
            check_dates(certificate, now, &at)?;
            check_critical_extensions(certificate, &at)?;
            check_signature(&certificates, position, &at)?;
            check_path_length(&certificates, position, &at)?;
        }
        let chain = Self { certificates };
        chain.check_names_inside()?;
        Ok(chain)
    }

    /// The certificates, VMCA first.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// VMCA's own certificate. (`verify` refuses an empty chain.)
    pub fn ca(&self) -> &Certificate {
        &self.certificates[0]
    }

    /// The self-signed root.
    pub fn root(&self) -> &Certificate {
        &self.certificates[self.certificates.len() - 1]
    }

    /// The last second at which every certificate of the chain is valid: nothing below it verifies
    /// any later.
    pub fn not_after(&self) -> UnixTime {
        self.certificates.iter().map(Certificate::not_after).min().unwrap_or(UnixTime::MIN)
    }

    /// Whether the name constraints of every certificate in the chain allow a leaf with this
    /// subject and these alternative names; asked before signing, because a leaf outside of them
    /// would be refused by every client.
    pub fn permits_leaf(&self, subject: &Name, names: &AlternativeNames) -> Result<(), ChainError> {
        self.permits(&Names::of_leaf(subject, names))
    }

    /// The same for a certificate that exists already.
    pub fn permits_certificate(&self, leaf: &Certificate) -> Result<(), ChainError> {
        self.permits(&Names::of_certificate(leaf))
    }

    fn permits(&self, names: &Names) -> Result<(), ChainError> {
        for (position, certificate) in self.certificates.iter().enumerate() {
            let at = Place::new(&self.certificates, position);
            if let Some(constraints) = constraints_of(certificate, &at)? {
                constraints.check(names).map_err(|why| {
                    ChainError::Constraint(format!("{at} does not allow it: {why}").into())
                })?;
            }
        }
        Ok(())
    }

    /// Every CA certificate against the constraints of those above it. Self-issued certificates
    /// are exempt (RFC 5280, 6.1.3, b and c): a CA changing its key keeps its name.
    fn check_names_inside(&self) -> Result<(), ChainError> {
        for (position, issuer) in self.certificates.iter().enumerate() {
            let at = Place::new(&self.certificates, position);
            let Some(constraints) = constraints_of(issuer, &at)? else {
                continue;
            };
            for below in
                self.certificates[..position].iter().filter(|below| !below.is_self_issued())
            {
                constraints.check(&Names::of_certificate(below)).map_err(|why| {
                    ChainError::Constraint(
                        format!(
                            "{at} does not allow the name of the certificate \"{}\" below it: {why}",
                            below.subject()
                        )
                        .into(),
                    )
                })?;
            }
        }
        Ok(())
    }
}

/// Which certificate a sentence is about.
struct Place {
    number: usize,
    count: usize,
    subject: String,
}

impl Place {
    fn new(certificates: &[Certificate], position: usize) -> Self {
        Self {
            number: position + 1,
            count: certificates.len(),
            subject: certificates[position].subject().to_text(),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "certificate {} of {} (\"{}\")", self.number, self.count, self.subject)
    }
}

fn check_order(certificates: &[Certificate]) -> Result<(), ChainError> {
    let order = |sentence: String| Err(ChainError::Order(sentence.into()));
    let Some(last) = certificates.last() else {
        return order(
            "the chain is empty; give the CA certificate and the certificates above it".into(),
        );
    };
    if certificates.len() > MAX_LENGTH {
        return order(format!(
            "the chain has {} certificates; clients follow at most {MAX_LENGTH}",
            certificates.len()
        ));
    }
    for (position, certificate) in certificates.iter().enumerate() {
        if certificates[..position].contains(certificate) {
            return order(format!(
                "{} is there twice; remove one of them",
                Place::new(certificates, position)
            ));
        }
    }
    for (position, pair) in certificates.windows(2).enumerate() {
        let (certificate, issuer) = (&pair[0], &pair[1]);
        let at = Place::new(certificates, position);
        if certificate.is_self_issued() && issuer.subject() != certificate.subject() {
            return order(format!(
                "{at} is self-signed, but more certificates follow it; the self-signed root comes last"
            ));
        }
        if certificate.issuer() != issuer.subject() {
            return order(format!(
                "{at} was issued by \"{}\", but the next certificate is \"{}\"; put the file in the order CA, intermediates, root",
                certificate.issuer(),
                issuer.subject()
            ));
        }
        if let Some(why) = wrong_key_of_issuer(certificate, issuer) {
            return order(format!(
                "{at} was issued by another certificate of \"{}\": {why}",
                issuer.subject()
            ));
        }
    }
    if last.is_self_issued() {
        Ok(())
    } else {
        Err(ChainError::Incomplete(
            format!(
                "the chain ends with \"{}\", which was issued by \"{}\"; add the certificates up to the self-signed root",
                last.subject(),
                last.issuer()
            )
            .into(),
        ))
    }
}

/// The authority key identifier, where both sides have what it speaks of (RFC 5280, 4.2.1.1).
fn wrong_key_of_issuer(certificate: &Certificate, issuer: &Certificate) -> Option<&'static str> {
    let authority = certificate.authority()?;
    if let (Some(wanted), Some(there)) = (authority.key_identifier, issuer.subject_key_identifier())
        && wanted != there
    {
        return Some("the key identifiers differ");
    }
    if let Some(serial) = authority.serial
        && serial != issuer.parts().serial
    {
        return Some("the authority key identifier names another serial number");
    }
    None
}

fn check_ca(certificate: &Certificate, at: &Place) -> Result<(), ChainError> {
    let not_ca = |what: &str| Err(ChainError::NotCa(format!("{at} {what}").into()));
    if !certificate.is_ca() {
        return not_ca(
            "is not a CA certificate (no basic constraint CA:TRUE); ask the issuer for a CA certificate",
        );
    }
    match certificate.key_usage() {
        Some(usage) if !usage.key_cert_sign => not_ca(
            "may not sign certificates (key usage without keyCertSign); ask the issuer for a CA certificate",
        ),
        Some(usage) if at.number == 1 && !usage.crl_sign => not_ca(
            "may not sign revocation lists (key usage without cRLSign); ask the issuer for a CA certificate with it",
        ),
        // RFC 5280, 6.1.4 (n) judges keyUsage only where it is present, and old roots have none.
        None if at.number == 1 => not_ca(
            "has no key usage; ask the issuer for a CA certificate with keyCertSign and cRLSign",
        ),
        _ => Ok(()),
    }
}

/// The name of VMCA goes into everything that VMCA signs.
fn check_name(certificate: &Certificate, at: &Place) -> Result<(), ChainError> {
    if at.number > 1 || certificate.parts().subject.is_in_order() {
        return Ok(());
    }
    Err(ChainError::Constraint(
        format!("{at} has a multi-valued part of its name that is not in the order of DER; ask the issuer for a certificate with a name in order").into(),
    ))
}

fn check_dates(certificate: &Certificate, now: UnixTime, at: &Place) -> Result<(), ChainError> {
    if now < certificate.not_before() {
        return Err(ChainError::Dates(
            format!(
                "{at} is valid only from {}; wait, or correct this machine's clock",
                time::text(certificate.not_before())
            )
            .into(),
        ));
    }
    if now > certificate.not_after() {
        return Err(ChainError::Dates(
            format!(
                "{at} expired at {}; ask its issuer for a new one",
                time::text(certificate.not_after())
            )
            .into(),
        ));
    }
    Ok(())
}

/// RFC 5280, 4.2: what is critical and not understood must be refused. policyConstraints is not in
/// the list on purpose: it can demand policies of our leaves, which have none.
fn check_critical_extensions(certificate: &Certificate, at: &Place) -> Result<(), ChainError> {
    const UNDERSTOOD: [der::oid::ObjectIdentifier; 10] = [
        oid::BASIC_CONSTRAINTS,
        oid::KEY_USAGE,
        oid::EXTENDED_KEY_USAGE,
        oid::NAME_CONSTRAINTS,
        oid::SUBJECT_ALT_NAME,
        oid::ISSUER_ALT_NAME,
        oid::CERTIFICATE_POLICIES,
        oid::POLICY_MAPPINGS,
        oid::INHIBIT_ANY_POLICY,
        oid::CRL_DISTRIBUTION_POINTS,
    ];
    match certificate
        .parts()
        .extensions
        .iter()
        .find(|extension| extension.critical && !UNDERSTOOD.contains(&extension.kind))
    {
        Some(extension) => Err(ChainError::Constraint(
            format!(
                "{at} has the critical extension {}, which is not understood here; ask the issuer for a certificate without it",
                extension.kind
            )
            .into(),
        )),
        None => Ok(()),
    }
}

fn check_signature(
    certificates: &[Certificate],
    position: usize,
    at: &Place,
) -> Result<(), ChainError> {
    let certificate = &certificates[position];
    let refused = |error: Error, what: &str| {
        let sort = match error {
            Error::Signature(_) => ChainError::Signature,
            _ => ChainError::Key,
        };
        sort(error.into_refusal().reworded(|why| format!("{what} {at}: {why}")))
    };
    // The last certificate signs itself.
    let issuer = certificates.get(position + 1).unwrap_or(certificate);
    let key =
        issuer.public_key().map_err(|error| refused(error, "the issuer's key is not taken for"))?;
    certificate.public_key().map_err(|error| refused(error, "the key is not taken of"))?;
    certificate.verify_signed_by(&key).map_err(|error| refused(error, "the signature is wrong of"))
}

/// pathLenConstraint counts the certificates below that are not self-issued, the leaf aside
/// (RFC 5280, 4.2.1.9).
fn check_path_length(
    certificates: &[Certificate],
    position: usize,
    at: &Place,
) -> Result<(), ChainError> {
    let below =
        certificates[..position].iter().filter(|certificate| !certificate.is_self_issued()).count();
    match certificates[position].path_length() {
        Some(limit) if below > limit as usize => Err(ChainError::Constraint(
            format!(
                "{at} allows {limit} CA certificates below it (path length), but there are {below}; ask the issuer for a CA with a longer path"
            )
            .into(),
        )),
        _ => Ok(()),
    }
}

fn constraints_of(
    certificate: &Certificate,
    at: &Place,
) -> Result<Option<NameConstraints>, ChainError> {
    NameConstraints::of(certificate).map_err(|error| {
        ChainError::Constraint(
            error.into_refusal().reworded(|why| {
                format!("{at} has name constraints that cannot be followed: {why}")
            }),
        )
    })
}

#[cfg(test)]
mod tests;
