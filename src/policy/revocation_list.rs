//! A revocation list (RFC 5280, 5): whole, of this CA alone, for no longer than a year.

use super::Refusal;
use super::certificate::{is_of_this_key, no_such_issuer};
use super::issuers::Issuers;
use crate::base::UnixTime;
use crate::x509::{TbsCertList, oid};

const DAY: UnixTime = 24 * 60 * 60;
/// A list of today must not be the answer for ever.
const LONGEST_LIFE: UnixTime = 366 * DAY;
/// The furthest that a list may be dated ahead: clocks differ, but lists are not made in advance.
const AHEAD: UnixTime = DAY;

/// Judges a TBSCertList that is to be signed by this key.
pub(super) fn judge(
    key: &hsm::KeyReference,
    message: &[u8],
    issuers: &Issuers,
    now: UnixTime,
) -> Result<(), Refusal> {
    let list = TbsCertList::from_der(message).map_err(|cause| {
        Refusal::because("this is no revocation list that is signed here", cause)
    })?;
    dates(&list, now)?;
    extensions(&list)?;
    issuers.judge_by(key, |known| {
        is_of_this_key(list.signature_algorithm(), known)?;
        let of_this_name =
            known.issuers.iter().filter(|issuer| issuer.certificate.subject() == *list.issuer());
        let mut why = no_such_issuer(&list.issuer().to_text());
        for issuer in of_this_name {
            if issuer.certificate.key_usage().is_none_or(|usage| !usage.crl_sign) {
                why = "the CA certificate may not sign revocation lists: ask its issuer for one with cRLSign".into();
            } else if !list.is_of_authority(&issuer.certificate) {
                why = "the authority key identifier speaks of another CA; report this".into();
            } else {
                return Ok(());
            }
        }
        Err(why)
    })
}

fn dates(list: &TbsCertList, now: UnixTime) -> Result<(), Refusal> {
    let Some(next) = list.next_update() else {
        return Err("a revocation list must say when the next one comes; report this".into());
    };
    if next <= list.this_update() || next < now {
        return Err(
            "the revocation list would end before it starts, or has ended: correct the clock"
                .into(),
        );
    }
    if next.saturating_sub(list.this_update()) > LONGEST_LIFE {
        return Err("the revocation list would live for more than 366 days: lower crl_days".into());
    }
    if list.this_update() > now.saturating_add(AHEAD) {
        return Err("the revocation list is dated more than a day ahead: correct the clock".into());
    }
    Ok(())
}

/// A list for a part of the certificates, or for those of another CA, would hide what it leaves out.
fn extensions(list: &TbsCertList) -> Result<(), Refusal> {
    for extension in list.extensions() {
        if !matches!(extension.kind, oid::AUTHORITY_KEY_IDENTIFIER | oid::CRL_NUMBER) {
            return Err(format!(
                "a revocation list with the extension {} is not issued here",
                extension.kind
            )
            .into());
        }
        if extension.critical {
            return Err(format!(
                "the extension {} must not be critical (RFC 5280)",
                extension.kind
            )
            .into());
        }
    }
    for extension in list.entry_extensions() {
        if extension.critical || !matches!(extension.kind, oid::REASON_CODE | oid::INVALIDITY_DATE)
        {
            return Err(format!(
                "an entry of a revocation list with the extension {} is not issued here",
                extension.kind
            )
            .into());
        }
    }
    Ok(())
}
