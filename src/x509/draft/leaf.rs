//! End-entity certificates (RFC 5280, 4).

use der::oid::ObjectIdentifier;
use rcgen::{CertificateParams, Issuer, SerialNumber};

use super::super::asn1::{self, context};
use super::super::certificate::Certificate;
use super::super::csr::Csr;
use super::super::error::{Error, Refusal};
use super::super::extension::KeyUsage;
use super::super::name::Name;
use super::super::public_key::PublicKey;
use super::super::{AlternativeNames, oid, signature, tbs, time};
use super::compare::{self, Content, Expected};
use super::recorder::Recorder;
use super::{Draft, custom, exact};
use crate::base::{KeyAlgorithm, UnixTime};

/// Everything an end-entity certificate says.
pub struct LeafTemplate {
    /// 16 octets, positive; see [`super::serial_from_random`].
    pub serial: [u8; 16],
    /// Whom it is for. With an empty subject, subjectAltName becomes critical.
    pub subject: Name,
    /// The subject's key.
    pub public_key: PublicKey,
    /// First moment of its validity.
    pub not_before: UnixTime,
    /// Last moment of its validity.
    pub not_after: UnixTime,
    /// subjectAltName; left out where empty.
    pub alternative_names: AlternativeNames,
    /// keyUsage; left out where empty.
    pub key_usage: KeyUsage,
    /// Whether keyUsage is critical: RFC 5280 says it should be, VMCA says it is not.
    pub key_usage_critical: bool,
    /// Dotted object identifiers for extKeyUsage; left out where empty.
    pub extended_key_usage: Vec<String>,
    /// Whether to write subjectKeyIdentifier.
    pub subject_key_identifier: bool,
    /// Where the issuer's certificate can be fetched (authorityInfoAccess, caIssuers).
    pub ca_issuers_url: Option<String>,
}

/// What a CA's certificate gives to every leaf below it, read once.
pub struct LeafIssuer {
    name: Vec<u8>,
    algorithm: KeyAlgorithm,
    identifier: Vec<u8>,
    /// The same, read by the decoder that compares.
    again: compare::Issuer,
}

impl LeafIssuer {
    /// Reads the certificate of a CA.
    ///
    /// # Errors
    /// Its key is none that signs here.
    pub fn of(certificate: &Certificate) -> Result<Self, Error> {
        Ok(Self {
            name: certificate.subject().as_der().to_vec(),
            algorithm: certificate.public_key()?.algorithm(),
            identifier: super::identifier_of(certificate)?,
            again: compare::Issuer::read(certificate.as_der())?,
        })
    }

    /// Builds the draft of a leaf for a request: subject and key are the request's, octet for octet. The
    /// request is read again, by the decoder that compares drafts.
    ///
    /// # Errors
    /// As [`draft_leaf`]; [`Error::Building`] when the draft differs from the request.
    pub fn draft_for(&self, template: &LeafTemplate, request: &Csr) -> Result<Draft, Error> {
        let (draft, compared) = self.draft(template)?;
        compare::leaf_of_request(&compared, request.as_der())?;
        Ok(draft)
    }

    fn draft(&self, template: &LeafTemplate) -> Result<(Draft, compare::Compared), Error> {
        super::check_serial(&template.serial)?;
        super::check_validity(template.not_before, template.not_after)?;
        if template.subject.is_empty() && template.alternative_names.is_empty() {
            return Err(Error::Field(
                "the certificate would name nobody: give a subject or an alternative name".into(),
            ));
        }
        let purposes = read_purposes(&template.extended_key_usage)?;

        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from_slice(&template.serial));
        params.not_before = time::calendar(template.not_before)?;
        params.not_after = time::calendar(template.not_after)?;
        params.distinguished_name = super::placeholder_name(&template.subject);
        params.subject_alt_names = super::san_types(&template.alternative_names)?;
        params.custom_extensions = extensions(template, &purposes, &self.identifier)?;

        let recorder = Recorder::new(self.algorithm);
        // rcgen's own notion of the issuer is used for nothing but its name, which is replaced.
        let stand_in = Issuer::new(CertificateParams::default(), &recorder);
        let outcome = params.signed_by(&Recorder::new(template.public_key.algorithm()), &stand_in);
        drop(stand_in);
        let built = recorder.finish(outcome)?;

