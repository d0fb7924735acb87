//! A certificate for an end entity (RFC 5280, 4).

use super::Refusal;
use super::issuers::{Issuer, Issuers, Known};
use crate::base::UnixTime;
use crate::x509::{AlternativeNames, PublicKey, TbsCertificate, oid};

const DAY: UnixTime = 24 * 60 * 60;
/// The longest life of anything that is signed here: ten years as VMCA counts them.
const LONGEST_LIFE: UnixTime = 10 * 366 * DAY;
/// The furthest that a certificate may start in the past; a request may ask for fourteen days, and
/// its signature may wait.
const OLDEST_START: UnixTime = 15 * DAY;

/// Judges a TBSCertificate that is to be signed by this key.
pub(super) fn judge(
    key: &hsm::KeyReference,
    message: &[u8],
    issuers: &Issuers,
    now: UnixTime,
) -> Result<(), Refusal> {
    let tbs = read(message, now)?;
    is_for_an_end_entity(&tbs)?;
    PublicKey::from_spki_der(tbs.public_key_der())
        .map_err(|cause| Refusal::because("no certificate is signed for this key", cause))?;
    let names = tbs
        .alternative_names()
        .map_err(|cause| Refusal::because("no certificate is signed with these names", cause))?;
    if tbs.subject().is_empty() && names.is_empty() {
        return Err(
            "the certificate would name nobody: give a subject or an alternative name".into()
        );
    }
    tbs.ca_issuers()
        .map_err(|cause| Refusal::because("no certificate is signed with this address", cause))?;
    issuers.judge_by(key, |known| {
        is_of_this_key(tbs.signature_algorithm(), known)?;
        below_one_of(known, &tbs, &names)
    })
}

/// What every certificate has to be, of whatever kind.
pub(super) fn read(message: &[u8], now: UnixTime) -> Result<TbsCertificate, Refusal> {
    let tbs = TbsCertificate::from_der(message)
        .map_err(|cause| Refusal::because("this is no certificate that is signed here", cause))?;
    // RFC 5280, 4.1.2.2: positive, and at most 20 octets.
    let is_positive = tbs.serial().first().is_some_and(|first| *first < 0x80)
        && tbs.serial().iter().any(|octet| *octet != 0);
    if !is_positive || tbs.serial().len() > 20 {
        return Err(
            "the serial number must be positive and have at most 20 octets; report this".into()
        );
    }
    let (start, end) = (tbs.not_before(), tbs.not_after());
    if end < start || end < now {
        return Err(
            "the certificate would end before it starts, or has ended: ask for a later end".into(),
        );
    }
    if end.saturating_sub(start) > LONGEST_LIFE {
        return Err(
            "the certificate would live for more than 3660 days: ask for an earlier end".into()
        );
    }
    if start < now.saturating_sub(OLDEST_START) {
        return Err(
            "the certificate would start more than 15 days in the past: ask for a later start"
                .into(),
        );
    }
    Ok(tbs)
}

/// No right of a CA, nothing that is not issued here.
fn is_for_an_end_entity(tbs: &TbsCertificate) -> Result<(), Refusal> {
    for extension in tbs.extensions() {
        let may_be_critical = match extension.kind {
            oid::SUBJECT_ALT_NAME | oid::KEY_USAGE | oid::EXTENDED_KEY_USAGE => true,
            // cA FALSE in DER is no content at all.
            oid::BASIC_CONSTRAINTS if extension.value == [0x30, 0x00] => true,
            oid::BASIC_CONSTRAINTS => {
                return Err(
                    "a certificate for a CA is not signed as one for an end entity: leave CA:TRUE out".into()
                );
            }
            oid::SUBJECT_KEY_IDENTIFIER
            | oid::AUTHORITY_KEY_IDENTIFIER
            | oid::AUTHORITY_INFO_ACCESS => false,
            other => {
                return Err(
                    format!("the extension {other} is not issued here: leave it out").into()
                );
            }
        };
        if extension.critical && !may_be_critical {
            return Err(format!(
                "the extension {} must not be critical (RFC 5280)",
                extension.kind
            )
            .into());
        }
    }
    if tbs.key_usage().is_some_and(|usage| usage.key_cert_sign || usage.crl_sign) {
        return Err("a key of an end entity must not have the key usage keyCertSign or cRLSign: leave it out".into());
    }
    let has_usages = tbs.extensions().iter().any(|found| found.kind == oid::EXTENDED_KEY_USAGE);
    let usages = tbs.extended_key_usage();
    if has_usages && usages.is_empty() {
        return Err(
            "an extended key usage without any usage is not issued here: leave it out".into()
        );
    }
    for usage in usages {
        match usage {
            oid::SERVER_AUTH | oid::CLIENT_AUTH => {}
            oid::OCSP_SIGNING => {
                return Err(
                    "OCSPSigning would let a stranger answer for this CA: leave it out".into()
                );
            }
            oid::ANY_EXTENDED_KEY_USAGE => {
                return Err("anyExtendedKeyUsage would hold for every purpose: leave it out".into());
            }
            other => {
                return Err(format!(
                    "the extended key usage {other} is not issued here: leave it out"
                )
                .into());
            }
        }
    }
    Ok(())
}

/// Whether the signature algorithm that is named is the one that the key signs with.
pub(super) fn is_of_this_key(algorithm: &[u8], known: &Known) -> Result<(), Refusal> {
    if algorithm == known.public_key.signature_algorithm() {
        return Ok(());
    }
    Err("another signature algorithm is named than the one that the key signs with; report this"
        .into())
}

/// One certificate of this key must allow the whole; two do not add up.
fn below_one_of(
    known: &Known,
    tbs: &TbsCertificate,
    names: &AlternativeNames,
) -> Result<(), Refusal> {
    let mut why = None;
    for issuer in &known.issuers {
        if issuer.certificate.subject() == *tbs.issuer() {
            match below(issuer, tbs, names) {
                Ok(()) => return Ok(()),
                Err(refusal) => why = Some(refusal),
            }
        }
    }
    Err(why.unwrap_or_else(|| no_such_issuer(&tbs.issuer().to_text())))
}

pub(super) fn no_such_issuer(name: &str) -> Refusal {
    format!(
        "no CA certificate with the name \"{name}\" is known for this key: restart vmcad, which records the CA in \
         service, or install the chain again"
    )
    .into()
}

fn below(issuer: &Issuer, tbs: &TbsCertificate, names: &AlternativeNames) -> Result<(), Refusal> {
    let certificate = &issuer.certificate;
    if !tbs.is_of_authority(certificate) {
        return Err("the authority key identifier speaks of another CA; report this".into());
    }
    if tbs.not_before() < certificate.not_before() || tbs.not_after() > certificate.not_after() {
        return Err(
            "the certificate would start before its CA or outlive it: ask for a shorter life"
                .into(),
        );
    }
    match &issuer.constraints {
        None => Ok(()),
        Some(constraints) => constraints
            .permit_leaf(tbs.subject(), names)
            .map_err(|why| format!("the CA certificate does not allow it: {why}").into()),
    }
}
