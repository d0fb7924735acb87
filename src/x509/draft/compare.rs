//! The independent comparison: what is going to be signed, read by another decoder (x509-cert)
//! than the one that put it together, against what was asked for.
//!
//! Nothing here calls the encoders or the decoders of this floor, so that one mistake cannot hide
//! in both: what comes from the issuer's certificate and from the request is read here again.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use der::asn1::Ia5String;
use der::oid::ObjectIdentifier;
use der::{Decode, Encode, Reader, SliceReader};
use x509_cert::crl::TbsCertList;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints, CrlNumber, CrlReason,
    ExtendedKeyUsage, KeyUsage as DecodedKeyUsage, KeyUsages, SubjectAltName, SubjectKeyIdentifier,
};
use x509_cert::name::Name;
use x509_cert::request::{CertReqInfo, ExtensionReq};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned as Spki};
use x509_cert::time::Time;
use x509_cert::{TbsCertificate, Version};

use super::super::AlternativeNames;
use super::super::error::{Error, Refusal};
use super::super::extension::KeyUsage;
use super::super::public_key::PublicKey;
use super::{CrlTemplate, Draft};
use crate::base::{KeyAlgorithm, UnixTime};

/// One extension that must be there, at this place in the list.
pub(super) struct Expected<'a> {
    pub critical: bool,
    pub content: Content<'a>,
}

/// What an extension must say.
pub(super) enum Content<'a> {
    AlternativeNames(&'a AlternativeNames),
    KeyUsage(KeyUsage),
    ExtendedKeyUsage(Vec<ObjectIdentifier>),
    /// SHA-1 of the subject's key (RFC 5280, 4.2.1.2, method 1).
    SubjectKeyIdentifier,
    /// The key identifier of the issuer's certificate.
    AuthorityKeyIdentifier,
    CaIssuers(&'a str),
    /// cA TRUE, no path length.
    CaTrue,
    CrlNumber(u64),
    Reason(u8),
}

impl<'a> Expected<'a> {
    pub(super) fn plain(content: Content<'a>) -> Self {
        Self { critical: false, content }
    }

    pub(super) fn critical(content: Content<'a>) -> Self {
        Self { critical: true, content }
    }
}

/// What a certificate must say.
pub(super) struct Certificate<'a> {
    pub serial: &'a [u8; 16],
    /// Who signs; none where the certificate signs itself.
    pub issuer: Option<&'a Issuer>,
    pub not_before: UnixTime,
    pub not_after: UnixTime,
    pub subject: &'a [u8],
    pub public_key: &'a [u8],
    pub extensions: Vec<Expected<'a>>,
}

/// What a comparison has read, for another one.
pub(super) struct Compared(TbsCertificate);

pub(super) fn certificate(draft: &Draft, expected: &Certificate<'_>) -> Result<Compared, Error> {
    let tbs = TbsCertificate::from_der(draft.tbs()).map_err(undecodable)?;
    let own_key = Spki::from_der(expected.public_key).map_err(undecodable)?;
    let own_identifier = key_identifier(&own_key);
    let itself;
    let issuer = match expected.issuer {
        Some(issuer) => issuer,
        None => {
            itself = Issuer {
                name: expected.subject.to_vec(),
                key: key_kind(&own_key)?,
                identifier: own_identifier.clone(),
            };
            &itself
        }
    };
    let keys = Keys { own: Some(&own_identifier), issuer: Some(&issuer.identifier) };
    same("encoding", encoded(&tbs)?, draft.tbs())?;
    same("version", tbs.version(), Version::V3)?;
    same("serial number", tbs.serial_number().as_bytes(), &expected.serial[..])?;
    algorithm(tbs.signature(), draft, issuer.key)?;
    same("issuer", &encoded(tbs.issuer())?, &issuer.name)?;
    moment("notBefore", &tbs.validity().not_before, expected.not_before)?;
    moment("notAfter", &tbs.validity().not_after, expected.not_after)?;
    same("subject", encoded(tbs.subject())?, expected.subject)?;
    same("public key", encoded(tbs.subject_public_key_info())?, expected.public_key)?;
    same("unique identifier", tbs.issuer_unique_id(), &None)?;
    same("unique identifier", tbs.subject_unique_id(), &None)?;
    let extensions = tbs.extensions().map_or(&[][..], Vec::as_slice);
    all_extensions(extensions, &expected.extensions, &keys)?;
    Ok(Compared(tbs))
}

