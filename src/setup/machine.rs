//! The machine's own certificate, which the gateway presents.

use zeroize::Zeroizing;

use super::Cause;
use super::step::Done;
use crate::api::ca::{CERTIFICATES, Issue, Issued};
use crate::api::vecs::{Created, Entry, NewEntry, entries, entry};
use crate::api::{KeyText, Kind};
use crate::base::{KeyAlgorithm, Secret};
use crate::cli::sealwright::HostName;
use crate::client::{self, Client};
use crate::x509::{AlternativeNames, CsrTemplate, PrivateKey, SubjectFields, csr_pem};

const STORE: &str = "MACHINE_SSL_CERT";
const ALIAS: &str = "__MACHINE_CERT";

/// Has a certificate for this machine issued and stores it with its key, if there is none yet.
pub(super) fn ensure(
    vmafdd: &Client,
    vmcad: &Client,
    host: &HostName,
    ca_key: KeyAlgorithm,
) -> Result<Done, Cause> {
    let place = format!("{STORE}/{ALIAS}");
    match vmafdd.get::<Entry>(&entry(STORE, ALIAS)) {
        Ok(_) => return Ok(Done::Found(place)),
        Err(client::Error::Refused(problem)) if problem.kind == Kind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    let key = PrivateKey::generate(machine_key(ca_key))?;
    let request =
        Issue { csr: csr_pem(&template(host, &key)?, &key)?, not_before: None, not_after: None };
    let issued: Issued = vmcad.post(CERTIFICATES, &request)?;
    let entry = NewEntry {
        alias: Some(ALIAS.to_owned()),
        certificates: Some(joined(&issued.chain)),
        key: Some(KeyText::new(text(&key.to_pkcs8_pem()))),
    };
    let _created: Created = vmafdd.post(&entries(STORE), &entry)?;
    Ok(Done::Made(format!("issued for {host} and stored, {place}, serial {}", issued.serial)))
}

/// An elliptic CA is chosen for speed or policy, which then hold for the machine as well.
const fn machine_key(ca_key: KeyAlgorithm) -> KeyAlgorithm {
    match ca_key {
        KeyAlgorithm::Rsa(_) => KeyAlgorithm::Rsa(3072),
        KeyAlgorithm::P256 | KeyAlgorithm::P384 => ca_key,
    }
}

fn template(host: &HostName, key: &PrivateKey) -> Result<CsrTemplate, Cause> {
    let subject = SubjectFields {
        common_name: Some(host.to_string()),
        country: Some("US".to_owned()),
        ..SubjectFields::default()
    }
    .to_name()?;
    let mut alternative_names = AlternativeNames::default();
    match host {
        HostName::Dns(name) => alternative_names.dns.push(name.clone()),
        HostName::Ip(address) => alternative_names.ip.push(*address),
    }
    Ok(CsrTemplate {
        subject,
        public_key: key.public_key().clone(),
        alternative_names,
        key_usage: None,
        ca: false,
    })
}

/// One PEM text, whether or not its parts end their last line.
fn joined(chain: &[String]) -> String {
    chain.iter().map(|pem| format!("{}\n", pem.trim_end())).collect()
}

/// The key's text in a buffer that never grows, because growing leaves copies behind.
fn text(pem: &Secret) -> Zeroizing<String> {
    let octets = pem.expose_secret();
    let mut text = Zeroizing::new(String::with_capacity(octets.len()));
    // PEM is ASCII.
    text.extend(octets.iter().map(|octet| char::from(*octet)));
    text
}
