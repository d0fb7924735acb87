#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::sync::mpsc::channel;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::{Value, json};
use tower_service::Service as _;

use super::router;
use crate::access::Roles;
use crate::api::{self, Kind, Problem, ca as words};
use crate::base::{Actor, KeyAlgorithm, Secret, SystemClock};
use crate::ca::{Authority, Error, Lanes, MIGRATIONS, Profile, Rule, Settings, Workshop};
use crate::journal::{self, Event, Outcome};
use crate::store::{self, Store};
use crate::x509::{self, ChainError};

/// A workshop that nobody is to use.
struct Closed;

impl Workshop for Closed {
    fn generate(&self, _: &str, _: KeyAlgorithm) -> Result<hsm::KeyReference, hsm::Error> {
        Err(hsm::Error::Unavailable("the workshop is closed".into()))
    }

    fn import(&self, _: &str, _: &Secret) -> Result<hsm::KeyReference, hsm::Error> {
        Err(hsm::Error::Unavailable("the workshop is closed".into()))
    }

    fn sign_ca_certificate(&self, _: &hsm::KeyReference, _: &[u8]) -> Result<Vec<u8>, hsm::Error> {
        Err(hsm::Error::Unavailable("the workshop is closed".into()))
    }

    fn record_issuer(&self, _: &hsm::KeyReference, _: &[u8]) -> Result<(), hsm::Error> {
        Err(hsm::Error::Unavailable("the workshop is closed".into()))
    }
}

/// The router of a vmcad that has no CA and no token; a process before it died while signing.
fn bare(folder: &std::path::Path) -> Router {
    let store = Store::open(&folder.join("vmcad.db"), MIGRATIONS).unwrap();
    let died: Result<(), store::Error> = store.write(|tx| {
        let event = Event {
            at: 1,
            actor: &Actor::Job("test"),
            act: "certificate.issue",
            reference: "draft:1",
            outcome: Outcome::Intended,
            details: json!({}),
        };
        journal::append(tx, &event)
    });
    died.unwrap();
    let settings = Settings {
        profile: Profile::VmcaCompat,
        validity_days: 730,
        key_algorithm: KeyAlgorithm::P256,
        allow_imported_keys: false,
        chain_includes_root: false,
        crl_days: 30,
        ca_issuers_url: None,
        root_cer: folder.join("root.cer"),
    };
    let token = hsm::TokenConfig {
        module: folder.join("no-module.so"),
        uri: "pkcs11:token=absent".parse().unwrap(),
        pin: hsm::PinSource::File(folder.join("no-pin")),
    };
    let authority = Authority::open(
        store,
        hsm::Token::new(token),
        Box::new(Closed),
        settings,
        Arc::new(SystemClock),
        channel().0,
    )
    .unwrap();
    let node = words::Node { name: "vc.example".to_owned(), domain: "corp.example".to_owned() };
    let lanes = Arc::new(Lanes::start(&authority).unwrap());
    router(authority, lanes, node)
}

/// Sends a request as a user; an empty body is a `GET`.
fn ask(router: &Router, uid: u32, path: &str, body: &str) -> (u16, Value) {
    let mut request = Request::builder()
        .method(if body.is_empty() { "GET" } else { "POST" })
        .uri(path)
        .header("content-type", "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap();
    request.extensions_mut().insert(Roles::new(vec![], vec![2000]).caller(uid, None));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut router = router.clone();
    let answer = router.call(request);
    runtime.block_on(async {
        let answer = answer.await.unwrap();
        let status = answer.status().as_u16();
        let octets = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&octets).unwrap())
    })
}

