//! Fuzz targets: what this crate does with octets from outside. Compiled for tests, and with the feature `fuzzing`.
//!
//! Each target panics when a property does not hold; docs/TESTING.md lists them.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod agent;
mod client;
mod keys;
mod sealed;
mod text;
mod wire;

use mutation::Target;

/// Every target of this crate.
pub fn targets() -> Vec<Target> {
    [wire::TARGETS, agent::TARGETS, client::TARGETS, sealed::TARGETS, keys::TARGETS, text::TARGETS]
        .concat()
}
