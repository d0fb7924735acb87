//! Which keys an archive needs, and whether the configured tokens hold them.

use std::path::Path;

use super::manifest::{CaKey, CaToken, SealingToken};
use super::records;
use crate::base::Layout;
use crate::config::{Config, TokenRole, TokenSection};
use crate::setup::Cause;
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

pub(super) fn sealing_token(config: &Config) -> Result<SealingToken, hsm::Error> {
    let uri: hsm::TokenUri = config.vecs.token.uri.parse()?;
    let wrapping_key = config.vecs.wrapping_key.clone();
    Ok(SealingToken { label: uri.label, serial: uri.serial, wrapping_key })
}

/// Looks for every key in its token and has it prove itself. What is missing comes back.
///
/// That a wrapping key opens what lies in the database is proved by `vmafdd` whenever it starts.
pub(super) fn check(layout: &Layout, config: &Config, keys: &[hsm::KeyReference]) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let sealing = &config.vecs.token;
    let proved = WorkshopProcess::start(layout, TokenRole::Sealing, sealing)
        .and_then(|process| process.prove_wrapping_key(config.vecs.wrapping_key.parse()?));
    if let Err(cause) = proved {
        gaps.push(Gap::new(sealing, &format!("wrapping key {}", config.vecs.wrapping_key), cause));
    }
    let ca = &config.ca.token;
    let process = match WorkshopProcess::start(layout, TokenRole::Ca, ca) {
        Ok(process) => process,
        Err(cause) => {
            gaps.push(Gap::new(ca, "the keys of the CA", cause));
            return gaps;
        }
    };
    for key in keys {
        if let Err(cause) = process.prove_signing_key(key) {
            let gap = Gap::new(ca, &format!("CA key {}", key.id), cause);
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
