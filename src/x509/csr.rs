//! Certificate requests (PKCS #10, RFC 2986): proof of possession first, then what is asked for.

use aws_lc_rs::digest;

use super::alternative_names::AlternativeNames;
use super::asn1::{self, Element, context_constructed};
use super::error::Error;
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
        let parts = Parts::read(signed.tbs())?;
        let public_key = PublicKey::from_spki_der(parts.public_key)?;
        signed.verify(&public_key).map_err(not_possessed)?;
        let extensions = parts.requested_extensions()?;
        let subject = parts.subject()?;
        Ok(Self { subject, public_key, requested: RequestedExtensions::read(&extensions)?, signed })
    }

    /// The octets, as they were read.
    pub fn as_der(&self) -> &[u8] {
        self.signed.as_der()
    }

    /// `CERTIFICATE REQUEST` in PEM, with a newline at the end.
    pub fn to_pem(&self) -> String {
        pem::encode("CERTIFICATE REQUEST", self.as_der())
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

/// What the to-be-signed part (CertificationRequestInfo, RFC 2986, 4.1) says.
pub(super) struct Parts<'a> {
    subject: Element<'a>,
    /// SubjectPublicKeyInfo, whole.
    pub public_key: &'a [u8],
    /// RFC 2986 wants the attributes to be there even when there are none; old tools leave them out,
    /// and nothing depends on it.
    pub attributes: Option<Element<'a>>,
}

impl<'a> Parts<'a> {
    /// Reads a CertificationRequestInfo; nothing may follow it.
    pub(super) fn read(info: &'a [u8]) -> Result<Self, Error> {
        let unreadable = asn1::unreadable("the certificate request");
        let mut fields = Element::only(info, asn1::SEQUENCE)
            .and_then(|info| info.elements())
            .map_err(&unreadable)?;
        let version =
            fields.next().and_then(|version| version.small_unsigned()).map_err(&unreadable)?;
        let subject = fields.expect(asn1::SEQUENCE).map_err(&unreadable)?;
        let public_key = fields.expect(asn1::SEQUENCE).map_err(&unreadable)?.raw;
        let attributes = fields.optional(context_constructed(0)).map_err(&unreadable)?;
        fields.finish().map_err(&unreadable)?;
        if version != 0 {
            return Err(Error::Malformed(
                format!("the certificate request has version {version}, which does not exist")
                    .into(),
            ));
        }
        Ok(Self { subject, public_key, attributes })
    }

    /// Whom the certificate is to be for.
    pub(super) fn subject(&self) -> Result<Name, Error> {
        let subject = Name::from_der(self.subject.raw)?;
        if !subject.is_in_order() {
            return Err(Error::Malformed(
                "the attributes of a multi-valued part of the subject are not in the order of DER, so it cannot be certified as it is; make the request again with another tool".into(),
            ));
        }
        Ok(subject)
    }

    /// The extensions that are asked for.
    pub(super) fn requested_extensions(&self) -> Result<Vec<Extension>, Error> {
        self.attributes.as_ref().map_or_else(|| Ok(Vec::new()), requested_extensions)
    }
}

