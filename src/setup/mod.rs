//! Floor 6: `sealwright`: `sealwright init`, and who does what the other commands ask for.
//!
//! Setting up is a row of steps. Each looks first whether it is done already, so that an interrupted
//! set-up continues where it stopped and a finished one changes nothing.
//!
//! The front end (`cli::sealwright`) only says what is meant: setting up needs services, tokens and the
//! workshop, which front ends know nothing of. So the command comes up from there and is run here.

mod authority;
mod backup;
mod configuration;
mod doctor;
mod error;
mod files;
mod init;
mod lock;
mod machine;
mod ownership;
mod progress;
mod records;
mod run;
mod sealing_keys;
mod services;
mod softhsm;
mod step;
mod tokens;
mod trust;

use std::ffi::OsString;
use std::process::ExitCode;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use backup::fuzzing;
pub use error::{Cause, Error};
pub use init::{Outcome, init};
pub use step::Step;

use crate::agent::{self, TokenChoice};
use crate::base::Layout;
use crate::cli::sealwright::{self, Agent, Called, Command, Request};
use crate::workshop;

/// Runs `sealwright`: `arguments` begin with the name of the program.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match sealwright::parse(arguments) {
        Err(status) => status,
        Ok(Called { layout, command }) => match command {
            Command::Init(request) => set_up(&layout, &request),
            Command::Run => run::run(&layout),
            Command::Backup { to } => backup::backup(&layout, &to),
            Command::Restore { from, replace } => backup::restore(&layout, &from, replace),
            Command::TokenAgent(Agent::Child { role, section, own_token }) => {
                let choice = match own_token {
                    true => TokenChoice::Section,
                    false => TokenChoice::Client,
                };
                agent::run_child(&layout, role, &section, choice)
            }
            Command::TokenAgent(Agent::Listening { role, path, peers }) => {
                agent::listen(&layout, role, &path, &peers)
            }
            Command::TokenWorkshop(role) => workshop::run_child(&layout, role),
            Command::Doctor { json } => doctor::run(&layout, json),
            Command::Ask(question) => sealwright::ask(&layout, &question),
            Command::Rewrap { wish, json } => sealwright::rewrap(&layout, wish, json),
            Command::Print(paper) => sealwright::print(&paper),
        },
    }
}

fn set_up(layout: &Layout, request: &Request) -> ExitCode {
    match init(layout, request, &mut std::io::stdout().lock()) {
        Ok(Outcome::SetUp) => ExitCode::SUCCESS,
        Ok(Outcome::NothingChanged { differences }) if differences.is_empty() => ExitCode::SUCCESS,
        Ok(Outcome::NothingChanged { differences }) => {
            sealwright::say(&format!(
                "not as asked for, and not changed: {}. Change {} and restart the services; a CA key of another \
                 kind is made by certool --selfca or --gencacsr with --key-algorithm",
                differences.join(", "),
                layout.config_file().display()
            ));
            ExitCode::FAILURE
        }
        Err(error) => {
            sealwright::complain(&error);
            match error {
                Error::Busy => sealwright::TRY_AGAIN_LATER.into(),
                Error::Unusable(_) => sealwright::MISUSE.into(),
                Error::Stopped { .. } => {
                    sealwright::say(
                        "correct that and run the same `sealwright init` again; it continues with this step",
                    );
                    ExitCode::FAILURE
                }
                Error::Output(_) => ExitCode::FAILURE,
            }
        }
    }
}
