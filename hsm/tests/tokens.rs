//! Custody on every kind of token that needs no hardware: the same scenarios on each, and what differs as a table.
//!
//! `docs/TOKENS.md` holds the table of a run. A run that says something else fails; `scripts/tokens` runs and writes it
//! anew. What must hold on every token is asserted in the scenarios themselves, whatever the table says.
#![allow(clippy::unwrap_used, clippy::expect_used)]

token_harness::agent!();

#[path = "tokens/bench.rs"]
mod bench;
#[path = "tokens/binding.rs"]
mod binding;
#[path = "tokens/examination.rs"]
mod examination;
#[path = "tokens/facts.rs"]
mod facts;
#[path = "tokens/generated.rs"]
mod generated;
#[path = "tokens/imported.rs"]
mod imported;
#[path = "tokens/openssl.rs"]
mod openssl;
#[path = "tokens/pin.rs"]
mod pin;
#[path = "tokens/sealing.rs"]
mod sealing;
#[path = "tokens/stored.rs"]
mod stored;
#[path = "tokens/table.rs"]
mod table;
#[path = "tokens/theft.rs"]
mod theft;

use bench::Scenario;
use token_harness::Kind;

/// In the order of the table.
const SCENARIOS: &[Scenario] = &[
    ("identity", generated::identity),
    ("signing keys", generated::signing_keys),
    ("attributes", generated::attributes),
    ("imported keys", imported::imported_keys),
    ("binding", binding::bound_by_public_key),
    ("ambiguity", binding::ambiguous),
    ("generation", sealing::generation),
    ("sealing with AES-GCM", sealing::gcm),
    ("sealing with AES key wrap", sealing::key_wrap),
    ("born keys", stored::born),
    ("stored keys", stored::from_outside),
    ("theft", theft::theft),
    ("wrong PIN", pin::wrong),
    ("examination", examination::examined),
    ("reload", generated::reload),
];

#[test]
fn softhsm() {
    bench::run(Kind::SoftHsm, "softhsm", SCENARIOS);
}

#[test]
fn kryoptic() {
    bench::run(Kind::Kryoptic, "kryoptic", SCENARIOS);
}

#[test]
fn nss() {
    bench::run(Kind::Nss, "nss", SCENARIOS);
}

#[test]
fn tpm() {
    bench::run(Kind::Tpm, "tpm", SCENARIOS);
}
