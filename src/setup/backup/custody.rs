//! Which keys an archive needs, and whether the configured tokens hold them.

use std::path::Path;

use super::manifest::{CaKey, CaToken, Generation, SealingToken};
use super::records;
use crate::base::Layout;
use crate::config::{Config, TokenRole, TokenSection};
use crate::setup::Cause;
use crate::setup::records::GenerationRecord;
use crate::store;
use crate::workshop::{self, WorkshopProcess};

/// A key that could not be found.
#[derive(Debug, thiserror::Error)]
#[error("restored; but {what}")]
pub(super) struct Gap {
    what: String,
    #[source]
    cause: Cause,
}

/// The CA keys that a copy of `vmcad`'s database needs.
pub(super) fn ca_keys(database: &Path) -> Result<Vec<hsm::KeyReference>, store::Error> {
    store::read_file(database, records::keys_in_use)
}

pub(super) fn ca_token(config: &Config, keys: &[hsm::KeyReference]) -> Result<CaToken, hsm::Error> {
    let uri: hsm::TokenUri = config.ca.token.uri.parse()?;
    let keys = keys.iter().map(CaKey::of).collect();
    Ok(CaToken { label: uri.label, serial: uri.serial, keys })
}

pub(super) fn sealing_token(
    config: &Config,
    generations: &[GenerationRecord],
) -> Result<SealingToken, hsm::Error> {
    let uri: hsm::TokenUri = config.vecs.token.uri.parse()?;
    let generations = generations.iter().map(Generation::of).collect();
    Ok(SealingToken { label: uri.label, serial: uri.serial, wrapping_key: None, generations })
}

/// Looks for every key in its token and has it prove itself. What is missing comes back.
///
/// That a sealing key opens what lies in the database is proved by `vmafdd` whenever it starts.
pub(super) fn check(
    layout: &Layout,
    config: &Config,
    keys: &[hsm::KeyReference],
    generations: &[GenerationRecord],
) -> Vec<Gap> {
    let mut gaps = check_sealing(layout, &config.vecs.token, generations);
    gaps.extend(check_ca(layout, &config.ca.token, keys));
    gaps
}

fn check_sealing(
    layout: &Layout,
    token: &TokenSection,
    generations: &[GenerationRecord],
) -> Vec<Gap> {
    let process = match WorkshopProcess::start(layout, TokenRole::Sealing, token) {
        Ok(process) => process,
        Err(cause) => return vec![Gap::new(token, "the sealing keys", cause)],
    };
    let in_use: Vec<_> = generations.iter().filter(|generation| generation.is_in_use()).collect();
    prove_each(token, &in_use, |generation| {
        let GenerationRecord { number, sealing, .. } = generation;
        let name = format!("the sealing keys of generation {number} (sealing key {sealing})");
        (name, process.prove_generation(generation.keys()))
    })
}

fn check_ca(layout: &Layout, token: &TokenSection, keys: &[hsm::KeyReference]) -> Vec<Gap> {
    let process = match WorkshopProcess::start(layout, TokenRole::Ca, token) {
        Ok(process) => process,
        Err(cause) => return vec![Gap::new(token, "the keys of the CA", cause)],
    };
    prove_each(token, keys, |key| (format!("CA key {}", key.id), process.prove_signing_key(key)))
}

fn prove_each<T>(
    token: &TokenSection,
    keys: &[T],
    prove: impl Fn(&T) -> (String, Result<(), workshop::Error>),
) -> Vec<Gap> {
    let mut gaps = Vec::new();
    for key in keys {
        let (name, proved) = prove(key);
        if let Err(cause) = proved {
            let gap = Gap::new(token, &name, cause);
            let goes_on = gap.is_about_the_key();
            gaps.push(gap);
            // A token that does not answer is not asked again: the next question could spend
            // another try of the PIN.
            if !goes_on {
                break;
            }
        }
    }
    gaps
}

impl Gap {
    fn new(token: &TokenSection, key: &str, cause: workshop::Error) -> Self {
        let uri = &token.uri;
        let what = match &cause {
            workshop::Error::Token(hsm::Error::NoSuchKey(_)) => {
                format!("the token {uri} does not hold {key}")
            }
            workshop::Error::Token(hsm::Error::Unavailable(_)) => {
                format!("the token that holds {key} is not there ({uri})")
            }
            _ => format!("the token that holds {key} could not be asked for it ({uri})"),
        };
        Self { what, cause: cause.into() }
    }

    const fn is_about_the_key(&self) -> bool {
        matches!(self.cause, Cause::Workshop(workshop::Error::Token(hsm::Error::NoSuchKey(_))))
    }
}
