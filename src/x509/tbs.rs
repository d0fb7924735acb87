//! To-be-signed parts on their own, for whoever judges octets before a key signs them.
//!
//! Everything here is read exactly: what was read is written again from its parts, and must be what
//! came in, octet for octet. So what the accessors say is all that is there, and two readers cannot
//! see two different things in it.

use der::oid::ObjectIdentifier;

use super::alternative_names::AlternativeNames;
use super::asn1::{self, Element, context, context_constructed};
use super::certificate::{self, Certificate};
use super::error::Error;
use super::extension::{self, AuthorityKeyIdentifier, Extension, KeyUsage};
use super::general_name::GeneralName;
use super::name::Name;
use super::{crl, csr, draft, oid, time};
use crate::base::UnixTime;

/// TBSCertificate (RFC 5280, 4.1) of version 3, without unique identifiers.
#[derive(Clone, Debug)]
pub struct TbsCertificate(certificate::Parts);

/// TBSCertList (RFC 5280, 5.1) of version 2.
#[derive(Clone, Debug)]
pub struct TbsCertList(crl::Parts);

/// CertificationRequestInfo (RFC 2986, 4.1).
#[derive(Clone, Debug)]
pub struct RequestInfo {
    public_key: Vec<u8>,
}

impl TbsCertificate {
    /// Reads and writes again; names in the order of DER, keyUsage in its shortest form.
    ///
    /// # Errors
    /// [`Error::Malformed`] when it is anything else, or when anything follows it.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let parts = certificate::Parts::read(der)?;
        let what = "certificate";
        not_empty(what, &parts.extensions)?;
        let validity = [written(parts.not_before)?, written(parts.not_after)?];
        let extensions = extension::write_all(&parts.extensions);
        let again = asn1::sequence(&[
            &[context_constructed(0), 3, asn1::INTEGER, 1, 2],
            &asn1::encode(asn1::INTEGER, &[&parts.serial]),
            &parts.signature_algorithm,
            parts.issuer.as_der(),
            &asn1::sequence(&[&validity[0], &validity[1]]),
            parts.subject.as_der(),
            &parts.public_key,
            &asn1::encode(context_constructed(3), &[&extensions]),
        ]);
        same(what, &again, der)?;
        in_order(what, &parts.subject)?;
        if let Some(usage) = extension::find(&parts.extensions, oid::KEY_USAGE) {
            let read = extension::key_usage(&parts.extensions)?.unwrap_or_default();
            same(what, &read.to_der(), &usage.value)?;
        }
        Ok(Self(parts))
    }

    /// Content octets of the serial number, as they are: two's complement.
    pub fn serial(&self) -> &[u8] {
        &self.0.serial
    }

    /// AlgorithmIdentifier of the signature that is to come, in DER.
    pub fn signature_algorithm(&self) -> &[u8] {
        &self.0.signature_algorithm
    }

    /// Who signs.
    pub fn issuer(&self) -> &Name {
        &self.0.issuer
    }

    /// Whom it is for.
    pub fn subject(&self) -> &Name {
        &self.0.subject
    }

    /// First moment of its validity.
    pub fn not_before(&self) -> UnixTime {
        self.0.not_before
    }

    /// Last moment of its validity.
    pub fn not_after(&self) -> UnixTime {
        self.0.not_after
    }

    /// SubjectPublicKeyInfo, octet for octet.
    pub fn public_key_der(&self) -> &[u8] {
        &self.0.public_key
    }

    /// Every extension, in order; none is there twice.
    pub fn extensions(&self) -> &[Extension] {
        &self.0.extensions
    }

    /// keyUsage, where there is one.
    pub fn key_usage(&self) -> Option<KeyUsage> {
        extension::key_usage(&self.0.extensions).ok().flatten()
    }

    /// extKeyUsage, in order; empty where there is none.
    pub fn extended_key_usage(&self) -> Vec<ObjectIdentifier> {
        extension::find(&self.0.extensions, oid::EXTENDED_KEY_USAGE)
            .and_then(|extension| extension::read_purposes(&extension.value).ok())
            .unwrap_or_default()
    }

    /// subjectAltName; no names where there is none.
    ///
    /// # Errors
    /// [`Error::Field`] or [`Error::Malformed`] for a name that is not one of the four kinds that
    /// are issued here, or that stands in another order than the one that is written here.
    pub fn alternative_names(&self) -> Result<AlternativeNames, Error> {
        let Some(found) = extension::find(&self.0.extensions, oid::SUBJECT_ALT_NAME) else {
            return Ok(AlternativeNames::default());
        };
        let names = AlternativeNames::from_der(&found.value)?;
        same("list of alternative names", &names.to_der().unwrap_or_default(), &found.value)?;
        Ok(names)
    }

    /// The one URL of authorityInfoAccess, where the issuer's certificate can be fetched.
    ///
    /// # Errors
    /// [`Error::Malformed`] or [`Error::Field`] when the extension says anything else.
    pub fn ca_issuers(&self) -> Result<Option<String>, Error> {
        let Some(found) = extension::find(&self.0.extensions, oid::AUTHORITY_INFO_ACCESS) else {
            return Ok(None);
        };
        let what = "authority information access";
        let url = ca_issuers(&found.value).map_err(asn1::unreadable(what))?;
        let url = String::from_utf8(url).map_err(|_| not_exact(what))?;
        AlternativeNames::default().add_uri(&url)?;
        same(what, &write_ca_issuers(&url), &found.value)?;
        Ok(Some(url))
    }

    /// Whether authorityKeyIdentifier, if there, speaks of this issuer (RFC 5280, 4.2.1.1).
    pub fn is_of_authority(&self, issuer: &Certificate) -> bool {
        is_of_authority(&self.0.extensions, issuer)
    }
}

