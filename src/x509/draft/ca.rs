//! Self-signed CA certificates.

use rcgen::{
    BasicConstraints, CertificateParams, IsCa, KeyIdMethod, KeyUsagePurpose, SerialNumber,
};

use super::super::error::Error;
use super::super::extension::KeyUsage;
use super::super::name::Name;
use super::super::public_key::PublicKey;
use super::super::{AlternativeNames, signature, time};
use super::compare::{self, Content, Expected};
use super::recorder::Recorder;
use super::{Draft, exact};
use crate::base::UnixTime;

/// Everything a self-signed CA certificate says.
pub struct CaTemplate {
    /// 16 octets, positive; see [`super::serial_from_random`].
    pub serial: [u8; 16],
    /// Subject and issuer; never empty (RFC 5280, 4.1.2.4).
    pub subject: Name,
    /// The CA's key.
    pub public_key: PublicKey,
    /// First moment of its validity.
    pub not_before: UnixTime,
    /// Last moment of its validity.
    pub not_after: UnixTime,
    /// subjectAltName; left out where empty.
    pub alternative_names: AlternativeNames,
}

/// Builds the draft of a root: subjectAltName where given, keyUsage (critical, keyCertSign and
/// cRLSign), subjectKeyIdentifier (RFC 5280, 4.2.1.2, method 1), basicConstraints (critical,
/// CA:TRUE without a path length). There is no authorityKeyIdentifier: it signs itself.
pub fn draft_self_signed_ca(template: &CaTemplate) -> Result<Draft, Error> {
    super::check_serial(&template.serial)?;
    super::check_validity(template.not_before, template.not_after)?;
    if template.subject.is_empty() {
        return Err(Error::Field(
            "a CA must have a name: give at least one field of the subject".into(),
        ));
    }
    let key = &template.public_key;
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&template.serial));
    params.not_before = time::calendar(template.not_before)?;
    params.not_after = time::calendar(template.not_after)?;
    params.distinguished_name = super::placeholder_name(&template.subject);
    params.subject_alt_names = super::san_types(&template.alternative_names)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    // rcgen's own methods hash the whole SubjectPublicKeyInfo with SHA-2.
    params.key_identifier_method = KeyIdMethod::PreSpecified(key.key_identifier().to_vec());

    let recorder = Recorder::new(key.algorithm());
    let outcome = params.self_signed(&recorder);
    let built = recorder.finish(outcome)?;

    let name = template.subject.as_der();
    let draft = Draft {
        tbs: exact::certificate(&built, name, name, key.as_der())?,
        signature_algorithm: signature::identifier_for(key.algorithm()),
    };
    let mut extensions = Vec::new();
    if !template.alternative_names.is_empty() {
        extensions.push(Expected::plain(Content::AlternativeNames(&template.alternative_names)));
    }
    extensions.extend([
        Expected::critical(Content::KeyUsage(KeyUsage::CA)),
        Expected::plain(Content::SubjectKeyIdentifier),
        Expected::critical(Content::CaTrue),
    ]);
    compare::certificate(
        &draft,
        &compare::Certificate {
            serial: &template.serial,
            issuer: None,
            not_before: template.not_before,
            not_after: template.not_after,
            subject: name,
            public_key: key.as_der(),
            extensions,
        },
    )?;
    Ok(draft)
}
