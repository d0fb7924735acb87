//! How certool reports that it could not do what it was asked to do.

use crate::base::sentences;
use crate::cli::codes;
use crate::cli::failure::Failure;
use crate::cli::files;
use crate::cli::terminal::Terminal;
use crate::x509;

/// What ended the call; each is shown in another way.
#[derive(Debug)]
pub(in crate::cli) enum Ending {
    /// What was typed, or what stands in a configuration file, cannot be understood: a line that
    /// starts with `error:` on standard error, no status lines.
    NotUnderstood(String),
    /// A command lacks an option: a hint with an example, then the status lines.
    Lacking {
        /// One line.
        hint: &'static str,
    },
    /// Found out on this side, or refused by a command whose original prints no fragment.
    Failed(Failure),
    /// The server or the connection refused a command whose original names its procedure first,
    /// without a newline, so that the text is glued to the status word. Scripts look for it.
    Refused {
        /// Name of the original's remote procedure.
        procedure: &'static str,
        /// What was refused.
        failure: Failure,
    },
}

impl From<Failure> for Ending {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Ending {
    /// For a tool that reports failures in its own way.
    pub(in crate::cli) fn into_failure(self) -> Failure {
        match self {
            Self::NotUnderstood(text) => Failure::new(codes::INVALID_PARAMETER, text),
            Self::Lacking { hint } => Failure::new(codes::INVALID_PARAMETER, hint),
            Self::Failed(failure) | Self::Refused { failure, .. } => failure,
        }
    }

    /// Says it, and returns the error number.
    pub(super) fn report(self, terminal: &mut Terminal) -> u32 {
        let failure = match self {
            Self::NotUnderstood(text) => {
                terminal.err(&format!("error: {text}"));
                return codes::UNKNOWN_ERROR;
            }
            Self::Lacking { hint } => {
                terminal.out(&format!("{hint}\n"));
                Failure::new(
                    codes::ARGUMENT_ERROR,
                    "an option is missing; the line above shows the whole command, and certool --help all options",
                )
            }
            Self::Failed(failure) => failure,
            Self::Refused { procedure, failure } => {
                terminal.out(&format!("Error: {}, {procedure}() failed", failure.code));
                failure
            }
        };
        terminal.out(&format!(
            "Status : Failed\nError Code : {}\nError Message : {}\n",
            failure.code,
            codes::certool_text(failure.code)
        ));
        terminal.err(&failure.sentence);
        failure.code
    }
}

/// A subject, a request or a certificate that floor 1 does not take.
pub(super) fn from_x509(error: &x509::Error) -> Failure {
    let code = match error {
        x509::Error::NoPem(_) => codes::BAD_FORMAT,
        x509::Error::Malformed(_) | x509::Error::Signature(_) => codes::CERT_DECODE_FAILURE,
        x509::Error::KeyNotAccepted(_) => codes::INVALID_KEY_LENGTH,
        x509::Error::Encrypted(_) => codes::KEY_DECODE_FAILURE,
        x509::Error::Field(_) => codes::INVALID_CSR_FIELD,
        x509::Error::Country(_) => codes::INVALID_PARAMETER,
        x509::Error::Building(_) => codes::CANNOT_FORM_REQUEST,
    };
    Failure::new(code, sentences(error))
}

/// A key file that cannot be taken in: either it cannot be read, or it cannot hold a key.
pub(super) fn from_key_file(error: &files::Error) -> Failure {
    let code = match error {
        files::Error::Unreadable { .. } | files::Error::Folder(_) => codes::KEY_IO_FAILURE,
        files::Error::TooLarge(_) | files::Error::Empty(_) | files::Error::NotText(_) => {
            codes::KEY_DECODE_FAILURE
        }
    };
    Failure::because(code, error)
}

/// A private key that floor 1 does not take: whatever is wrong with its encoding has one code.
pub(super) fn from_key(path: &std::path::Path, error: &x509::Error) -> Failure {
    let code = match error {
        x509::Error::KeyNotAccepted(_) => codes::INVALID_KEY_LENGTH,
        _ => codes::KEY_DECODE_FAILURE,
    };
    Failure::new(code, format!("{}: {}", path.display(), sentences(error)))
}
