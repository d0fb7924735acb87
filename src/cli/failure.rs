//! A command that failed: the original's number and a sentence of ours.

use std::error::Error;
use std::fmt::Write as _;

/// What a front end reports when it could not do what it was asked to do.
#[derive(Debug)]
pub(super) struct Failure {
    /// VMCA, VECS, Win32 or RPC code; see `codes`.
    pub(super) code: u32,
    /// What is wrong and what to do next; goes to standard error.
    pub(super) sentence: String,
}

impl Failure {
    pub(super) fn new(code: u32, sentence: impl Into<String>) -> Self {
        Self {
            code,
            sentence: sentence.into(),
        }
    }

    /// The sentence is the error's own, with its causes behind it.
    pub(super) fn because(code: u32, error: &dyn Error) -> Self {
        Self::new(code, with_causes(error))
    }
}

/// An error and everything beneath it, in one line.
///
/// A layer whose text is in the text above it already (transparent errors) is not said twice.
pub(super) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            let _ = write!(text, ": {said}");
        }
        cause = error.source();
    }
    text
}
