//! Fuzz target: words on the wire, as a service reads those of its clients and a client those of its service.
#![allow(missing_docs, clippy::expect_used)]

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Health, Problem, ca, directory, vecs};

mutation::targets! {
    api_words: seeds, 3000;
}

/// Words of any kind that are taken are the same when written and read again.
fn api_words(octets: &[u8]) {
    taken(octets);
}

/// How many kinds of words these octets can be.
fn taken(octets: &[u8]) -> usize {
    let kinds = [
        same_again::<ca::Version>(octets),
        same_again::<ca::Issue>(octets),
        same_again::<ca::Issued>(octets),
        same_again::<ca::Chain>(octets),
        same_again::<ca::SelfSign>(octets),
        same_again::<ca::RequestCa>(octets),
        same_again::<ca::CaRequest>(octets),
        same_again::<ca::InstallChain>(octets),
        same_again::<ca::Authority>(octets),
        same_again::<ca::Key>(octets),
        same_again::<Vec<ca::Key>>(octets),
        same_again::<ca::Retire>(octets),
        same_again::<ca::Crl>(octets),
        same_again::<directory::TrustedRoot>(octets),
        same_again::<directory::Publish>(octets),
        same_again::<directory::Node>(octets),
        same_again::<vecs::Generation>(octets),
        same_again::<vecs::NewStore>(octets),
        same_again::<vecs::Permissions>(octets),
        same_again::<vecs::ChangePermission>(octets),
        same_again::<vecs::NewEntry>(octets),
        same_again::<vecs::Created>(octets),
        same_again::<vecs::Deleted>(octets),
        same_again::<vecs::Entry>(octets),
        same_again::<vecs::EntryKey>(octets),
        same_again::<Health>(octets),
        same_again::<Problem>(octets),
    ];
    kinds.into_iter().filter(|taken| *taken).count()
}

fn same_again<T: Serialize + DeserializeOwned>(octets: &[u8]) -> bool {
    let Ok(words) = serde_json::from_slice::<T>(octets) else { return false };
    let text = serde_json::to_string(&words).expect("words can be written");
    let again: T = serde_json::from_str(&text).expect("what was written can be read");
    assert_eq!(serde_json::to_string(&again).expect("words can be written"), text);
    true
}

fn seeds() -> Vec<Vec<u8>> {
    let pem = "-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n";
    let key = "-----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END PRIVATE KEY-----\\n";
    let token = r#"{"label":"ca","serial":"1","state":"down","alarm":{"kind":"pin","what":"x"}}"#;
    let names = r#"{"email":["a@example.test"],"ip":["::1"],"dns":["a.example"]}"#;
    [
        r#"{"product":"Sealwright","version":"0.1.0"}"#.to_owned(),
        format!(r#"{{"csr":"{pem}","not_before":-1,"not_after":9223372036854775807}}"#),
        format!(r#"{{"chain":["{pem}"],"serial":"0a"}}"#),
        format!(r#"{{"chain":["{pem}","{pem}"]}}"#),
        format!(
            r#"{{"subject":"3000","alternative_names":{names},"predate_minutes":3,"key":{{"new-of":"p-256"}}}}"#
        ),
        format!(r#"{{"subject":"3000","alternative_names":{names},"key":"present"}}"#),
        format!(r#"{{"csr":"{pem}"}}"#),
        format!(r#"{{"chain":"{pem}","private_key":"{key}"}}"#),
        r#"{"id":-1}"#.to_owned(),
        format!(r#"{{"crl":"{pem}"}}"#),
        format!(r#"{{"id":"AB","subject":"CN=CA","certificate":"{pem}","crl":null}}"#),
        format!(r#"{{"certificate":"{pem}","crl":"{pem}"}}"#),
        r#"{"name":"vc.example","node_type":"Management"}"#.to_owned(),
        r#"{"number":1,"state":"active","sealing":"00","wrapping":null,"created_at":1,"seals":0}"#
            .to_owned(),
        r#"{"name":"MACHINE_SSL_CERT"}"#.to_owned(),
        r#"{"owner":"root","grants":[{"user":"a","rights":["read","write","readkey"]}]}"#.to_owned(),
        r#"{"user":"EVERYONE","right":"readkey","grant":true}"#.to_owned(),
        format!(r#"{{"alias":"__MACHINE_CERT","certificates":"{pem}","key":"{key}"}}"#),
        r#"{"existed":false}"#.to_owned(),
        format!(r#"{{"alias":"a","entry_type":"Trusted Cert","pem":"{pem}"}}"#),
        format!(r#"{{"key":"{key}"}}"#),
        format!(
            r#"{{"service":"vmcad","state":"degraded","version":"0.1.0","token":{token},"unfinished_intents":1}}"#
        ),
        r#"{"kind":"invalid","code":87,"detail":"a \u00e9\ud83d\ude00 sentence"}"#.to_owned(),
    ]
    .map(|text| {
        assert!(taken(text.as_bytes()) > 0, "a seed is taken: {text}");
        text.into_bytes()
    })
    .to_vec()
}
