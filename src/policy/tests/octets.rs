//! A TBSCertificate put together by hand, so that a test can say anything in it.

use der::Encode;
use der::asn1::{GeneralizedTime, UtcTime};
use der::oid::ObjectIdentifier;

use super::{Fixture, NOW};
use crate::base::UnixTime;
use crate::x509::{LeafTemplate, TbsCertificate, oid};

pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTET_STRING: u8 = 0x04;

/// Tag, length, and the parts one after the other.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut octets = vec![tag];
    match content.len() {
        short @ 0..0x80 => octets.push(short as u8),
        long => {
            octets.push(0x82);
            octets.extend((long as u16).to_be_bytes());
            if long < 0x100 {
                octets.drain(1..3);
                octets.insert(1, 0x81);
            }
        }
    }
    octets.extend(content);
    octets
}

pub(super) fn utc(moment: UnixTime) -> Vec<u8> {
    let since = std::time::Duration::from_secs(moment.unsigned_abs());
    UtcTime::from_unix_duration(since).unwrap().to_der().unwrap()
}

pub(super) fn generalized(moment: UnixTime) -> Vec<u8> {
    let since = std::time::Duration::from_secs(moment.unsigned_abs());
    GeneralizedTime::from_unix_duration(since).unwrap().to_der().unwrap()
}

pub(super) fn extension(kind: ObjectIdentifier, critical: &[u8], value: &[u8]) -> Vec<u8> {
    let kind = kind.to_der().unwrap();
    element(SEQUENCE, &[&kind, critical, &element(OCTET_STRING, &[value])])
}

/// BOOLEAN TRUE.
pub(super) const CRITICAL: &[u8] = &[1, 1, 0xff];

pub(super) fn purposes(kinds: &[ObjectIdentifier]) -> Vec<u8> {
    let kinds: Vec<Vec<u8>> = kinds.iter().map(|kind| kind.to_der().unwrap()).collect();
    let parts: Vec<&[u8]> = kinds.iter().map(Vec::as_slice).collect();
    element(SEQUENCE, &[&parts.concat()])
}

/// The fields of a TBSCertificate, each as it is written.
#[derive(Clone)]
pub(super) struct Fields {
    pub(super) version: Vec<u8>,
    pub(super) serial: Vec<u8>,
    pub(super) algorithm: Vec<u8>,
    pub(super) issuer: Vec<u8>,
    pub(super) validity: Vec<u8>,
    pub(super) subject: Vec<u8>,
    pub(super) public_key: Vec<u8>,
    pub(super) unique_identifiers: Vec<u8>,
    pub(super) extensions: Vec<Vec<u8>>,
    pub(super) trailing: Vec<u8>,
}

impl Fields {
    /// Those of a template, written as they should be.
    pub(super) fn of(fixture: &Fixture, template: &LeafTemplate) -> Self {
        let tbs = TbsCertificate::from_der(&fixture.leaf(template)).unwrap();
        let extensions = tbs
            .extensions()
            .iter()
            .map(|found| {
                extension(found.kind, if found.critical { CRITICAL } else { &[] }, &found.value)
            })
            .collect();
        let [start, end] = [template.not_before, template.not_after].map(utc);
        Self {
            version: vec![0xa0, 3, INTEGER, 1, 2],
            serial: element(INTEGER, &[&template.serial]),
            algorithm: fixture.private.public_key().signature_algorithm(),
            issuer: fixture.ca.subject().as_der().to_vec(),
            validity: element(SEQUENCE, &[&start, &end]),
            subject: template.subject.as_der().to_vec(),
            public_key: template.public_key.as_der().to_vec(),
            unique_identifiers: Vec::new(),
            extensions,
            trailing: Vec::new(),
        }
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let extensions = match self.extensions.as_slice() {
            [] => Vec::new(),
            list => element(0xa3, &[&element(SEQUENCE, &[&list.concat()])]),
        };
        let mut octets = element(
            SEQUENCE,
            &[
                &self.version,
                &self.serial,
                &self.algorithm,
                &self.issuer,
                &self.validity,
                &self.subject,
                &self.public_key,
                &self.unique_identifiers,
                &extensions,
            ],
        );
        octets.extend(&self.trailing);
        octets
    }

    pub(super) fn lives(mut self, start: UnixTime, end: UnixTime) -> Self {
        self.validity = element(SEQUENCE, &[&utc(start), &utc(end)]);
        self
    }

    pub(super) fn and(mut self, kind: ObjectIdentifier, critical: &[u8], value: &[u8]) -> Self {
        self.extensions.push(extension(kind, critical, value));
        self
    }

    /// The same without one extension.
    pub(super) fn without(mut self, kind: ObjectIdentifier) -> Self {
        let wanted = kind.to_der().unwrap();
        self.extensions.retain(|written| !written[2..].starts_with(&wanted));
        self
    }

    pub(super) fn in_place(self, kind: ObjectIdentifier, critical: &[u8], value: &[u8]) -> Self {
        self.without(kind).and(kind, critical, value)
    }
}

#[test]
fn what_is_put_together_by_hand_is_what_the_builder_builds() {
    let fixture = Fixture::new();
    let template = super::leaf_template();
    let fields = Fields::of(&fixture, &template);
    assert_eq!(fields.write(), fixture.leaf(&template));
    assert_eq!(utc(NOW)[0], 0x17);
    assert_eq!(
        fields.clone().without(oid::KEY_USAGE).extensions.len() + 1,
        fields.extensions.len()
    );
}
