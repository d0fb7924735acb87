//! Certificate revocation lists (RFC 5280, 5).

use rcgen::{
    CertificateParams, CertificateRevocationListParams, Issuer, KeyIdMethod, RevocationReason,
    RevokedCertParams, SerialNumber,
};

use super::super::certificate::Certificate;
use super::super::error::Error;
use super::super::{signature, time};
use super::compare::{self, Content, Expected};
use super::recorder::Recorder;
use super::{Draft, exact};
use crate::base::UnixTime;

/// One revoked certificate.
pub struct RevokedEntry {
    /// Serial number, most significant octet first.
    pub serial: Vec<u8>,
    /// When it was revoked.
    pub revoked_at: UnixTime,
    /// CRLReason (RFC 5280, 5.3.1), 0 to 10 without 7. 0, unspecified, is left out of the list,
    /// as RFC 5280 asks.
    pub reason: Option<u8>,
}

/// Everything a revocation list says.
pub struct CrlTemplate {
    /// cRLNumber; grows with every list.
    pub number: u64,
    /// When the list is made.
    pub this_update: UnixTime,
    /// When the next one will be there at the latest; after `this_update`.
    pub next_update: UnixTime,
    /// Entries, in this order.
    pub revoked: Vec<RevokedEntry>,
}

/// Builds the draft of a list: version 2, authorityKeyIdentifier, cRLNumber.
pub fn draft_crl(template: &CrlTemplate, issuer: &Certificate) -> Result<Draft, Error> {
    let issuer_key = issuer.public_key()?;
    let mut revoked = Vec::with_capacity(template.revoked.len());
    for entry in &template.revoked {
        revoked.push(RevokedCertParams {
            serial_number: SerialNumber::from_slice(&entry.serial),
            revocation_time: time::calendar(entry.revoked_at)?,
            reason_code: entry.reason.map(reason).transpose()?,
            invalidity_date: None,
        });
    }
    let params = CertificateRevocationListParams {
        this_update: time::calendar(template.this_update)?,
        next_update: time::calendar(template.next_update)?,
        crl_number: SerialNumber::from(template.number),
        issuing_distribution_point: None,
        revoked_certs: revoked,
        key_identifier_method: KeyIdMethod::PreSpecified(super::identifier_of(issuer)?),
    };

    let recorder = Recorder::new(issuer_key.algorithm());
    let stand_in = Issuer::new(CertificateParams::default(), &recorder);
    let outcome = params.signed_by(&stand_in);
    drop(stand_in);
    let built = recorder.finish(outcome)?;

    let draft = Draft {
        tbs: exact::revocation_list(&built, issuer.subject().as_der())?,
        signature_algorithm: signature::identifier_for(issuer_key.algorithm()),
    };
    compare::revocation_list(
        &draft,
        template,
        issuer.as_der(),
        &[
            Expected::plain(Content::AuthorityKeyIdentifier),
            Expected::plain(Content::CrlNumber(template.number)),
        ],
    )?;
    Ok(draft)
}

fn reason(code: u8) -> Result<RevocationReason, Error> {
    Ok(match code {
        0 => RevocationReason::Unspecified,
        1 => RevocationReason::KeyCompromise,
        2 => RevocationReason::CaCompromise,
        3 => RevocationReason::AffiliationChanged,
        4 => RevocationReason::Superseded,
        5 => RevocationReason::CessationOfOperation,
        6 => RevocationReason::CertificateHold,
        8 => RevocationReason::RemoveFromCrl,
        9 => RevocationReason::PrivilegeWithdrawn,
        10 => RevocationReason::AaCompromise,
        _ => {
            return Err(Error::Field(
                format!("there is no revocation reason {code}; the reasons are 0 to 6 and 8 to 10")
                    .into(),
            ));
        }
    })
}
