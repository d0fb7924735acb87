//! What single steps of issuing a certificate take: `cargo bench -p bench`. Software keys, no token, no service.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use hsm::{KeyReference, Purpose};
use sealwright::base::{Actor, Clock, KeyAlgorithm, SystemClock};
use sealwright::ca::Request;
use sealwright::journal::{self, Event, MIGRATION, OPEN_INTENTS, Outcome};
use sealwright::policy::{Issuers, Mode, judge, record};
use sealwright::store::{Error, Store};
use sealwright::x509::{
    AlternativeNames, CaTemplate, Certificate, Csr, CsrTemplate, Draft, KeyUsage, LeafTemplate,
    Name, PrivateKey, SubjectFields, csr_pem, draft_leaf, draft_self_signed_ca,
};

const KEYS: [KeyAlgorithm; 3] = [KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::Rsa(3072)];
/// Records in one transaction.
const RECORDS: usize = 100;

/// A CA with a software key, and a request that it is asked to certify.
struct Scene {
    ca_key: PrivateKey,
    ca: Certificate,
    csr: String,
}

impl Scene {
    fn new(algorithm: KeyAlgorithm) -> Self {
        let now = SystemClock.now();
        let ca_key = PrivateKey::generate(algorithm).unwrap();
        let draft = draft_self_signed_ca(&CaTemplate {
            serial: [0x41; 16],
            subject: name("CA"),
            public_key: ca_key.public_key().clone(),
            not_before: now - 86_400,
            not_after: now + 3650 * 86_400,
            alternative_names: AlternativeNames::default(),
        })
        .unwrap();
        let signature = ca_key.sign(draft.tbs()).unwrap();
        let key = PrivateKey::generate(algorithm).unwrap();
        let template = CsrTemplate {
            subject: name("machine1"),
            public_key: key.public_key().clone(),
            alternative_names: names(),
            key_usage: Some(usage()),
            ca: false,
        };
        Self {
            ca: Certificate::from_der(&draft.assemble(&signature)).unwrap(),
            csr: csr_pem(&template, &key).unwrap(),
            ca_key,
        }
    }

    fn draft(&self, csr: &Csr) -> Draft {
        let now = SystemClock.now();
        let template = LeafTemplate {
            serial: [0x42; 16],
            subject: csr.subject().clone(),
            public_key: csr.public_key().clone(),
            not_before: now - 600,
            not_after: now + 365 * 86_400,
            alternative_names: csr.requested().alternative_names.clone(),
            key_usage: usage(),
            key_usage_critical: false,
            extended_key_usage: Vec::new(),
            subject_key_identifier: true,
            ca_issuers_url: Some("https://machine1.example.test/afd/vecs/ca".to_owned()),
        };
        draft_leaf(&template, &self.ca).unwrap()
    }
}

fn name(common: &str) -> Name {
    let fields = SubjectFields {
        common_name: Some(common.to_owned()),
        country: Some("US".to_owned()),
        organization: Some("VMware".to_owned()),
        ..SubjectFields::default()
    };
    fields.to_name().unwrap()
}

fn names() -> AlternativeNames {
    AlternativeNames {
        dns: vec!["machine1.example.test".to_owned()],
        ..AlternativeNames::default()
    }
}

fn usage() -> KeyUsage {
    KeyUsage { digital_signature: true, non_repudiation: true, ..KeyUsage::default() }
}

fn steps(criterion: &mut Criterion) {
    for algorithm in KEYS {
        let scene = Scene::new(algorithm);
        let mut group = criterion.benchmark_group(algorithm.to_string());
        group.bench_function("request parsed and checked", |bencher| {
            bencher.iter(|| Request::parse(black_box(&scene.csr), None, None).unwrap());
        });
        let csr = Csr::from_pem(&scene.csr).unwrap();
        group.bench_function("draft", |bencher| {
            bencher.iter(|| scene.draft(black_box(&csr)));
        });

        let folder = tempfile::tempdir().unwrap();
        let key = KeyReference {
            id: "07".repeat(32).parse().unwrap(),
            public_key: scene.ca_key.public_key().as_der().to_vec(),
        };
        record(folder.path(), &key, scene.ca.as_der()).unwrap();
        let (issuers, now) = (Issuers::open(folder.path()), SystemClock.now());
        let draft = scene.draft(&csr);
        group.bench_function("policy", |bencher| {
            bencher.iter(|| {
                let tbs = black_box(draft.tbs());
                judge(Mode::Service, Purpose::Certificate, &key, tbs, &issuers, now).unwrap();
            });
        });
        let issued = draft.assemble(&scene.ca_key.sign(draft.tbs()).unwrap());
        let ca_key = scene.ca_key.public_key();
        group.bench_function("certificate parsed and verified", |bencher| {
            bencher.iter(|| {
                let certificate = Certificate::from_der(black_box(&issued)).unwrap();
                certificate.verify_signed_by(ca_key).unwrap();
            });
        });
        group.finish();
    }
}

fn records(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("journal.db"), &[MIGRATION, OPEN_INTENTS]).unwrap();
    let mut number = 0;
    let mut next = || {
        number += 1;
        (0..RECORDS).map(|record| format!("draft:{number}-{record}")).collect::<Vec<_>>()
    };
    criterion.bench_function("journal, 100 records in one commit", |bencher| {
        bencher.iter_batched(
            &mut next,
            |references| write(&store, references),
            BatchSize::PerIteration,
        );
    });
}

fn write(store: &Store, references: Vec<String>) {
    let body = move |tx: &mut sealwright::store::Transaction<'_>| -> Result<(), Error> {
        references.iter().try_for_each(|reference| {
            let details = serde_json::json!({ "serial": "42", "profile": "vmca-compat" });
            let event = Event {
                at: 1,
                actor: &Actor::Job("bench"),
                act: "certificate.issue",
                reference,
                outcome: Outcome::Intended,
                details,
            };
            journal::append(tx, &event)
        })
    };
    store.write(body).unwrap();
}

criterion_group!(all, steps, records);
criterion_main!(all);
