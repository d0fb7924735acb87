//! A command that failed: the original's number and a sentence of ours.

use std::error::Error;

use crate::base::sentences;

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
        Self { code, sentence: sentence.into() }
    }

    /// The sentence is the error's own, with its causes behind it.
    pub(super) fn because(code: u32, error: &dyn Error) -> Self {
        Self::new(code, sentences(error))
    }
}
