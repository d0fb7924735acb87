//! `sealwright`: the front end of setting up and looking after the appliance. It says what is meant;
//! setting up itself is a floor of its own above.

mod difference;
mod flags;
mod paper;
mod pin_words;
mod question;
mod request;
mod rewrap;

use std::error::Error;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use super::place;
use super::terminal::Terminal;
use crate::base::{Layout, sentences};
use crate::config::{TokenRole, TokenSection};
use flags::Flags;

pub use paper::{Paper, print};
pub use question::{Question, ask};
pub use request::{Domain, HostName, NotAName, Request, TokenChoice};
use rewrap::RewrapFlags;
pub use rewrap::{RewrapWish, rewrap};

/// Exit status: another process is at it; the same command works later (EX_TEMPFAIL of sysexits.h).
pub const TRY_AGAIN_LATER: u8 = 75;
/// Exit status: the command line cannot be followed.
pub const MISUSE: u8 = 2;

/// What was called for, and of which appliance.
#[derive(Debug)]
pub struct Called {
    /// The appliance.
    pub layout: Layout,
    /// What to do.
    pub command: Command,
}

/// What is to be done.
#[derive(Debug)]
pub enum Command {
    /// Set the appliance up.
    Init(Box<Request>),
    /// Start the services and stay.
    Run,
    /// Copy everything but keys and PINs into one file.
    Backup {
        /// The new file.
        to: PathBuf,
    },
    /// Make the appliance what a backup says it was.
    Restore {
        /// The archive.
        from: PathBuf,
        /// Whether what is there may be put aside.
        replace: bool,
    },
    /// Ask the CA something.
    Ask(Question),
    /// Change the sealing and wrapping keys, or ask how that stands.
    Rewrap {
        /// What is wanted.
        wish: RewrapWish,
        /// The answer as JSON.
        json: bool,
    },
    /// Check the appliance; the report as JSON or for people.
    Doctor {
        /// As JSON.
        json: bool,
    },
    /// Print something about the tools.
    Print(Paper),
    /// Be a token agent.
    TokenAgent(Agent),
    /// Work on a token, as the child of a service or of the set-up.
    TokenWorkshop(TokenRole),
}

/// How a token agent comes to its client.
#[derive(Debug)]
pub enum Agent {
    /// The client is on standard input.
    Child {
        /// Which token.
        role: TokenRole,
        /// Its section of the configuration.
        section: Box<TokenSection>,
        /// Whether the section says which token is meant; otherwise the client says it.
        own_token: bool,
    },
    /// Clients come to a socket.
    Listening {
        /// Which token.
        role: TokenRole,
        /// The socket.
        path: PathBuf,
        /// Users who may come.
        peers: Vec<String>,
    },
}

/// The command line as clap knows it, for completions and man pages.
pub fn command() -> clap::Command {
    Flags::command()
}

/// From the command line to what is meant. Help, version and mistakes are printed here; the status
/// that comes back is the one to end with.
///
/// # Errors
/// The exit status, where there is nothing to do.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Called, ExitCode> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let misuse = |sentence: String| {
        say(&sentence);
        ExitCode::from(MISUSE)
    };
    // Before clap, whose messages repeat what was typed.
    pin_words::refuse(&arguments).map_err(|refused| misuse(refused.to_string()))?;
    let flags = Flags::try_parse_from(arguments).map_err(|error| {
        let _closed = error.print();
        if error.use_stderr() { MISUSE.into() } else { ExitCode::SUCCESS }
    })?;
    let layout = layout(flags.root.clone());
    let command = Command::try_from(flags).map_err(|refused| misuse(refused.to_string()))?;
    Ok(Called { layout, command })
}

/// `--root`, otherwise what the environment says.
pub(in crate::cli) fn layout(root: Option<PathBuf>) -> Layout {
    match root {
        Some(root) => Layout::under(place::lasting(&root)),
        None => place::layout_from_environment(),
    }
}

/// A line for the operator, on standard error.
pub fn say(sentence: &str) {
    Terminal::default().err(&format!("sealwright: {sentence}"));
}

/// Prints an error with its causes for the operator.
pub fn complain(error: &dyn Error) {
    say(&sentences(error));
}

/// Prints a result on standard output, and says where it could not be written.
fn print_result(text: &str) -> ExitCode {
    let mut terminal = Terminal::default();
    terminal.out(text);
    match terminal.finish() {
        Ok(()) => ExitCode::SUCCESS,
        Err(lost) => {
            say(&format!("the output could not be written: {lost}"));
            ExitCode::FAILURE
        }
    }
}