#[test]
fn refusals_are_problems_with_the_right_status_and_number() {
    let folder = tempfile::tempdir().unwrap();
    let router = bare(folder.path());
    let csr = r#"{"csr":"hello"}"#;
    let typo = r#"{"csr":"hello","notbefore":1}"#;
    let root = r#"{"subject":"zz","predate_minutes":0,"key":"present"}"#;
    let empty = r#"{"subject":"3000","predate_minutes":0,"key":{"new-of":"p-256"}}"#;
    let install = r#"{"chain":"hello"}"#;
    for (uid, path, body, status, code) in [
        (0, words::CHAIN, "", 503, 70000),
        (3000, words::CRL, "", 503, 70000),
        (3000, words::CERTIFICATES, csr, 403, 5),
        (2000, words::CERTIFICATES, csr, 422, 70006),
        (2000, "/v1/certificates?filter=all", "", 403, 5),
        (0, words::CERTIFICATES, "", 422, 87),
        (0, "/v1/certificates?filter=expired", "", 422, 87),
        (0, "/v1/certificates?filter=all&after=first", "", 422, 87),
        (0, "/v1/certificates?filter=all&limit=0", "", 422, 87),
        (0, "/v1/certificates?filter=all&limit=101", "", 422, 87),
        (0, "/v1/certificates?filter=all&page=2", "", 422, 87),
        (2000, words::CERTIFICATES, typo, 422, 87),
        (2000, words::CERTIFICATES, "{", 422, 87),
        (2000, words::SELF_SIGNED, root, 403, 5),
        (0, words::SELF_SIGNED, root, 422, 87),
        (0, words::SELF_SIGNED, empty, 422, 70012),
        (0, words::CHAIN, install, 422, 11),
        (0, words::RETIRE, r#"{"id":1}"#, 404, 70097),
        (0, words::CRL, "{}", 503, 70000),
    ] {
        let (found, problem) = ask(&router, uid, path, body);
        let says = format!("{uid} {path} {body}: {problem}");
        assert_eq!((found, &problem["code"]), (status, &json!(code)), "{says}");
        assert!(problem["detail"].as_str().is_some_and(|text| !text.is_empty()), "{says}");
    }
}

#[test]
fn anyone_may_read_and_health_tells_the_truth() {
    let folder = tempfile::tempdir().unwrap();
    let router = bare(folder.path());
    let (status, version) = ask(&router, 3000, words::VERSION, "");
    assert_eq!((status, &version["version"]), (200, &json!("2.0.0")));
    assert_eq!(ask(&router, 3000, words::AUTHORITIES, ""), (200, json!([])));
    for filter in [words::Filter::All, words::Filter::Active, words::Filter::Revoked] {
        let page = ask(&router, 0, &words::page(filter, Some(7)), "");
        assert_eq!(page, (200, json!({"certificates": []})));
    }
    let (status, health) = ask(&router, 3000, api::HEALTH, "");
    assert_eq!((status, &health["state"]), (200, &json!("degraded")));
    let detail = health["detail"].as_str().unwrap();
    for part in ["no-module.so", "no CA", "outcome: 1;"] {
        assert!(detail.contains(part), "{part} in {detail}");
    }
}

#[test]
fn every_failure_has_vmcas_number_and_every_sentence_beneath_it() {
    let token = || hsm::Error::Unavailable("the token is absent".into());
    let cases: [(Error, Kind, u32, &str); 16] = [
        (Error::NoAuthority, Kind::Unavailable, 70000, "certool --selfca"),
        (Error::Busy, Kind::Busy, 170, "try again in a moment"),
        (Error::Token(token()), Kind::Unavailable, 70032, "the token is absent"),
        (Error::Token(hsm::Error::Locked("PIN".into())), Kind::Unavailable, 70032, "PIN"),
        (Error::Workshop(token()), Kind::Unavailable, 70032, "the token is absent"),
        (Error::Workshop(hsm::Error::Unsupported("x".into())), Kind::Unavailable, 70007, "x"),
        (Error::Store(store::Error::Full(no_room())), Kind::Unavailable, 70022, "the disk is full"),
        (Error::Request(x509::Error::NoPem("x".into())), Kind::Invalid, 70006, "x"),
        (Error::Request(x509::Error::Signature("x".into())), Kind::Invalid, 70012, "x"),
        (Error::Request(x509::Error::KeyNotAccepted("x".into())), Kind::Invalid, 70015, "x"),
        (Error::Chain(ChainError::NotCa("x".into())), Kind::Invalid, 70011, "x"),
        (Error::Chain(ChainError::Incomplete("x".into())), Kind::Invalid, 70062, "x"),
        (Error::Chain(ChainError::Order("x".into())), Kind::Invalid, 70063, "x"),
        (Error::NoSuchAuthority(9), Kind::NotFound, 70097, "9"),
        (refused(Rule::KeyOfOurs), Kind::Invalid, 70037, "x"),
        (refused(Rule::State), Kind::Conflict, 70098, "x"),
    ];
    for (error, kind, code, sentence) in cases {
        let shown = format!("{error:?}");
        let problem = Problem::from(error);
        assert_eq!((problem.kind, problem.code), (kind, code), "{shown}");
        assert!(problem.detail.contains(sentence), "{}", problem.detail);
    }
}

fn refused(rule: Rule) -> Error {
    Error::Refused { rule, sentence: "x".to_owned() }
}

/// What SQLite says when there is no room, made by SQLite itself.
fn no_room() -> rusqlite::Error {
    let connection = rusqlite::Connection::open_in_memory().unwrap();
    connection.execute_batch("CREATE TABLE t (x BLOB); PRAGMA max_page_count = 1;").unwrap();
    connection.execute("INSERT INTO t VALUES (zeroblob(100000))", []).unwrap_err()
}