        let tbs = exact::certificate(
            &built,
            &self.name,
            template.subject.as_der(),
            template.public_key.as_der(),
        )?;
        let draft = Draft { tbs, signature_algorithm: signature::identifier_for(self.algorithm) };
        let compared = self.compare(&draft, template)?;
        Ok((draft, compared))
    }

    /// The draft against template and issuer, by the independent decoder.
    pub(super) fn compare(
        &self,
        draft: &Draft,
        template: &LeafTemplate,
    ) -> Result<compare::Compared, Error> {
        let purposes = read_purposes(&template.extended_key_usage)?;
        compare::certificate(
            draft,
            &compare::Certificate {
                serial: &template.serial,
                issuer: Some(&self.again),
                not_before: template.not_before,
                not_after: template.not_after,
                subject: template.subject.as_der(),
                public_key: template.public_key.as_der(),
                extensions: expected(template, &purposes),
            },
        )
    }
}

/// Builds the draft of a leaf. Extensions stand in VMCA's order: subjectAltName, keyUsage,
/// extKeyUsage, subjectKeyIdentifier, authorityKeyIdentifier, authorityInfoAccess.
pub fn draft_leaf(template: &LeafTemplate, issuer: &Certificate) -> Result<Draft, Error> {
    Ok(LeafIssuer::of(issuer)?.draft(template)?.0)
}

/// Everything after subjectAltName. rcgen would write authorityKeyIdentifier first, keyUsage
/// always critical, subjectKeyIdentifier only beside basicConstraints, and authorityInfoAccess not
/// at all; custom extensions come last and as they are given, so all of these are such.
fn extensions(
    template: &LeafTemplate,
    purposes: &[ObjectIdentifier],
    issuer_identifier: &[u8],
) -> Result<Vec<rcgen::CustomExtension>, Error> {
    let mut extensions = Vec::new();
    if !template.key_usage.is_empty() {
        extensions.push(custom(
            oid::KEY_USAGE,
            template.key_usage_critical,
            template.key_usage.to_der(),
        ));
    }
    if !purposes.is_empty() {
        let encoded: Vec<Vec<u8>> = purposes.iter().map(asn1::object_identifier).collect();
        let parts: Vec<&[u8]> = encoded.iter().map(Vec::as_slice).collect();
        extensions.push(custom(oid::EXTENDED_KEY_USAGE, false, asn1::sequence(&parts)));
    }
    if template.subject_key_identifier {
        extensions.push(custom(
            oid::SUBJECT_KEY_IDENTIFIER,
            false,
            super::octet_string(&template.public_key.key_identifier()),
        ));
    }
    extensions.push(custom(
        oid::AUTHORITY_KEY_IDENTIFIER,
        false,
        asn1::sequence(&[&asn1::encode(context(0), &[issuer_identifier])]),
    ));
    if let Some(url) = &template.ca_issuers_url {
        AlternativeNames::default().add_uri(url)?;
        extensions.push(custom(oid::AUTHORITY_INFO_ACCESS, false, tbs::write_ca_issuers(url)));
    }
    Ok(extensions)
}

/// The same list as `compare` expects it, made from the template alone.
fn expected<'a>(template: &'a LeafTemplate, purposes: &[ObjectIdentifier]) -> Vec<Expected<'a>> {
    let mut expected = Vec::new();
    if !template.alternative_names.is_empty() {
        expected.push(Expected {
            critical: template.subject.is_empty(),
            content: Content::AlternativeNames(&template.alternative_names),
        });
    }
    if !template.key_usage.is_empty() {
        expected.push(Expected {
            critical: template.key_usage_critical,
            content: Content::KeyUsage(template.key_usage),
        });
    }
    if !purposes.is_empty() {
        expected.push(Expected::plain(Content::ExtendedKeyUsage(purposes.to_vec())));
    }
    if template.subject_key_identifier {
        expected.push(Expected::plain(Content::SubjectKeyIdentifier));
    }
    expected.push(Expected::plain(Content::AuthorityKeyIdentifier));
    if let Some(url) = &template.ca_issuers_url {
        expected.push(Expected::plain(Content::CaIssuers(url)));
    }
    expected
}

fn read_purposes(dotted: &[String]) -> Result<Vec<ObjectIdentifier>, Error> {
    dotted
        .iter()
        .map(|text| {
            ObjectIdentifier::new(text).map_err(|cause| {
                Error::Field(Refusal::because(
                    format!(
                        "\"{}\" is not an object identifier; write extended key usages like 1.3.6.1.5.5.7.3.1",
                        text.escape_debug()
                    ),
                    cause,
                ))
            })
        })
        .collect()
}
