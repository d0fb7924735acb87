//! `certool`: keys of machines, certificates from VMCA, and VMCA's own certificate.
//!
//! The grammar, the outputs and the numbers are the original's; scripts read them.

mod authority;
mod certificates;
mod command;
mod config_file;
mod failure;
mod fields;
mod flags;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod help;
mod keys;
mod listing;
mod vmca;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser as _};

use super::failure::Failure;
use super::terminal::Terminal;
use super::{codes, exit, place};
use crate::base::Layout;
use command::Command;
pub(super) use config_file::read as read_config;
use failure::Ending;
pub(super) use fields::Fields;
use flags::Flags;
pub(super) use vmca::Vmca;

/// The options of certool, for completions and the manual page.
pub fn command() -> clap::Command {
    Flags::command()
}

/// Runs certool: `arguments` begin with the name of the program.
pub fn run(arguments: impl IntoIterator<Item = OsString>, layout: &Layout) -> ExitCode {
    place::forbid_core_files();
    let mut terminal = Terminal::default();
    let code = match called(arguments.into_iter().collect(), layout, &mut terminal) {
        Ok(()) => 0,
        Err(ending) => ending.report(&mut terminal),
    };
    match (code, terminal.finish()) {
        (0, Err(error)) => {
            let lost = Failure::because(codes::FILE_IO_ERROR, &error);
            Terminal::default().err(&format!("the output could not be written: {}", lost.sentence));
            exit::status(lost.code)
        }
        (code, _) => exit::status(code),
    }
}

fn called(
    arguments: Vec<OsString>,
    layout: &Layout,
    terminal: &mut Terminal,
) -> Result<(), Ending> {
    if arguments.len() <= 1 {
        terminal.out(&help::text(&command(), ""));
        return Ok(());
    }
    let flags = Flags::try_parse_from(arguments).map_err(|error| not_understood(&error))?;
    if let Some(section) = &flags.help {
        terminal.out(&help::text(&command(), section));
        return Ok(());
    }
    let vmca = Vmca::new(flags.server.as_deref(), layout);
    for command in command::commands(flags, layout)? {
        perform(&command, &vmca, terminal)?;
    }
    terminal.out("Status : Success\n");
    Ok(())
}

fn perform(command: &Command, vmca: &Vmca, terminal: &mut Terminal) -> Result<(), Ending> {
    match command {
        Command::SelfCa { values, predate_minutes, key } => {
            authority::self_signed(values, *predate_minutes, *key, vmca, terminal)
        }
        Command::RootCa { chain, key } => authority::install(chain, key.as_deref(), vmca),
        Command::GenCaCsr { values, request, key } => {
            authority::request(values, request, *key, vmca, terminal)
        }
        Command::Version => authority::version(vmca, terminal),
        Command::GenCert { values, key, certificate } => {
            certificates::generate(values, key, certificate, vmca, terminal)
        }
        Command::GenKey { private, public, algorithm } => {
            keys::generate(private, public.as_deref(), *algorithm)
        }
        Command::ViewCert { certificate } => certificates::view(certificate, terminal),
        Command::GetRootCa { chain } => authority::fetch(chain.as_deref(), vmca, terminal),
        Command::EnumCert { which } => listing::list(*which, vmca, terminal),
        Command::GetCrl { crl } => authority::fetch_crl(crl, vmca),
    }
}

/// clap's sentence without its layout, and for an abbreviation of several options their names, which
/// clap takes for an unknown option.
fn not_understood(error: &clap::Error) -> Ending {
    if let (ErrorKind::UnknownArgument, Some(ContextValue::String(word))) =
        (error.kind(), error.get(ContextKind::InvalidArg))
    {
        let fitting: Vec<String> = command()
            .get_arguments()
            .filter_map(|arg| arg.get_long())
            .filter(|long| {
                word.strip_prefix("--")
                    .is_some_and(|start| !start.is_empty() && long.starts_with(start))
            })
            .map(|long| format!("--{long}"))
            .collect();
        // The original's options for another account. A password there is in the process table.
        if ["--srp-upn", "--srp-pwd"].contains(&word.as_str()) {
            return Ending::NotUnderstood(format!(
                "{word} is not accepted: VMCA knows its caller by the user who runs certool; leave it out, and a \
                 password typed here should be changed"
            ));
        }
        return Ending::NotUnderstood(if fitting.len() > 1 {
            format!("option '{word}' is ambiguous; it fits {}", fitting.join(", "))
        } else {
            format!("unknown option '{word}'; certool --help lists the options")
        });
    }
    let rendered = error.to_string();
    let sentence = rendered.lines().next().unwrap_or_default().trim_start_matches("error: ");
    Ending::NotUnderstood(format!("{sentence}; certool --help shows the options"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_options_make_a_sound_command() {
        super::command().debug_assert();
    }
}
