//! `sealwright backup` and `sealwright restore`: everything of an appliance in one file, but no key
//! and no PIN.
//!
//! The databases hold private keys only as ciphertext that opens in one token and nowhere else. So an
//! archive is of no use without the tokens, and the tokens' own backup is of no use without the PINs;
//! whoever keeps the three apart loses nothing by the loss of one. The format is described in
//! docs/FORMATS.md.

mod archive;
mod content;
mod custody;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod manifest;
mod records;
mod relocation;
mod restoring;
mod snapshot;

use std::path::Path;
use std::process::ExitCode;

use crate::base::Layout;
use crate::cli::sealwright;
use error::Error;

/// Makes a backup and says what it did.
pub(super) fn backup(layout: &Layout, to: &Path) -> ExitCode {
    match snapshot::backup(layout, to, &mut std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// Restores, and says what is left to do by hand.
pub(super) fn restore(layout: &Layout, from: &Path, replace: bool) -> ExitCode {
    match restoring::restore(layout, from, replace, &mut std::io::stdout().lock()) {
        Ok(gaps) if gaps.is_empty() => ExitCode::SUCCESS,
        Ok(gaps) => {
            gaps.iter().for_each(|gap| sealwright::complain(gap));
            ExitCode::FAILURE
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &Error) -> ExitCode {
    sealwright::complain(error);
    match error {
        Error::Busy(_) => sealwright::TRY_AGAIN_LATER.into(),
        _ => ExitCode::FAILURE,
    }
}
