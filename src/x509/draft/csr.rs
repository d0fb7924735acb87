//! Certificate requests (RFC 2986) for the holder of a key.

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyUsagePurpose};

use super::super::error::Error;
use super::super::extension::KeyUsage;
use super::super::name::Name;
use super::super::private_key::PrivateKey;
use super::super::public_key::PublicKey;
use super::super::{AlternativeNames, pem, signature};
use super::compare::{self, Content, Expected};
use super::recorder::Recorder;
use super::{Draft, exact};

/// CSR for the holder of a key. `ca`: ask for CA:TRUE, keyCertSign and cRLSign (critical).
pub struct CsrTemplate {
    /// Whom the certificate is to be for.
    pub subject: Name,
    /// The key that signs the request.
    pub public_key: PublicKey,
    /// subjectAltName; left out where empty.
    pub alternative_names: AlternativeNames,
    /// keyUsage, critical; left out where absent or empty.
    pub key_usage: Option<KeyUsage>,
    /// Ask for basicConstraints CA:TRUE, and for keyCertSign and cRLSign besides `key_usage`.
    pub ca: bool,
}

/// Builds the draft of a request: keyUsage, subjectAltName, basicConstraints, as asked for.
pub fn draft_csr(template: &CsrTemplate) -> Result<Draft, Error> {
    let key = &template.public_key;
    let usage = usage_of(template);
    let mut params = CertificateParams::default();
    params.distinguished_name = super::placeholder_name(&template.subject);
    params.subject_alt_names = super::san_types(&template.alternative_names)?;
    params.key_usages = purposes(usage);
    if template.ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }

    let recorder = Recorder::new(key.algorithm());
    let outcome = params.serialize_request(&recorder);
    let built = recorder.finish(outcome)?;

    let subject = template.subject.as_der();
    let draft = Draft {
        tbs: exact::request(&built, subject, key.as_der())?,
        signature_algorithm: signature::identifier_for(key.algorithm()),
    };
    let mut extensions = Vec::new();
    if !usage.is_empty() {
        extensions.push(Expected::critical(Content::KeyUsage(usage)));
    }
    if !template.alternative_names.is_empty() {
        extensions.push(Expected {
            critical: template.subject.is_empty(),
            content: Content::AlternativeNames(&template.alternative_names),
        });
    }
    if template.ca {
        extensions.push(Expected::critical(Content::CaTrue));
    }
    compare::request(&draft, subject, key, &extensions)?;
    Ok(draft)
}

/// Draft, sign with the owner's key, assemble, PEM: what certool does before it asks VMCA.
pub fn csr_pem(template: &CsrTemplate, key: &PrivateKey) -> Result<String, Error> {
    if template.public_key != *key.public_key() {
        return Err(super::building("the request is for another key than the one that signs it"));
    }
    let draft = draft_csr(template)?;
    let signature = key.sign(draft.tbs())?;
    Ok(pem::encode("CERTIFICATE REQUEST", &draft.assemble(&signature)))
}

fn usage_of(template: &CsrTemplate) -> KeyUsage {
    let usage = template.key_usage.unwrap_or_default();
    KeyUsage {
        key_cert_sign: usage.key_cert_sign || template.ca,
        crl_sign: usage.crl_sign || template.ca,
        ..usage
    }
}

fn purposes(usage: KeyUsage) -> Vec<KeyUsagePurpose> {
    [
        (usage.digital_signature, KeyUsagePurpose::DigitalSignature),
        (usage.non_repudiation, KeyUsagePurpose::ContentCommitment),
        (usage.key_encipherment, KeyUsagePurpose::KeyEncipherment),
        (usage.data_encipherment, KeyUsagePurpose::DataEncipherment),
        (usage.key_agreement, KeyUsagePurpose::KeyAgreement),
        (usage.key_cert_sign, KeyUsagePurpose::KeyCertSign),
        (usage.crl_sign, KeyUsagePurpose::CrlSign),
    ]
    .into_iter()
    .filter_map(|(set, purpose)| set.then_some(purpose))
    .collect()
}
