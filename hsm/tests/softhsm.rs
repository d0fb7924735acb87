//! Behaviour on real SoftHSM tokens, one module per capability.
//!
//! SoftHSM finds its tokens through an environment variable and keeps state in the process, so every scenario runs
//! in a process of its own, on a folder of its own: see `softhsm/harness.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "softhsm/agent.rs"]
mod agent;
#[path = "softhsm/born.rs"]
mod born;
#[path = "softhsm/custody.rs"]
mod custody;
#[path = "softhsm/examination.rs"]
mod examination;
#[path = "softhsm/generations.rs"]
mod generations;
#[path = "softhsm/harness.rs"]
mod harness;
#[path = "softhsm/hostile_client.rs"]
mod hostile_client;
#[path = "softhsm/outage.rs"]
mod outage;
#[path = "softhsm/pin.rs"]
mod pin;
#[path = "softhsm/provision.rs"]
mod provision;
#[path = "softhsm/read_only.rs"]
mod read_only;
#[path = "softhsm/recovery/mod.rs"]
mod recovery;
#[path = "softhsm/sealing.rs"]
mod sealing;
#[path = "softhsm/signing.rs"]
mod signing;
#[path = "softhsm/stored_keys.rs"]
mod stored_keys;
#[path = "softhsm/theft.rs"]
mod theft;
