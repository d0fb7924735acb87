//! Certificate requests (PKCS #10, RFC 2986): proof of possession first, then what is asked for.

use aws_lc_rs::digest;

use super::alternative_names::AlternativeNames;
use super::asn1::{self, Element, context_constructed};
use super::error::{Error, Refusal};
use super::extension::{self, Extension, KeyUsage};
use super::name::Name;
use super::public_key::{self, PublicKey};
use super::signed::Signed;
use super::{oid, pem};

/// A PKCS #10 request whose own signature has been verified and whose key we accept.
#[derive(Clone, Debug)]
pub struct Csr {
    signed: Signed,
    subject: Name,
    public_key: PublicKey,
    requested: RequestedExtensions,
}

/// What a CSR asks for, beyond subject and key.
#[derive(Clone, Debug, Default)]
pub struct RequestedExtensions {
    /// subjectAltName values of the kinds that are issued here.
    pub alternative_names: AlternativeNames,
    /// Kinds of subjectAltName values that are not issued here, such as `otherName`.
    pub unsupported_names: Vec<String>,
    /// keyUsage.
    pub key_usage: Option<KeyUsage>,
    /// Dotted object identifiers of extKeyUsage, in order.
    pub extended_key_usage: Vec<String>,
    /// basicConstraints with cA TRUE.
    pub ca: bool,
    /// Dotted object identifiers of every other extension, in order.
    pub others: Vec<String>,
}

impl Csr {
    /// Reads, judges the key and verifies the signature, in this order.
    ///
    /// Undecodable: [`Error::NoPem`] or [`Error::Malformed`]; a key that is not accepted:
    /// [`Error::KeyNotAccepted`]; a signature that does not verify or uses an algorithm that is not
    /// accepted: [`Error::Signature`]; an alternative name that cannot be certified:
    /// [`Error::Field`].
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        let text = pem::text_of(text.as_bytes(), "a certificate request", pem::MAX_REQUEST)?;
        let labels = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];
        Self::from_der(&pem::first(text, &labels, "a certificate request")?.decode()?)
    }

    /// The same for DER.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let unreadable = asn1::unreadable("the certificate request");
        let signed = Signed::read(der).map_err(&unreadable)?;
        let mut fields = Element::only(signed.tbs(), asn1::SEQUENCE)
            .and_then(|info| info.elements())
            .map_err(&unreadable)?;
        let version = fields
            .next()
            .and_then(|version| version.small_unsigned())
            .map_err(&unreadable)?;
        let subject = fields.expect(asn1::SEQUENCE).map_err(&unreadable)?;
        let key = fields.expect(asn1::SEQUENCE).map_err(&unreadable)?;
        // RFC 2986 wants the attributes to be there even when there are none; old tools leave
        // them out, and nothing depends on it.
        let attributes = fields
            .optional(context_constructed(0))
            .map_err(&unreadable)?;
        fields.finish().map_err(&unreadable)?;
        if version != 0 {
            return Err(Error::Malformed(
                format!("the certificate request has version {version}, which does not exist")
                    .into(),
            ));
        }
        let public_key = PublicKey::from_spki_der(key.raw)?;
        signed.verify(&public_key).map_err(not_possessed)?;
        let extensions = match attributes {
            Some(attributes) => requested_extensions(&attributes)?,
            None => Vec::new(),
        };
        Ok(Self {
            subject: Name::from_der(subject.raw)?,
            public_key,
            requested: RequestedExtensions::read(&extensions)?,
            signed,
        })
    }

    /// The octets, as they were read.
    pub fn as_der(&self) -> &[u8] {
        self.signed.as_der()
    }

    /// Whom the certificate is to be for.
    pub fn subject(&self) -> &Name {
        &self.subject
    }

    /// The key that signed the request.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// What is asked for beyond subject and key.
    pub fn requested(&self) -> &RequestedExtensions {
        &self.requested
    }

    /// SHA-256 of the whole request.
    pub fn sha256(&self) -> [u8; 32] {
        public_key::fixed(&digest::SHA256, self.as_der())
    }
}

/// What a signature that fails means for a request, with the finding beneath it.
fn not_possessed(error: Error) -> Error {
    match error {
        Error::Signature(finding) => Error::Signature(Refusal::because(
            format!(
                "the request does not prove that its sender has the private key: {}",
                &*finding
            ),
            finding,
        )),
        other => other,
    }
}

/// The extensions of the extensionRequest attribute (PKCS #9) or of Microsoft's older one.
fn requested_extensions(attributes: &Element<'_>) -> Result<Vec<Extension>, Error> {
    let unreadable = asn1::unreadable("the attributes of the certificate request");
    let mut requested = None;
    let mut elements = attributes.elements().map_err(&unreadable)?;
    while !elements.is_finished() {
        let (kind, values) = elements
            .expect(asn1::SEQUENCE)
            .and_then(|attribute| read_attribute(&attribute))
            .map_err(&unreadable)?;
        if !matches!(
            kind,
            oid::EXTENSION_REQUEST | oid::MICROSOFT_EXTENSION_REQUEST
        ) {
            continue;
        }
        let list = Element::only(values.value, asn1::SEQUENCE).map_err(&unreadable)?;
        if requested.replace(extension::read_all(&list)?).is_some() {
            return Err(Error::Malformed(
                "the certificate request asks for extensions twice; make it again with one list of them".into(),
            ));
        }
    }
    Ok(requested.unwrap_or_default())
}

fn read_attribute<'a>(
    attribute: &Element<'a>,
) -> der::Result<(der::oid::ObjectIdentifier, Element<'a>)> {
    let mut parts = attribute.elements()?;
    let kind = parts.next()?.object_identifier()?;
    let values = parts.expect(asn1::SET)?;
    parts.finish()?;
    Ok((kind, values))
}

impl RequestedExtensions {
    fn read(extensions: &[Extension]) -> Result<Self, Error> {
        let mut requested = Self {
            key_usage: extension::key_usage(extensions)?,
            ca: extension::basic_constraints(extensions)?.ca,
            ..Self::default()
        };
        for extension in extensions {
            match extension.kind {
                oid::KEY_USAGE | oid::BASIC_CONSTRAINTS => {}
                oid::SUBJECT_ALT_NAME => {
                    let (names, unsupported) = AlternativeNames::read(&extension.value)?;
                    requested.alternative_names = names;
                    requested.unsupported_names = unsupported;
                }
                oid::EXTENDED_KEY_USAGE => {
                    requested.extended_key_usage = extension::read_purposes(&extension.value)
                        .map_err(asn1::unreadable("the extended key usage"))?
                        .iter()
                        .map(ToString::to_string)
                        .collect();
                }
                other => requested.others.push(other.to_string()),
            }
        }
        Ok(requested)
    }
}