/// Subject and key of a leaf against the request that it is for, as that was sent.
pub(super) fn leaf_of_request(leaf: &Compared, request: &[u8]) -> Result<(), Error> {
    let Compared(tbs) = leaf;
    // Field by field: the attributes after these may be missing, which CertReqInfo does not take.
    let (subject, key) = SliceReader::new(request)
        .and_then(|mut request| {
            request.sequence(|request| {
                let found = request.sequence(|info: &mut SliceReader<'_>| {
                    u8::decode(info)?;
                    let found = (Name::decode(info)?, Spki::decode(info)?);
                    info.read_slice(info.remaining_len())?;
                    Ok::<_, der::Error>(found)
                })?;
                request.read_slice(request.remaining_len())?;
                Ok(found)
            })
        })
        .map_err(undecodable)?;
    // Tag and octets of every value: what is equal here is encoded equally.
    same("subject", tbs.subject(), &subject)?;
    same("public key", tbs.subject_public_key_info(), &key)
}

/// What a draft takes over from the issuer's certificate, read from its octets.
pub(super) struct Issuer {
    name: Vec<u8>,
    key: KeyAlgorithm,
    identifier: Vec<u8>,
}

impl Issuer {
    pub(super) fn read(certificate: &[u8]) -> Result<Self, Error> {
        let certificate = x509_cert::Certificate::from_der(certificate).map_err(undecodable)?;
        let tbs = certificate.tbs_certificate();
        let key = tbs.subject_public_key_info();
        let identifier = tbs.get_extension::<SubjectKeyIdentifier>().map_err(undecodable)?;
        Ok(Self {
            name: encoded(tbs.subject())?,
            key: key_kind(key)?,
            identifier: match identifier {
                Some((_, identifier)) => identifier.0.as_bytes().to_vec(),
                None => key_identifier(key),
            },
        })
    }
}

/// Key identifiers that extensions must name.
struct Keys<'a> {
    own: Option<&'a [u8]>,
    issuer: Option<&'a [u8]>,
}

fn key_identifier(key: &Spki) -> Vec<u8> {
    let octets = key.subject_public_key.raw_bytes();
    digest(&SHA1_FOR_LEGACY_USE_ONLY, octets).as_ref().to_vec()
}

/// The kind of a key; the number of bits of an RSA key says nothing about how it signs.
fn key_kind(key: &Spki) -> Result<KeyAlgorithm, Error> {
    let curve = key.algorithm.parameters.as_ref().and_then(|curve| curve.decode_as().ok());
    let curve = curve.map(|curve: ObjectIdentifier| curve.to_string());
    match (key.algorithm.oid.to_string().as_str(), curve.as_deref()) {
        ("1.2.840.113549.1.1.1", None) => Ok(KeyAlgorithm::Rsa(0)),
        ("1.2.840.10045.2.1", Some("1.2.840.10045.3.1.7")) => Ok(KeyAlgorithm::P256),
        ("1.2.840.10045.2.1", Some("1.3.132.0.34")) => Ok(KeyAlgorithm::P384),
        _ => Err(differs("kind of the issuer's key")),
    }
}

