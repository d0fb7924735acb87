//! Certificates (RFC 5280, 4.1), parsed once and strictly.

use aws_lc_rs::digest;

use super::alternative_names::AlternativeNames;
use super::asn1::{self, Element, context, context_constructed};
use super::error::Error;
use super::extension::{self, AuthorityKeyIdentifier, BasicConstraints, Extension, KeyUsage};
use super::general_name::GeneralName;
use super::name::Name;
use super::public_key::{self, PublicKey};
use super::signed::Signed;
use super::{oid, pem, text, time};
use crate::base::UnixTime;

/// A certificate, kept as the octets it was read from. Parsed once, strictly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    signed: Signed,
    parts: Parts,
}

/// What the to-be-signed part says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    /// 0 for version 1, 2 for version 3.
    pub version: u32,
    /// Content octets of the INTEGER.
    pub serial: Vec<u8>,
    /// AlgorithmIdentifier, whole.
    pub signature_algorithm: Vec<u8>,
    pub issuer: Name,
    pub not_before: UnixTime,
    pub not_after: UnixTime,
    pub subject: Name,
    /// SubjectPublicKeyInfo, whole.
    pub public_key: Vec<u8>,
    pub extensions: Vec<Extension>,
}

impl Certificate {
    /// Reads one certificate; nothing may follow it.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let signed = Signed::read(der).map_err(asn1::unreadable("the certificate"))?;
        let parts = Parts::read(signed.tbs())?;
        if parts.signature_algorithm != signed.algorithm() {
            // RFC 5280, 4.1.1.2.
            return Err(Error::Malformed(
                "the certificate names two different signature algorithms; it was tampered with or made wrongly".into(),
            ));
        }
        Ok(Self { signed, parts })
    }

    /// The octets, as they were read.
    pub fn as_der(&self) -> &[u8] {
        self.signed.as_der()
    }

    /// `CERTIFICATE` in PEM, with a newline at the end.
    pub fn to_pem(&self) -> String {
        pem::encode("CERTIFICATE", self.as_der())
    }

    /// Whom it is for.
    pub fn subject(&self) -> Name {
        self.parts.subject.clone()
    }

    /// Who signed it.
    pub fn issuer(&self) -> Name {
        self.parts.issuer.clone()
    }

    /// The subject's key, if it is one we accept.
    pub fn public_key(&self) -> Result<PublicKey, Error> {
        PublicKey::from_spki_der(&self.parts.public_key)
    }

    /// SubjectPublicKeyInfo, octet for octet, whatever the kind of the key.
    pub fn public_key_der(&self) -> &[u8] {
        &self.parts.public_key
    }

    /// The serial number, most significant octet first, without a leading zero octet. (A negative
    /// one, which RFC 5280 forbids, is given as its INTEGER content.)
    pub fn serial(&self) -> Vec<u8> {
        match self.parts.serial.as_slice() {
            [0, rest @ ..] if !rest.is_empty() => rest.to_vec(),
            octets => octets.to_vec(),
        }
    }

    /// First moment of its validity.
    pub fn not_before(&self) -> UnixTime {
        self.parts.not_before
    }

    /// Last moment of its validity.
    pub fn not_after(&self) -> UnixTime {
        self.parts.not_after
    }

    /// The exact octets that are signed.
    pub fn tbs(&self) -> &[u8] {
        self.signed.tbs()
    }

    /// The octets of subjectKeyIdentifier.
    pub fn subject_key_identifier(&self) -> Option<Vec<u8>> {
        extension::find(&self.parts.extensions, oid::SUBJECT_KEY_IDENTIFIER)
            .and_then(|extension| extension::read_key_identifier(&extension.value).ok())
    }

    /// The keyIdentifier of authorityKeyIdentifier.
    pub fn authority_key_identifier(&self) -> Option<Vec<u8>> {
        self.authority().and_then(|authority| authority.key_identifier)
    }

    /// cA of basicConstraints.
    pub fn is_ca(&self) -> bool {
        self.basic_constraints().ca
    }

    /// pathLenConstraint of basicConstraints.
    pub fn path_length(&self) -> Option<u32> {
        self.basic_constraints().path_length
    }

    /// keyUsage, where there is one.
    pub fn key_usage(&self) -> Option<KeyUsage> {
        extension::key_usage(&self.parts.extensions).ok().flatten()
    }

    /// Dotted object identifiers of extKeyUsage, in order; empty where there is none.
    pub fn extended_key_usage(&self) -> Vec<String> {
        extension::find(&self.parts.extensions, oid::EXTENDED_KEY_USAGE)
            .and_then(|extension| extension::read_purposes(&extension.value).ok())
            .unwrap_or_default()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// subjectAltName values of the four kinds that are issued here; others are left out.
    pub fn alternative_names(&self) -> AlternativeNames {
        let mut found = AlternativeNames::default();
        for name in self.subject_alternative_names() {
            match name {
                GeneralName::Email(text) => found.email.push(text),
                GeneralName::Dns(text) => found.dns.push(text),
                GeneralName::Uri(text) => found.uri.push(text),
                GeneralName::Ip(octets) => {
                    found.ip.extend(super::alternative_names::ip_address(&octets));
                }
                _ => {}
            }
        }
        found
    }

    /// Whether issuer and subject are the same name; says nothing about the signature.
    pub fn is_self_issued(&self) -> bool {
        self.parts.issuer == self.parts.subject
    }

    /// SHA-1 of the whole certificate: VECS names trusted roots after it.
    pub fn sha1(&self) -> [u8; 20] {
        public_key::fixed(&digest::SHA1_FOR_LEGACY_USE_ONLY, self.as_der())
    }

    /// SHA-256 of the whole certificate.
    pub fn sha256(&self) -> [u8; 32] {
        public_key::fixed(&digest::SHA256, self.as_der())
    }

    /// Checks the signature with this issuer's key: RSA (PKCS #1 v1.5) or ECDSA, with SHA-256,
    /// SHA-384 or SHA-512.
    pub fn verify_signed_by(&self, issuer: &PublicKey) -> Result<(), Error> {
        self.signed.verify(issuer)
    }

    /// The text that `openssl x509 -text -noout` prints.
    pub fn to_text(&self) -> String {
        text::certificate(&self.parts, &self.signed)
    }

    /// OpenSSL's file name hash of the subject (`-subject_hash`).
    pub fn subject_hash(&self) -> u32 {
        self.parts.subject.hash()
    }

    /// OpenSSL's file name hash of the subject before version 1.0 (`-subject_hash_old`).
    pub fn subject_hash_old(&self) -> u32 {
        self.parts.subject.hash_old()
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// authorityKeyIdentifier; what cannot be read counts as absent, because `from_der` has
    /// refused it already.
    pub(super) fn authority(&self) -> Option<AuthorityKeyIdentifier> {
        extension::find(&self.parts.extensions, oid::AUTHORITY_KEY_IDENTIFIER)
            .and_then(|extension| AuthorityKeyIdentifier::read(&extension.value).ok())
    }

    /// Every subjectAltName value, of any kind.
    pub(super) fn subject_alternative_names(&self) -> Vec<GeneralName> {
        extension::find(&self.parts.extensions, oid::SUBJECT_ALT_NAME)
            .and_then(|extension| GeneralName::list(&extension.value).ok())
            .unwrap_or_default()
    }

    fn basic_constraints(&self) -> BasicConstraints {
        extension::basic_constraints(&self.parts.extensions).unwrap_or_default()
    }
}

impl Parts {
    /// Reads a TBSCertificate; nothing may follow it.
    pub(super) fn read(tbs: &[u8]) -> Result<Self, Error> {
        let unreadable = asn1::unreadable("the certificate");
        let mut fields = Element::only(tbs, asn1::SEQUENCE)
            .and_then(|tbs| tbs.elements())
            .map_err(&unreadable)?;
        // Version 1 certificates have no version field; old roots are of that kind.
        let version = match fields.optional(context_constructed(0)).map_err(&unreadable)? {
            None => 0,
            Some(explicit) => Element::only(explicit.value, asn1::INTEGER)
                .and_then(|version| version.small_unsigned())
                .map_err(&unreadable)?,
        };
        let mut next = |tag: u8| fields.expect(tag).map_err(&unreadable);
        let serial = next(asn1::INTEGER)?.integer().map_err(&unreadable)?.to_vec();
        let signature_algorithm = next(asn1::SEQUENCE)?.raw.to_vec();
        let issuer = Name::from_der(next(asn1::SEQUENCE)?.raw)?;
        let (not_before, not_after) = read_validity(&next(asn1::SEQUENCE)?).map_err(&unreadable)?;
        let subject = Name::from_der(next(asn1::SEQUENCE)?.raw)?;
        let public_key = next(asn1::SEQUENCE)?.raw.to_vec();
        public_key::Info::read(&public_key).map_err(&unreadable)?;
        // Unique identifiers are dead, but RFC 5280, 4.1.2.8 wants them read.
        for unique_identifier in [context(1), context(2)] {
            fields.optional(unique_identifier).map_err(&unreadable)?;
        }
        let extensions = match fields.optional(context_constructed(3)).map_err(&unreadable)? {
            None => Vec::new(),
            Some(explicit) => extension::read_all(
                &Element::only(explicit.value, asn1::SEQUENCE).map_err(&unreadable)?,
            )?,
        };
        fields.finish().map_err(&unreadable)?;
        if version > 2 || (version < 2 && !extensions.is_empty()) {
            return Err(Error::Malformed(
                format!(
                    "the certificate says version {}, which does not fit its content",
                    u64::from(version) + 1
                )
                .into(),
            ));
        }
        let parts = Self {
            version,
            serial,
            signature_algorithm,
            issuer,
            not_before,
            not_after,
            subject,
            public_key,
            extensions,
        };
        parts.check_known_extensions()?;
        Ok(parts)
    }

    /// Reads the extensions that decisions are made on, so that the accessors can rely on them.
    fn check_known_extensions(&self) -> Result<(), Error> {
        extension::key_usage(&self.extensions)?;
        extension::basic_constraints(&self.extensions)?;
        for extension in &self.extensions {
            let value = &extension.value;
            match extension.kind {
                oid::SUBJECT_ALT_NAME => drop(GeneralName::list(value)?),
                oid::AUTHORITY_KEY_IDENTIFIER => drop(AuthorityKeyIdentifier::read(value)?),
                oid::SUBJECT_KEY_IDENTIFIER => drop(
                    extension::read_key_identifier(value)
                        .map_err(asn1::unreadable("the subject key identifier"))?,
                ),
                oid::EXTENDED_KEY_USAGE => drop(
                    extension::read_purposes(value)
                        .map_err(asn1::unreadable("the extended key usage"))?,
                ),
                _ => {}
            }
        }
        Ok(())
    }
}

fn read_validity(validity: &Element<'_>) -> der::Result<(UnixTime, UnixTime)> {
    let mut moments = validity.elements()?;
    let not_before = time::read(&moments.next()?)?;
    let not_after = time::read(&moments.next()?)?;
    moments.finish()?;
    Ok((not_before, not_after))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::Certificate;
    use crate::x509::tests::judge;
    use crate::x509::{Error, asn1};

    #[test]
    fn fields_are_those_that_openssl_sees() {
        let certificate = judge::self_signed("/O=Example/CN=root");
        let printed = judge::run_on_der(
            &["x509", "-inform", "DER", "-noout", "-serial", "-fingerprint", "-sha256"],
            certificate.as_der(),
        );
        let hex = |octets: &[u8], separator: &str| {
            let parts: Vec<String> = octets.iter().map(|octet| format!("{octet:02X}")).collect();
            parts.join(separator)
        };
        assert_eq!(
            printed,
            format!(
                "serial={}\nsha256 Fingerprint={}\n",
                hex(&certificate.serial(), ""),
                hex(&certificate.sha256(), ":")
            )
        );
        assert!(certificate.is_ca() && certificate.is_self_issued());
        assert_eq!(certificate.subject().common_names(), ["root"]);
        assert_eq!(
            certificate.subject_key_identifier().unwrap(),
            certificate.public_key().unwrap().key_identifier()
        );
        assert_eq!(certificate.authority_key_identifier(), certificate.subject_key_identifier());
        certificate.verify_signed_by(&certificate.public_key().unwrap()).unwrap();
    }

    #[test]
    fn two_different_signature_algorithms_are_refused() {
        let certificate = judge::self_signed("/CN=one");
        let other =
            asn1::sequence(&[&asn1::object_identifier(&crate::x509::oid::ECDSA_WITH_SHA384)]);
        let forged = crate::x509::signed::assemble(certificate.tbs(), &other, &[0; 8]);
        let error = Certificate::from_der(&forged).unwrap_err();
        assert!(error.to_string().contains("two different signature algorithms"), "{error}");
    }

    #[test]
    fn octets_after_the_certificate_are_refused() {
        let mut der = judge::self_signed("/CN=one").as_der().to_vec();
        der.push(0);
        assert!(matches!(Certificate::from_der(&der), Err(Error::Malformed(_))));
    }
}