impl TbsCertList {
    /// Reads and writes again.
    ///
    /// # Errors
    /// [`Error::Malformed`] when it is anything else, or when anything follows it.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let parts = crl::Parts::read(der)?;
        not_empty("revocation list", &parts.extensions)?;
        let next_update = parts.next_update.map_or_else(|| Ok(Vec::new()), written)?;
        let mut revoked = Vec::new();
        for entry in &parts.revoked {
            let extensions = match entry.extensions.as_slice() {
                [] => Vec::new(),
                extensions => extension::write_all(extensions),
            };
            let serial = asn1::encode(asn1::INTEGER, &[&entry.serial]);
            revoked.extend(asn1::sequence(&[&serial, &written(entry.revoked_at)?, &extensions]));
        }
        let revoked = if parts.revoked.is_empty() { revoked } else { asn1::sequence(&[&revoked]) };
        let again = asn1::sequence(&[
            &[asn1::INTEGER, 1, 1],
            &parts.signature_algorithm,
            parts.issuer.as_der(),
            &written(parts.this_update)?,
            &next_update,
            &revoked,
            &asn1::encode(context_constructed(0), &[&extension::write_all(&parts.extensions)]),
        ]);
        same("revocation list", &again, der)?;
        Ok(Self(parts))
    }

    /// AlgorithmIdentifier of the signature that is to come, in DER.
    pub fn signature_algorithm(&self) -> &[u8] {
        &self.0.signature_algorithm
    }

    /// Who signs.
    pub fn issuer(&self) -> &Name {
        &self.0.issuer
    }

    /// When it is made.
    pub fn this_update(&self) -> UnixTime {
        self.0.this_update
    }

    /// When the next one will be there at the latest.
    pub fn next_update(&self) -> Option<UnixTime> {
        self.0.next_update
    }

    /// Every extension of the list itself, in order; none is there twice.
    pub fn extensions(&self) -> &[Extension] {
        &self.0.extensions
    }

    /// Every extension of every entry.
    pub fn entry_extensions(&self) -> impl Iterator<Item = &Extension> {
        self.0.revoked.iter().flat_map(|entry| &entry.extensions)
    }

    /// Whether authorityKeyIdentifier, if there, speaks of this issuer.
    pub fn is_of_authority(&self, issuer: &Certificate) -> bool {
        is_of_authority(&self.0.extensions, issuer)
    }
}

impl RequestInfo {
    /// Reads and writes again; every attribute is read, and no extension may be asked for twice.
    ///
    /// # Errors
    /// [`Error::Malformed`] when it is anything else, or when anything follows it.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let parts = csr::Parts::read(der)?;
        let subject = parts.subject()?;
        parts.requested_extensions()?;
        let again = asn1::sequence(&[
            &[asn1::INTEGER, 1, 0],
            subject.as_der(),
            parts.public_key,
            // Without attributes the list is empty, not absent.
            parts.attributes.map_or(&[context_constructed(0), 0], |attributes| attributes.raw),
        ]);
        same("certificate request", &again, der)?;
        Ok(Self { public_key: parts.public_key.to_vec() })
    }

    /// SubjectPublicKeyInfo, octet for octet.
    pub fn public_key_der(&self) -> &[u8] {
        &self.public_key
    }
}

fn is_of_authority(extensions: &[Extension], issuer: &Certificate) -> bool {
    let Some(found) = extension::find(extensions, oid::AUTHORITY_KEY_IDENTIFIER) else {
        return true;
    };
    let Ok(authority) = AuthorityKeyIdentifier::read(&found.value) else {
        return false;
    };
    let identifier = draft::identifier_of(issuer).ok();
    authority.key_identifier.is_none_or(|named| Some(named) == identifier)
        && authority.serial.is_none_or(|named| named == issuer.parts().serial)
        && authority.issuer.iter().all(|named| match named {
            GeneralName::Directory(name) => *name == issuer.issuer(),
            _ => false,
        })
}

/// The location in the first AccessDescription (RFC 5280, 4.2.2.1).
fn ca_issuers(value: &[u8]) -> der::Result<Vec<u8>> {
    let mut list = Element::only(value, asn1::SEQUENCE)?.elements()?;
    let mut description = list.expect(asn1::SEQUENCE)?.elements()?;
    description.next()?;
    Ok(description.expect(context(6))?.value.to_vec())
}

/// authorityInfoAccess with one caIssuers URL.
pub(super) fn write_ca_issuers(url: &str) -> Vec<u8> {
    let access = asn1::sequence(&[
        &asn1::object_identifier(&oid::CA_ISSUERS),
        &asn1::encode(context(6), &[url.as_bytes()]),
    ]);
    asn1::sequence(&[&access])
}

fn written(moment: UnixTime) -> Result<Vec<u8>, Error> {
    time::write(moment).map_err(asn1::unreadable("a date"))
}

/// Extensions ::= SEQUENCE SIZE (1..MAX)
fn not_empty(what: &str, extensions: &[Extension]) -> Result<(), Error> {
    if extensions.is_empty() { Err(not_exact(what)) } else { Ok(()) }
}

fn in_order(what: &str, name: &Name) -> Result<(), Error> {
    if name.is_in_order() { Ok(()) } else { Err(not_exact(what)) }
}

fn same(what: &str, again: &[u8], der: &[u8]) -> Result<(), Error> {
    if again == der { Ok(()) } else { Err(not_exact(what)) }
}

fn not_exact(what: &str) -> Error {
    Error::Malformed(
        format!(
            "the {what} is not written in the one form that is signed here: another version, a part that is never \
             issued, or a value in an unusual form; report this"
        )
        .into(),
    )
}
