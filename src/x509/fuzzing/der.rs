//! Certificates, requests, lists and keys in DER. The crate x509-cert is the second reader.

use std::sync::OnceLock;

use der::{Decode, Encode};

use super::values;
use crate::x509::asn1::Element;
use crate::x509::{
    Certificate, Chain, Crl, Csr, NameConstraints, PrivateKey, PublicKey, RequestInfo, TbsCertList,
    TbsCertificate, certificates_from_pem, signature, signed,
};

mutation::targets! {
    certificate: certificate_seeds, 3000;
    crl: crl_seeds, 3000;
    request: request_seeds, 3000;
    subject_public_key: key_seeds, 4000;
}

/// A certificate that is taken is kept octet for octet; where a second reader takes it, both see the same; its text, its
/// names and its constraints can be worked out; as PEM it is read again; changed octets do not verify.
fn certificate(octets: &[u8]) {
    let _ = TbsCertificate::from_der(octets);
    let Ok(certificate) = Certificate::from_der(octets) else { return };
    assert_eq!(certificate.as_der(), octets);
    if let Ok(other) = x509_cert::Certificate::from_der(octets) {
        same_as(&certificate, &other);
    }
    is_shown(&certificate.to_text());
    is_shown(&certificate.subject().to_text());
    let _ = (certificate.subject_hash(), certificate.subject_hash_old());
    let _ = (certificate.key_usage(), certificate.extended_key_usage(), certificate.path_length());
    let _ = NameConstraints::of(&certificate).map(|constraints| {
        constraints.map(|constraints| {
            constraints.permit_leaf(&certificate.subject(), &certificate.alternative_names())
        })
    });
    let again = certificates_from_pem(certificate.to_pem().as_bytes());
    assert_eq!(again.ok().as_deref(), Some(&[certificate.clone()][..]));
    if let Ok(tbs) = TbsCertificate::from_der(certificate.tbs()) {
        assert_eq!(tbs.public_key_der(), certificate.public_key_der());
        assert_eq!(*tbs.subject(), certificate.subject());
    }
    if let Ok(chain) = Chain::verify(vec![certificate.clone()], values::NOW) {
        let key = chain.root().public_key().expect("it was verified with it");
        assert!(certificate.is_ca() && certificate.verify_signed_by(&key).is_ok());
    }
}

fn same_as(certificate: &Certificate, other: &x509_cert::Certificate) {
    let tbs = other.tbs_certificate();
    let der = |value: &dyn Encodes| value.octets();
    assert_eq!(certificate.issuer().as_der(), der(tbs.issuer()));
    assert_eq!(certificate.subject().as_der(), der(tbs.subject()));
    let (start, end) = (tbs.validity().not_before, tbs.validity().not_after);
    assert_eq!(certificate.not_before().cast_unsigned(), start.to_unix_duration().as_secs());
    assert_eq!(certificate.not_after().cast_unsigned(), end.to_unix_duration().as_secs());
    if let Ok(Some((_, constraints))) =
        tbs.get_extension::<x509_cert::ext::pkix::BasicConstraints>()
    {
        assert_eq!(certificate.is_ca(), constraints.ca, "cA");
    }
}

/// Something that another crate writes in DER.
trait Encodes {
    fn octets(&self) -> Vec<u8>;
}

impl<T: Encode> Encodes for T {
    fn octets(&self) -> Vec<u8> {
        self.to_der().expect("it was read")
    }
}

/// Text on a terminal or in a log: line ends are the only control characters. OpenSSL's text of an extension that cannot be
/// read has both halves of a Windows line end, and so has ours.
pub(super) fn is_shown(text: &str) {
    let odd = text.chars().find(|found| found.is_control() && !matches!(found, '\n' | '\r'));
    assert_eq!(odd, None, "{text:?}");
}

fn key() -> &'static PrivateKey {
    static KEY: OnceLock<PrivateKey> = OnceLock::new();
    KEY.get_or_init(values::private_key)
}

fn certificate_seeds() -> Vec<Vec<u8>> {
    let ca = values::ca(key());
    let leaf = values::leaf_draft(&ca, key());
    vec![ca.as_der().to_vec(), values::signed(&leaf, key()), leaf.tbs().to_vec()]
}

/// A list that is taken is kept octet for octet; where a second reader takes it, both see as many entries, with the same
/// serial numbers; its text can be worked out; as PEM it is read again.
fn crl(octets: &[u8]) {
    let _ = TbsCertList::from_der(octets);
    let Ok(list) = Crl::from_der(octets) else { return };
    assert_eq!(list.as_der(), octets);
    if let Ok(other) =
        x509_cert::crl::CertificateList::<x509_cert::certificate::Rfc5280>::from_der(octets)
    {
        let revoked = other.tbs_cert_list.revoked_certificates.unwrap_or_default();
        assert_eq!(list.revoked_serials().count(), revoked.len());
        assert_eq!(list.issuer().as_der(), other.tbs_cert_list.issuer.octets());
    }
    is_shown(&list.to_text());
    let _ = (
        list.number(),
        list.issuer_hash(),
        list.issuer_hash_old(),
        list.authority_key_identifier(),
    );
    assert_eq!(Crl::from_pem(&list.to_pem()).ok(), Some(list));
}

fn crl_seeds() -> Vec<Vec<u8>> {
    let draft = values::crl_draft(&values::ca(key()));
    vec![values::signed(&draft, key()), draft.tbs().to_vec()]
}

/// The octets are what a request says, and get a signature of one certain key: a request is taken only if it is for that
/// key, and then its subject and key stand in it octet for octet. A signature under something else is no request.
fn request(octets: &[u8]) {
    let info = RequestInfo::from_der(octets);
    let Ok(signature) = key().sign(octets) else { return };
    let algorithm = signature::identifier_for(key().public_key().algorithm());
    let der = signed::assemble(octets, &algorithm, &signature);
    let Ok(request) = Csr::from_der(&der) else { return };
    assert_eq!(request.as_der(), der);
    assert_eq!(request.public_key(), key().public_key());
    assert!(contains(octets, request.subject().as_der()));
    let requested = request.requested();
    if let Some(names) = requested.alternative_names.to_der() {
        assert_eq!(
            crate::x509::AlternativeNames::from_der(&names).unwrap(),
            requested.alternative_names
        );
    }
    requested.alternative_names.check().expect("names that were taken");
    if let Ok(info) = info {
        assert_eq!(info.public_key_der(), request.public_key().as_der());
    }
}

fn contains(octets: &[u8], part: &[u8]) -> bool {
    octets.windows(part.len()).any(|window| window == part)
}

fn request_seeds() -> Vec<Vec<u8>> {
    vec![values::request_draft(key()).tbs().to_vec()]
}

/// A key that is taken is kept octet for octet, is one element of DER, and is read again from its PEM.
fn subject_public_key(octets: &[u8]) {
    let Ok(key) = PublicKey::from_spki_der(octets) else { return };
    assert_eq!(key.as_der(), octets);
    Element::only(octets, crate::x509::asn1::SEQUENCE).expect("one SEQUENCE");
    let pem = key.to_pem();
    let (label, again) = der::pem::decode_vec(pem.as_bytes()).expect("PEM");
    assert_eq!((label, again.as_slice()), ("PUBLIC KEY", octets));
    let _ = (key.to_legacy_pem(), key.key_identifier(), key.signature_algorithm());
}

fn key_seeds() -> Vec<Vec<u8>> {
    mutation::vectors().into_iter().filter_map(|mut vector| vector.remove("public_key")).collect()
}