/// What a signature that fails means for a request.
fn not_possessed(error: Error) -> Error {
    match error {
        Error::Signature(finding) => Error::Signature(finding.reworded(|why| {
            format!("the request does not prove that its sender has the private key: {why}")
        })),
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
        if !matches!(kind, oid::EXTENSION_REQUEST | oid::MICROSOFT_EXTENSION_REQUEST) {
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::Csr;
    use crate::base::KeyAlgorithm;
    use crate::x509::tests::judge::Folder;
    use crate::x509::{Error, PrivateKey, asn1, oid, pem, signature, signed};

    /// A request whose parts are given as they are, rightly signed.
    fn signed(subject: &[u8], attributes: &[&[u8]]) -> Result<Csr, Error> {
        let key = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
        let info = asn1::sequence(&[
            &[0x02, 0x01, 0x00],
            subject,
            key.public_key().as_der(),
            &asn1::encode(0xa0, attributes),
        ]);
        let algorithm = signature::identifier_for(KeyAlgorithm::P256);
        let der = signed::assemble(&info, &algorithm, &key.sign(&info).unwrap());
        Csr::from_pem(&pem::encode("CERTIFICATE REQUEST", &der))
    }

    fn extension(kind: der::oid::ObjectIdentifier, value: &[u8]) -> Vec<u8> {
        asn1::sequence(&[
            &asn1::object_identifier(&kind),
            &asn1::encode(asn1::OCTET_STRING, &[value]),
        ])
    }

    fn request_of(extensions: &[&[u8]]) -> Vec<u8> {
        asn1::sequence(&[
            &asn1::object_identifier(&oid::EXTENSION_REQUEST),
            &asn1::encode(asn1::SET, &[&asn1::sequence(extensions)]),
        ])
    }

    fn names(names: &[(u8, &[u8])]) -> Vec<u8> {
        let names: Vec<Vec<u8>> =
            names.iter().map(|(tag, name)| asn1::encode(*tag, &[name])).collect();
        let parts: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
        extension(oid::SUBJECT_ALT_NAME, &asn1::sequence(&parts))
    }

    #[test]
    fn every_accepted_combination_of_key_and_digest() {
        let folder = Folder::new();
        for key in [
            &["rsa:2048"][..],
            &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
            &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
        ] {
            for digest in ["-sha256", "-sha384", "-sha512"] {
                let mut arguments = vec![
                    "req", "-new", "-nodes", "-keyout", "k", "-out", "r", "-subj", "/CN=x", digest,
                    "-newkey",
                ];
                arguments.extend(key);
                folder.openssl(&arguments);
                let csr = Csr::from_pem(&folder.read("r")).unwrap();
                assert_eq!(csr.subject().common_names(), ["x"]);
            }
        }
    }

    #[test]
    fn extensions_asked_for_twice_are_refused() {
        let usage = extension(oid::KEY_USAGE, &[0x03, 0x02, 0x05, 0xa0]);
        let policies = extension(oid::CERTIFICATE_POLICIES, &[0x30, 0x00]);
        signed(&[0x30, 0x00], &[&request_of(&[&usage, &policies])]).unwrap();
        for attributes in [
            &[request_of(&[&usage, &usage]).as_slice()][..],
            &[&request_of(&[&usage]), &request_of(&[&policies])],
        ] {
            let error = signed(&[0x30, 0x00], attributes).unwrap_err();
            assert!(matches!(&error, Error::Malformed(_)), "{error:?}");
            assert!(error.to_string().contains("twice"), "{error}");
        }
    }

    #[test]
    fn embedded_nul_characters_are_refused_everywhere() {
        let subject = asn1::sequence(&[&asn1::encode(
            asn1::SET,
            &[&asn1::sequence(&[
                &asn1::object_identifier(&oid::COMMON_NAME),
                &asn1::encode(asn1::UTF8_STRING, &[b"good.example\0.evil.example"]),
            ])],
        )]);
        let mut errors = vec![signed(&subject, &[]).unwrap_err()];
        for tag in [0x81, 0x82, 0x86] {
            let name = names(&[(tag, b"good\0.evil")]);
            errors.push(signed(&[0x30, 0x00], &[&request_of(&[&name])]).unwrap_err());
        }
        for error in errors {
            assert!(matches!(&error, Error::Malformed(_)), "{error:?}");
            assert!(error.to_string().contains("NUL"), "{error}");
        }
    }

    #[test]
    fn a_subject_out_of_order_is_refused() {
        let attribute = |kind, text: &[u8]| {
            asn1::sequence(&[
                &asn1::object_identifier(&kind),
                &asn1::encode(asn1::UTF8_STRING, &[text]),
            ])
        };
        let (short, long) =
            (attribute(oid::ORGANIZATION, b"O"), attribute(oid::COMMON_NAME, b"long"));
        let subject =
            |attributes: &[&[u8]]| asn1::sequence(&[&asn1::encode(asn1::SET, attributes)]);
        signed(&subject(&[&short, &long]), &[]).unwrap();
        let error = signed(&subject(&[&long, &short]), &[]).unwrap_err();
        assert!(matches!(&error, Error::Malformed(_)), "{error:?}");
        assert!(error.to_string().contains("order of DER"), "{error}");
    }

    #[test]
    fn other_attributes_and_other_names_are_passed_over() {
        let password = asn1::sequence(&[
            // challengePassword (RFC 2985, 5.4.1).
            &asn1::object_identifier(&der::oid::ObjectIdentifier::new_unwrap(
                "1.2.840.113549.1.9.7",
            )),
            &asn1::encode(asn1::SET, &[&asn1::encode(asn1::UTF8_STRING, &[b"secret"])]),
        ]);
        let other = asn1::encode(
            0xa0,
            &[
                &asn1::object_identifier(&oid::COMMON_NAME),
                &asn1::encode(0xa0, &[&asn1::encode(asn1::UTF8_STRING, &[b"x"])]),
            ],
        );
        let both = asn1::sequence(&[&other, &asn1::encode(0x82, &[b"a.example"])]);
        let names = extension(oid::SUBJECT_ALT_NAME, &both);
        let csr = signed(&[0x30, 0x00], &[&password, &password, &request_of(&[&names])]).unwrap();
        assert_eq!(csr.requested().unsupported_names, ["otherName"]);
        assert_eq!(csr.requested().alternative_names.dns, ["a.example"]);
        assert!(csr.requested().others.is_empty());
    }

    #[test]
    fn names_that_cannot_be_certified_and_names_of_other_kinds() {
        let bad = names(&[(0x82, b"under_score.example")]);
        let error = signed(&[0x30, 0x00], &[&request_of(&[&bad])]).unwrap_err();
        assert!(matches!(&error, Error::Field(_)), "{error:?}");
        let bad = names(&[(0x87, &[1, 2, 3])]);
        let error = signed(&[0x30, 0x00], &[&request_of(&[&bad])]).unwrap_err();
        assert!(matches!(&error, Error::Malformed(_)), "{error:?}");
        let mixed = names(&[(0x88, &[0x2a, 0x03]), (0x82, b"*.example.com"), (0x87, &[0; 16])]);
        let csr = signed(&[0x30, 0x00], &[&request_of(&[&mixed])]).unwrap();
        let requested = csr.requested();
        assert_eq!(requested.unsupported_names, ["registeredID"]);
        assert!(requested.alternative_names.has_wildcard());
        assert_eq!(requested.alternative_names.ip.len(), 1);
    }

    #[test]
    fn files_that_are_no_requests_are_named() {
        let folder = Folder::new();
        folder.openssl(&[
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "k", "-out", "c", "-subj",
            "/CN=x",
        ]);
        for (file, wanted) in [
            ("k", "this is a private key"),
            ("c", "this is a certificate, not a certificate request"),
        ] {
            let error = Csr::from_pem(&folder.read(file)).unwrap_err();
            assert!(matches!(&error, Error::NoPem(_)), "{error:?}");
            assert!(error.to_string().contains(wanted), "{error}");
        }
        let huge = "x".repeat(64 * 1024 + 1);
        assert!(matches!(Csr::from_pem(&huge), Err(Error::Malformed(_))));
        let swapped = folder.read("c").replace("CERTIFICATE", "CERTIFICATE REQUEST");
        assert!(matches!(Csr::from_pem(&swapped), Err(Error::Malformed(_))));
    }

    #[test]
    fn the_older_extension_request_of_microsoft_is_read() {
        let name = names(&[(0x82, b"a.example")]);
        let attribute = asn1::sequence(&[
            &asn1::object_identifier(&oid::MICROSOFT_EXTENSION_REQUEST),
            &asn1::encode(asn1::SET, &[&asn1::sequence(&[&name])]),
        ]);
        let csr = signed(&[0x30, 0x00], &[&attribute]).unwrap();
        assert_eq!(csr.requested().alternative_names.dns, ["a.example"]);
    }
}
