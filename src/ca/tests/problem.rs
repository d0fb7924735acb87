use crate::api::{Kind, Problem};
use crate::ca::{Error, Rule};
use crate::store;
use crate::x509::{self, ChainError};

#[test]
fn every_failure_has_vmcas_number_and_every_sentence_beneath_it() {
    let token = || hsm::Error::Unavailable("the token is absent".into());
    let cases: [(Error, Kind, u32, &str); 15] = [
        (
            Error::NoAuthority,
            Kind::Unavailable,
            70000,
            "certool --selfca",
        ),
        (
            Error::Token(token()),
            Kind::Unavailable,
            70032,
            "the token is absent",
        ),
        (
            Error::Token(hsm::Error::Locked("PIN".into())),
            Kind::Unavailable,
            70032,
            "PIN",
        ),
        (
            Error::Workshop(token()),
            Kind::Unavailable,
            70032,
            "the token is absent",
        ),
        (
            Error::Workshop(hsm::Error::Unsupported("x".into())),
            Kind::Unavailable,
            70007,
            "x",
        ),
        (
            Error::Store(store::Error::Full(no_room())),
            Kind::Unavailable,
            70022,
            "the disk is full",
        ),
        (
            Error::Request(x509::Error::NoPem("x".into())),
            Kind::Invalid,
            70006,
            "x",
        ),
        (
            Error::Request(x509::Error::Signature("x".into())),
            Kind::Invalid,
            70012,
            "x",
        ),
        (
            Error::Request(x509::Error::KeyNotAccepted("x".into())),
            Kind::Invalid,
            70015,
            "x",
        ),
        (
            Error::Chain(ChainError::NotCa("x".into())),
            Kind::Invalid,
            70011,
            "x",
        ),
        (
            Error::Chain(ChainError::Incomplete("x".into())),
            Kind::Invalid,
            70062,
            "x",
        ),
        (
            Error::Chain(ChainError::Order("x".into())),
            Kind::Invalid,
            70063,
            "x",
        ),
        (Error::NoSuchAuthority(9), Kind::NotFound, 70097, "9"),
        (
            Error::refused(Rule::KeyOfOurs, "x"),
            Kind::Invalid,
            70037,
            "x",
        ),
        (Error::refused(Rule::State, "x"), Kind::Conflict, 70098, "x"),
    ];
    for (error, kind, code, sentence) in cases {
        let shown = format!("{error:?}");
        let problem = Problem::from(error);
        assert_eq!((problem.kind, problem.code), (kind, code), "{shown}");
        assert!(problem.detail.contains(sentence), "{}", problem.detail);
    }
}

/// What SQLite says when there is no room, made by SQLite itself.
fn no_room() -> rusqlite::Error {
    let connection = rusqlite::Connection::open_in_memory().unwrap();
    connection
        .execute_batch("CREATE TABLE t (x BLOB); PRAGMA max_page_count = 1;")
        .unwrap();
    connection
        .execute("INSERT INTO t VALUES (zeroblob(100000))", [])
        .unwrap_err()
}
