//! What is asked for: the request that an administrator's `certool --gencert` sends.

use sealwright::api::ca::{CERTIFICATES, Issue};
use sealwright::base::KeyAlgorithm;
use sealwright::x509::{
    AlternativeNames, CsrTemplate, KeyUsage, PrivateKey, SubjectFields, csr_pem,
};

use crate::fault::Outcome;
use crate::load::http_request;

/// Requests for each kind of key, with a key of their own each, asked again and again: every certificate has its own
/// serial number all the same.
pub(crate) const DISTINCT: usize = 4;

/// Certificate requests (PEM) for machines with keys of this kind.
pub(crate) fn csrs(algorithm: KeyAlgorithm) -> Outcome<Vec<String>> {
    (1..=DISTINCT)
        .map(|number| {
            let key = PrivateKey::generate(algorithm)?;
            Ok(csr_pem(&template(number, &key)?, &key)?)
        })
        .collect()
}

/// The fields of the shipped `certool.cfg`.
fn template(number: usize, key: &PrivateKey) -> Outcome<CsrTemplate> {
    let said = |text: &str| Some(text.to_owned());
    let subject = SubjectFields {
        common_name: Some(format!("Machine{number}_Cert")),
        domain_component: None,
        country: said("US"),
        state: said("California"),
        locality: said("Palo Alto"),
        organization: said("VMware"),
        org_unit: said("VMware Engineering"),
    };
    Ok(CsrTemplate {
        subject: subject.to_name()?,
        public_key: key.public_key().clone(),
        alternative_names: AlternativeNames {
            email: vec!["email@acme.com".to_owned()],
            ip: vec!["127.0.0.1".parse()?],
            uri: Vec::new(),
            dns: vec![format!("machine{number}.example.test")],
        },
        key_usage: Some(KeyUsage {
            digital_signature: true,
            non_repudiation: true,
            key_encipherment: true,
            ..KeyUsage::default()
        }),
        ca: false,
    })
}

/// The same as whole HTTP requests.
pub(crate) fn issuing(csrs: &[String]) -> Outcome<Vec<Vec<u8>>> {
    csrs.iter()
        .map(|csr| {
            let words = Issue { csr: csr.clone(), not_before: None, not_after: None };
            Ok(http_request("POST", CERTIFICATES, &serde_json::to_vec(&words)?))
        })
        .collect()
}
