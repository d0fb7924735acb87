//! The steps, and how they are told.

use std::fmt;
use std::io::Write;

use super::{Cause, Error};

/// A step of setting up, in the order of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Folders with their modes.
    Folders,
    /// The token that holds the CA's keys.
    CaToken,
    /// The token that holds the wrapping key.
    SealingToken,
    /// The wrapping key.
    WrappingKey,
    /// `sealwright.toml` and the template for requests.
    Configuration,
    /// `vmafdd`, `vmdird` and `vmcad` as processes.
    Services,
    /// A certificate authority.
    Authority,
    /// The machine's own certificate.
    MachineCertificate,
    /// TRUSTED_ROOTS filled from the directory.
    TrustedRoots,
    /// Services stopped, files given to the service user.
    Finish,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Folders => "folders",
            Self::CaToken => "CA token",
            Self::SealingToken => "sealing token",
            Self::WrappingKey => "wrapping key",
            Self::Configuration => "configuration",
            Self::Services => "services",
            Self::Authority => "certificate authority",
            Self::MachineCertificate => "machine certificate",
            Self::TrustedRoots => "trusted roots",
            Self::Finish => "finish",
        })
    }
}

/// What a step did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// It made something, described in a few words.
    Made(String),
    /// All of it was there.
    Found(String),
}

/// Where the progress goes: one line a step.
pub(super) struct Progression<'a>(pub(super) &'a mut dyn Write);

impl Progression<'_> {
    /// Prints a sentence.
    pub(super) fn say(&mut self, text: &str) -> Result<(), Error> {
        writeln!(self.0, "{text}").and_then(|()| self.0.flush()).map_err(Error::Output)
    }

    /// Tells what became of a step that has no result besides.
    pub(super) fn step(&mut self, step: Step, done: Result<Done, Cause>) -> Result<(), Error> {
        self.result_of(step, done.map(|done| ((), done)))
    }

    /// Tells what became of a step, and passes on what it made.
    pub(super) fn result_of<T>(
        &mut self,
        step: Step,
        done: Result<(T, Done), Cause>,
    ) -> Result<T, Error> {
        let (result, done) = done.map_err(|cause| Error::Stopped { step, cause })?;
        match done {
            Done::Made(what) => self.say(&format!("  {step:<22} {what}"))?,
            Done::Found(what) => self.say(&format!("  {step:<22} {what} (was there)"))?,
        }
        Ok(result)
    }
}
