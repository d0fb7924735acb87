//! Sealwright: a signing appliance whose keys live in PKCS#11 tokens and that speaks VMCA and VECS.
//!
//! The floors, from the ground up; imports point down only (`tests/layers.rs`).

pub mod base;

pub mod hardening;
pub mod log;
pub mod store;
pub mod x509;

pub mod access;
pub mod journal;
pub mod policy;

pub mod ca;
pub mod directory;
pub mod vecs;

pub mod api;
pub mod config;

pub mod agent;
pub mod client;
pub mod http;
pub mod supervise;
pub mod workshop;

pub mod cli;
pub mod daemon;
pub mod gateway;
pub mod setup;

#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
