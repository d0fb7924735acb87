//! Certificate revocation lists (RFC 5280, 5).

use aws_lc_rs::digest;

use super::asn1::{self, Element, context_constructed};
use super::error::Error;
use super::extension::{self, AuthorityKeyIdentifier, Extension};
use super::name::Name;
use super::public_key::{self, PublicKey};
use super::signed::Signed;
use super::{oid, pem, text, time};
use crate::base::UnixTime;

/// A certificate revocation list, kept as the octets it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crl {
    signed: Signed,
    parts: Parts,
}

/// What the to-be-signed part says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    /// 0 for version 1, 1 for version 2.
    pub version: u32,
    /// AlgorithmIdentifier, whole.
    pub signature_algorithm: Vec<u8>,
    pub issuer: Name,
    pub this_update: UnixTime,
    pub next_update: Option<UnixTime>,
    pub revoked: Vec<Revoked>,
    pub extensions: Vec<Extension>,
}

/// One entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Revoked {
    /// Content octets of the INTEGER.
    pub serial: Vec<u8>,
    pub revoked_at: UnixTime,
    pub extensions: Vec<Extension>,
}

impl Crl {
    /// Reads one list; nothing may follow it.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let signed = Signed::read(der).map_err(asn1::unreadable("the revocation list"))?;
        let parts = Parts::read(signed.tbs())?;
        if parts.signature_algorithm != signed.algorithm() {
            // RFC 5280, 5.1.1.2.
            return Err(Error::Malformed(
                "the revocation list names two different signature algorithms; it was tampered with or made wrongly".into(),
            ));
        }
        Ok(Self { signed, parts })
    }

    /// Reads the first `X509 CRL` block of a text.
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        let what = "a certificate revocation list";
        let text = pem::text_of(text.as_bytes(), what, pem::MAX_CRL)?;
        Self::from_der(&pem::first(text, &["X509 CRL"], what)?.decode()?)
    }

    /// The octets, as they were read.
    pub fn as_der(&self) -> &[u8] {
        self.signed.as_der()
    }

    /// `X509 CRL` in PEM, with a newline at the end.
    pub fn to_pem(&self) -> String {
        pem::encode("X509 CRL", self.as_der())
    }

    /// Who signed it.
    pub fn issuer(&self) -> Name {
        self.parts.issuer.clone()
    }

    /// When it was made.
    pub fn this_update(&self) -> UnixTime {
        self.parts.this_update
    }

    /// When the next one will be there at the latest.
    pub fn next_update(&self) -> Option<UnixTime> {
        self.parts.next_update
    }

    /// cRLNumber, where it fits into 64 bits.
    pub fn number(&self) -> Option<u64> {
        let extension = extension::find(&self.parts.extensions, oid::CRL_NUMBER)?;
        let number = Element::only(&extension.value, asn1::INTEGER).ok()?;
        let octets = number.unsigned().ok().filter(|octets| octets.len() <= 8)?;
        Some(octets.iter().fold(0, |sum, octet| sum << 8 | u64::from(*octet)))
    }

    /// The keyIdentifier of authorityKeyIdentifier.
    pub fn authority_key_identifier(&self) -> Option<Vec<u8>> {
        extension::find(&self.parts.extensions, oid::AUTHORITY_KEY_IDENTIFIER)
            .and_then(|extension| AuthorityKeyIdentifier::read(&extension.value).ok())
            .and_then(|authority| authority.key_identifier)
    }

    /// Serial numbers of the revoked certificates, without leading zero octets.
    pub fn revoked_serials(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.revoked.iter().map(|entry| match entry.serial.as_slice() {
            [0, rest @ ..] if !rest.is_empty() => rest,
            octets => octets,
        })
    }

    /// SHA-1 of the whole list: VECS names lists after it.
    pub fn sha1(&self) -> [u8; 20] {
        public_key::fixed(&digest::SHA1_FOR_LEGACY_USE_ONLY, self.as_der())
    }

    /// SHA-256 of the whole list.
    pub fn sha256(&self) -> [u8; 32] {
        public_key::fixed(&digest::SHA256, self.as_der())
    }

    /// Checks the signature with this issuer's key.
    pub fn verify_signed_by(&self, issuer: &PublicKey) -> Result<(), Error> {
        self.signed.verify(issuer)
    }

    /// The text that `openssl crl -text -noout` prints.
    pub fn to_text(&self) -> String {
        text::revocation_list(&self.parts, &self.signed)
    }

    /// OpenSSL's file name hash of the issuer (`openssl crl -hash`).
    pub fn issuer_hash(&self) -> u32 {
        self.parts.issuer.hash()
    }

    /// OpenSSL's file name hash of the issuer before version 1.0 (`openssl crl -hash_old`).
    pub fn issuer_hash_old(&self) -> u32 {
        self.parts.issuer.hash_old()
    }
}