pub(super) fn request(
    draft: &Draft,
    subject: &[u8],
    key: &PublicKey,
    expected: &[Expected<'_>],
) -> Result<(), Error> {
    let info = CertReqInfo::from_der(draft.tbs()).map_err(undecodable)?;
    same("encoding", encoded(&info)?, draft.tbs())?;
    same("version", info.version, x509_cert::request::Version::V1)?;
    same("subject", encoded(&info.subject)?, subject)?;
    same("public key", encoded(&info.public_key)?, key.as_der())?;
    algorithm_beside(draft, key.algorithm())?;
    if expected.is_empty() {
        return same("number of attributes", info.attributes.len(), 0);
    }
    same("number of attributes", info.attributes.len(), 1)?;
    for attribute in info.attributes.iter() {
        let extension_request = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");
        same("attribute", attribute.oid, extension_request)?;
        same("number of extension lists", attribute.values.len(), 1)?;
        for value in attribute.values.iter() {
            let requested = value.decode_as::<ExtensionReq>().map_err(undecodable)?;
            all_extensions(&requested.0, expected, &Keys { own: None, issuer: None })?;
        }
    }
    Ok(())
}

pub(super) fn revocation_list(
    draft: &Draft,
    template: &CrlTemplate,
    issuer: &[u8],
    expected: &[Expected<'_>],
) -> Result<(), Error> {
    let list = <TbsCertList>::from_der(draft.tbs()).map_err(undecodable)?;
    let issuer = Issuer::read(issuer)?;
    let keys = Keys { own: None, issuer: Some(&issuer.identifier) };
    same("encoding", encoded(&list)?, draft.tbs())?;
    same("version", list.version, Version::V2)?;
    algorithm(&list.signature, draft, issuer.key)?;
    same("issuer", encoded(&list.issuer)?, issuer.name)?;
    moment("thisUpdate", &list.this_update, template.this_update)?;
    match &list.next_update {
        Some(next_update) => moment("nextUpdate", next_update, template.next_update)?,
        None => return Err(differs("nextUpdate")),
    }
    let revoked = list.revoked_certificates.as_deref();
    // RFC 5280, 5.1.2.6: without entries, the list of them is absent.
    same("list of entries", revoked.is_some(), !template.revoked.is_empty())?;
    let revoked = revoked.unwrap_or_default();
    same("number of entries", revoked.len(), template.revoked.len())?;
    for (entry, wanted) in revoked.iter().zip(&template.revoked) {
        let serial = without_leading_zeros(&wanted.serial);
        same(
            "revoked serial number",
            without_leading_zeros(entry.serial_number.as_bytes()),
            serial,
        )?;
        moment("revocation date", &entry.revocation_date, wanted.revoked_at)?;
        let reason: Vec<Expected<'_>> = wanted
            .reason
            .filter(|reason| *reason != 0)
            .map(|reason| Expected::plain(Content::Reason(reason)))
            .into_iter()
            .collect();
        same("list of entry extensions", entry.crl_entry_extensions.is_some(), !reason.is_empty())?;
        let found = entry.crl_entry_extensions.as_deref().unwrap_or_default();
        all_extensions(found, &reason, &keys)?;
    }
    all_extensions(list.crl_extensions.as_deref().unwrap_or_default(), expected, &keys)
}

fn all_extensions(
    found: &[Extension],
    expected: &[Expected<'_>],
    keys: &Keys<'_>,
) -> Result<(), Error> {
    same("number of extensions", found.len(), expected.len())?;
    found
        .iter()
        .zip(expected)
        .try_for_each(|(found, expected)| one_extension(found, expected, keys))
}

fn one_extension(found: &Extension, expected: &Expected<'_>, keys: &Keys<'_>) -> Result<(), Error> {
    same("criticality of an extension", found.critical, expected.critical)?;
    match &expected.content {
        Content::AlternativeNames(names) => {
            let found: SubjectAltName = decoded(found, "2.5.29.17")?;
            let found: Vec<(u8, Vec<u8>)> =
                found.0.iter().map(name_octets).collect::<Result<_, _>>()?;
            same("subjectAltName", found, wanted_names(names))
        }
        Content::KeyUsage(usage) => {
            let found: DecodedKeyUsage = decoded(found, "2.5.29.15")?;
            same("keyUsage", found, wanted_usage(*usage))
        }
        Content::ExtendedKeyUsage(purposes) => {
            let found: ExtendedKeyUsage = decoded(found, "2.5.29.37")?;
            same("extKeyUsage", &found.0, purposes)
        }
        Content::SubjectKeyIdentifier => {
            let found: SubjectKeyIdentifier = decoded(found, "2.5.29.14")?;
            same("subjectKeyIdentifier", Some(found.0.as_bytes()), keys.own)
        }
        Content::AuthorityKeyIdentifier => {
            let found: AuthorityKeyIdentifier = decoded(found, "2.5.29.35")?;
            same("authorityCertIssuer", found.authority_cert_issuer.is_none(), true)?;
            same("authorityCertSerialNumber", found.authority_cert_serial_number.is_none(), true)?;
            let found = found.key_identifier.as_ref().map(|octets| octets.as_bytes());
            same("authorityKeyIdentifier", found.is_some(), true)?;
            same("authorityKeyIdentifier", found, keys.issuer)
        }
        Content::CaIssuers(url) => {
            let found: AuthorityInfoAccessSyntax = decoded(found, "1.3.6.1.5.5.7.1.1")?;
            same("number of access descriptions", found.0.len(), 1)?;
            let ca_issuers = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.2");
            found.0.iter().try_for_each(|access| {
                same("access method", access.access_method, ca_issuers)?;
                let location = name_octets(&access.access_location)?;
                same("access location", location, (6, url.as_bytes().to_vec()))
            })
        }
        Content::CaTrue => {
            let found: BasicConstraints = decoded(found, "2.5.29.19")?;
            same("cA", found.ca, true)?;
            same("pathLenConstraint", found.path_len_constraint, None)
        }
        Content::CrlNumber(number) => {
            let found: CrlNumber = decoded(found, "2.5.29.20")?;
            let octets = number.to_be_bytes();
            same(
                "cRLNumber",
                without_leading_zeros(found.0.as_bytes()),
                without_leading_zeros(&octets),
            )
        }
        Content::Reason(reason) => {
            let found: CrlReason = decoded(found, "2.5.29.21")?;
            same("reasonCode", found as u8, *reason)
        }
    }
}

/// Decodes the value, and encodes it again: a form with the same meaning that is not DER differs.
fn decoded<T: Encode + for<'d> Decode<'d, Error = der::Error>>(
    found: &Extension,
    kind: &str,
) -> Result<T, Error> {
    same("extension", found.extn_id.to_string().as_str(), kind)?;
    let octets = found.extn_value.as_bytes();
    let value = T::from_der(octets).map_err(undecodable)?;
    same("encoding of an extension", encoded(&value)?, octets)?;
    Ok(value)
}

/// Tag number and content of a GeneralName of the kinds that are issued here.
fn name_octets(name: &GeneralName) -> Result<(u8, Vec<u8>), Error> {
    let text = |text: &Ia5String| text.as_bytes().to_vec();
    match name {
        GeneralName::Rfc822Name(name) => Ok((1, text(name))),
        GeneralName::DnsName(name) => Ok((2, text(name))),
        GeneralName::UniformResourceIdentifier(name) => Ok((6, text(name))),
        GeneralName::IpAddress(address) => Ok((7, address.as_bytes().to_vec())),
        _ => Err(differs("kind of a name")),
    }
}

fn wanted_names(names: &AlternativeNames) -> Vec<(u8, Vec<u8>)> {
    let text = |number: u8, names: &[String]| -> Vec<(u8, Vec<u8>)> {
        names.iter().map(|name| (number, name.as_bytes().to_vec())).collect()
    };
    let mut wanted = text(1, &names.email);
    wanted.extend(names.ip.iter().map(|address| match address {
        std::net::IpAddr::V4(address) => (7, address.octets().to_vec()),
        std::net::IpAddr::V6(address) => (7, address.octets().to_vec()),
    }));
    wanted.extend(text(6, &names.uri));
    wanted.extend(text(2, &names.dns));
    wanted
}

fn wanted_usage(usage: KeyUsage) -> DecodedKeyUsage {
    let mut wanted = Vec::new();
    for (set, bit) in [
        (usage.digital_signature, KeyUsages::DigitalSignature),
        (usage.non_repudiation, KeyUsages::NonRepudiation),
        (usage.key_encipherment, KeyUsages::KeyEncipherment),
        (usage.data_encipherment, KeyUsages::DataEncipherment),
        (usage.key_agreement, KeyUsages::KeyAgreement),
        (usage.key_cert_sign, KeyUsages::KeyCertSign),
        (usage.crl_sign, KeyUsages::CRLSign),
    ] {
        if set {
            wanted.push(bit);
        }
    }
    DecodedKeyUsage(wanted.into_iter().fold(Default::default(), |set, bit| set | bit))
}

/// The algorithm inside must be the one beside the signature, and fit the issuer's key.
fn algorithm(
    inside: &AlgorithmIdentifierOwned,
    draft: &Draft,
    key: KeyAlgorithm,
) -> Result<(), Error> {
    same("signature algorithm", encoded(inside)?, draft.signature_algorithm())?;
    algorithm_beside(draft, key)
}

fn algorithm_beside(draft: &Draft, key: KeyAlgorithm) -> Result<(), Error> {
    let beside =
        AlgorithmIdentifierOwned::from_der(draft.signature_algorithm()).map_err(undecodable)?;
    let (kind, has_null) = match key {
        KeyAlgorithm::Rsa(_) => ("1.2.840.113549.1.1.11", true),
        KeyAlgorithm::P256 => ("1.2.840.10045.4.3.2", false),
        KeyAlgorithm::P384 => ("1.2.840.10045.4.3.3", false),
    };
    same("signature algorithm", beside.oid.to_string().as_str(), kind)?;
    let null = has_null.then(der::asn1::Any::null);
    same("parameters of the signature algorithm", beside.parameters, null)
}

/// UTCTime through 2049, GeneralizedTime from 2050 (RFC 5280, 4.1.2.5).
fn moment(field: &'static str, found: &Time, expected: UnixTime) -> Result<(), Error> {
    const YEAR_2050: u64 = 2_524_608_000;
    let seconds = found.to_unix_duration().as_secs();
    same(field, UnixTime::try_from(seconds), Ok(expected))?;
    let is_utc_time = matches!(found, Time::UtcTime(_));
    same(field, is_utc_time, seconds < YEAR_2050)
}

fn without_leading_zeros(octets: &[u8]) -> &[u8] {
    match octets {
        [0, rest @ ..] if !rest.is_empty() => without_leading_zeros(rest),
        octets => octets,
    }
}

fn encoded(value: &impl Encode) -> Result<Vec<u8>, Error> {
    value.to_der().map_err(undecodable)
}

fn same<A: PartialEq<B>, B>(field: &'static str, found: A, expected: B) -> Result<(), Error> {
    if found == expected { Ok(()) } else { Err(differs(field)) }
}

fn differs(field: &'static str) -> Error {
    Error::Building(
        format!("what was built differs from what was asked for in: {field}; nothing was signed. This is a defect of the program, please report it").into(),
    )
}

fn undecodable(cause: der::Error) -> Error {
    Error::Building(Refusal::because(
        "what was built cannot be decoded; nothing was signed. This is a defect of the program, please report it",
        cause,
    ))
}
