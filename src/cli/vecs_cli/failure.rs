//! How vecs-cli reports that it could not do what it was asked to do.

use crate::cli::codes;
use crate::cli::failure::Failure;
use crate::cli::terminal::Terminal;

/// What ended the call.
#[derive(Debug)]
pub(super) enum Ending {
    /// Nobody agreed to the deletion: silence, and success.
    NotConfirmed,
    /// What was typed is no command: usage on standard output, then as any failure.
    Usage(Failure),
    /// The original says a line of its own before the failure line.
    Explained {
        /// That line.
        line: String,
        /// The failure.
        failure: Failure,
    },
    /// Everything else.
    Failed(Failure),
}

impl From<Failure> for Ending {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Ending {
    /// A line that cannot be understood.
    pub(super) fn usage(sentence: impl Into<String>) -> Self {
        Self::Usage(Failure::new(
            codes::INVALID_PARAMETER,
            format!("{}; 'vecs-cli help' shows every command", sentence.into()),
        ))
    }

    /// Says it, and returns the error number.
    pub(super) fn report(self, terminal: &mut Terminal) -> u32 {
        let failure = match self {
            Self::NotConfirmed => return 0,
            Self::Usage(failure) => {
                terminal.out(&super::help::text());
                failure
            }
            Self::Explained { line, failure } => {
                terminal.err(&line);
                failure
            }
            Self::Failed(failure) => failure,
        };
        // The blank at the end is the original's.
        terminal.err(&format!(
            "vecs-cli failed. Error {}: {} ",
            failure.code,
            codes::vecs_cli_text(failure.code)
        ));
        terminal.err(&failure.sentence);
        failure.code
    }
}