impl Parts {
    /// Reads a TBSCertList; nothing may follow it.
    pub(super) fn read(tbs: &[u8]) -> Result<Self, Error> {
        let unreadable = asn1::unreadable("the revocation list");
        let mut fields = Element::only(tbs, asn1::SEQUENCE)
            .and_then(|tbs| tbs.elements())
            .map_err(&unreadable)?;
        let version = match fields.optional(asn1::INTEGER).map_err(&unreadable)? {
            Some(version) => version.small_unsigned().map_err(&unreadable)?,
            None => 0,
        };
        let signature_algorithm = fields.expect(asn1::SEQUENCE).map_err(&unreadable)?.raw.to_vec();
        let issuer = Name::from_der(fields.expect(asn1::SEQUENCE).map_err(&unreadable)?.raw)?;
        let this_update =
            fields.next().and_then(|moment| time::read(&moment)).map_err(&unreadable)?;
        let mut next_update = None;
        for kind in [asn1::UTC_TIME, asn1::GENERALIZED_TIME] {
            if let Some(moment) = fields.optional(kind).map_err(&unreadable)? {
                next_update = Some(time::read(&moment).map_err(&unreadable)?);
                break;
            }
        }
        let revoked = match fields.optional(asn1::SEQUENCE).map_err(&unreadable)? {
            Some(list) => read_entries(&list)?,
            None => Vec::new(),
        };
        let extensions = match fields.optional(context_constructed(0)).map_err(&unreadable)? {
            None => Vec::new(),
            Some(explicit) => extension::read_all(
                &Element::only(explicit.value, asn1::SEQUENCE).map_err(&unreadable)?,
            )?,
        };
        fields.finish().map_err(&unreadable)?;
        if version > 1 {
            return Err(Error::Malformed(
                "the revocation list has a version that does not exist".into(),
            ));
        }
        Ok(Self {
            version,
            signature_algorithm,
            issuer,
            this_update,
            next_update,
            revoked,
            extensions,
        })
    }
}

fn read_entries(list: &Element<'_>) -> Result<Vec<Revoked>, Error> {
    let unreadable = asn1::unreadable("an entry of the revocation list");
    let mut entries = Vec::new();
    let mut elements = list.elements().map_err(&unreadable)?;
    while !elements.is_finished() {
        let mut parts = elements
            .expect(asn1::SEQUENCE)
            .and_then(|entry| entry.elements())
            .map_err(&unreadable)?;
        let serial =
            parts.next().and_then(|serial| serial.integer()).map_err(&unreadable)?.to_vec();
        let revoked_at =
            parts.next().and_then(|moment| time::read(&moment)).map_err(&unreadable)?;
        let extensions = match parts.optional(asn1::SEQUENCE).map_err(&unreadable)? {
            Some(list) => extension::read_all(&list)?,
            None => Vec::new(),
        };
        parts.finish().map_err(&unreadable)?;
        entries.push(Revoked { serial, revoked_at, extensions });
    }
    Ok(entries)
}
