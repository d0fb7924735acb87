//! The whole appliance: real services on fresh tokens, judged by OpenSSL, GnuTLS and pkilint.
//!
//! One harness, a module per capability. Every scenario ends in `verify`, which looks at the whole
//! system and not only at what the scenario touched.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod agent;
mod attended;
mod backup;
mod born;
mod chain_install;
mod cli_cases;
mod containers;
mod doctor;
mod enterprise;
mod existing_tokens;
mod faults;
mod gateway;
mod handshakes;
mod harness;
mod https;
mod listing;
mod memory;
mod overload;
mod profiles;
mod requests;
mod rewrap;
mod sealing_keys;
mod services;
mod storage;
mod stores;
mod token_faults;
mod verify;
mod workflow;
mod workshop;
