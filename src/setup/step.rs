//! The steps, and how they are told.

use std::fmt;
use std::io::{self, Write};

use super::{Cause, Error};

/// A step of setting up, in the order of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Folders with their modes.
    Folders,
    /// The token that holds the CA's keys.
    CaToken,
    /// The token that holds the sealing keys.
    SealingToken,
    /// `sealwright.toml` and the template for requests.
    Configuration,
    /// `vmafdd`, `vmdird` and `vmcad` as processes.
    Services,
    /// The keys under which private keys are stored.
    SealingKeys,
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
            Self::Configuration => "configuration",
            Self::Services => "services",
            Self::SealingKeys => "sealing keys",
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
///
/// A reader who goes away does not stop the work: a set-up is worth more than the words about it.
pub(super) struct Progression<'a> {
    out: &'a mut dyn Write,
    lost: Option<io::Error>,
}

impl<'a> Progression<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out, lost: None }
    }

    /// What became of the words, at the end. A closed pipe is no failure (`| head`).
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        match self.lost.take() {
            Some(cause) if cause.kind() != io::ErrorKind::BrokenPipe => Err(Error::Output(cause)),
            _ => Ok(()),
        }
    }

    /// Prints a sentence.
    pub(super) fn say(&mut self, text: &str) {
        if let Err(cause) = writeln!(self.out, "{text}").and_then(|()| self.out.flush()) {
            self.lost.get_or_insert(cause);
        }
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
            Done::Made(what) => self.say(&format!("  {step:<22} {what}")),
            Done::Found(what) => self.say(&format!("  {step:<22} {what} (was there)")),
        }
        Ok(result)
    }
}
