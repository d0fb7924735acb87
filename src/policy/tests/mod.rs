//! Every rule has a case that is refused and a near twin that passes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod ca_certificate;
mod certificate;
mod compromised;
mod issuers;
mod made_by_openssl;
mod octets;
mod possession;
mod revocation_list;
mod robustness;
mod stored_key;

use hsm::Purpose;

use super::{Issuers, Mode, Refusal, judge, record};
use crate::base::{Clock, KeyAlgorithm, SystemClock, UnixTime};
use crate::x509::tests::judge::Folder;
use crate::x509::{
    AlternativeNames, CaTemplate, Certificate, KeyUsage, LeafTemplate, Name, PrivateKey,
    SubjectFields, draft_leaf, draft_self_signed_ca, serial_from_random,
};

/// A day on which every test happens.
const NOW: UnixTime = 1_767_225_600;
const DAY: UnixTime = 86_400;

fn name(common_name: &str) -> Name {
    SubjectFields { common_name: Some(common_name.to_owned()), ..SubjectFields::default() }
        .to_name()
        .unwrap()
}

fn dns(names: &[&str]) -> AlternativeNames {
    let mut all = AlternativeNames::default();
    names.iter().for_each(|name| all.add_dns(name).unwrap());
    all
}

fn reference(key: &PrivateKey, id: u8) -> hsm::KeyReference {
    let public_key = key.public_key().as_der().to_vec();
    hsm::KeyReference { id: hsm::KeyId([id; 32]), public_key }
}

/// A CA whose key lies in memory, and the folder in which its certificates are recorded.
struct Fixture {
    folder: tempfile::TempDir,
    private: PrivateKey,
    key: hsm::KeyReference,
    ca: Certificate,
    issuers: Issuers,
    now: UnixTime,
}

impl Fixture {
    fn new() -> Self {
        Self::of(KeyAlgorithm::P256)
    }

    fn of(algorithm: KeyAlgorithm) -> Self {
        let private = PrivateKey::generate(algorithm).unwrap();
        let draft = draft_self_signed_ca(&ca_template(&private)).unwrap();
        let der = draft.assemble(&private.sign(draft.tbs()).unwrap());
        Self::with(private, Certificate::from_der(&der).unwrap())
    }

    fn with(private: PrivateKey, ca: Certificate) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = reference(&private, 0xa1);
        record(folder.path(), &key, ca.as_der()).unwrap();
        let issuers = Issuers::open(folder.path());
        Self { folder, private, key, ca, issuers, now: NOW }
    }

    /// A CA that OpenSSL makes, now and for a thousand days; key and certificate lie in the folder.
    fn by_openssl(folder: &Folder, algorithm: KeyAlgorithm, extensions: &[&str]) -> Self {
        let private = PrivateKey::generate(algorithm).unwrap();
        folder.write("ca.key", private.to_pkcs8_pem().expose_secret());
        let mut words = vec!["req", "-x509", "-key", "ca.key", "-out", "ca.crt", "-days", "1000"];
        words.extend(["-subj", "/O=Enterprise/CN=CA"]);
        for extension in extensions {
            words.extend(["-addext", extension]);
        }
        folder.openssl(&words);
        Self { now: SystemClock.now(), ..Self::with(private, folder.certificate("ca.crt")) }
    }

    fn judge(&self, purpose: Purpose, message: &[u8]) -> Result<(), Refusal> {
        judge(Mode::Service, purpose, &self.key, message, &self.issuers, self.now)
    }

    fn administer(&self, purpose: Purpose, message: &[u8]) -> Result<(), Refusal> {
        judge(Mode::Administration, purpose, &self.key, message, &self.issuers, self.now)
    }

    fn leaf(&self, template: &LeafTemplate) -> Vec<u8> {
        draft_leaf(template, &self.ca).unwrap().tbs().to_vec()
    }

    /// Is refused, with this word in the sentence.
    fn refuses(&self, purpose: Purpose, message: &[u8], word: &str) {
        let refusal = self.judge(purpose, message).expect_err(word);
        let said = crate::base::sentences(&refusal);
        assert!(said.contains(word), "the sentence should speak of '{word}': {said}");
    }
}

fn ca_template(key: &PrivateKey) -> CaTemplate {
    CaTemplate {
        serial: serial_from_random([3; 16]),
        subject: name("CA"),
        public_key: key.public_key().clone(),
        not_before: NOW - 3 * DAY,
        not_after: NOW + 3000 * DAY,
        alternative_names: AlternativeNames::default(),
    }
}

/// What a profile issues.
fn leaf_template() -> LeafTemplate {
    LeafTemplate {
        serial: serial_from_random([0x5a; 16]),
        subject: name("machine"),
        public_key: PrivateKey::generate(KeyAlgorithm::P256).unwrap().public_key().clone(),
        not_before: NOW - 600,
        not_after: NOW + 730 * DAY,
        alternative_names: dns(&["m.example.test"]),
        key_usage: KeyUsage { digital_signature: true, ..KeyUsage::default() },
        key_usage_critical: false,
        extended_key_usage: Vec::new(),
        subject_key_identifier: true,
        ca_issuers_url: Some("https://vc.example.test/afd/vecs/ca".to_owned()),
    }
}
