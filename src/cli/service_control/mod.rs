//! `service-control`: starts, stops and shows the services, in the words of the original tool.

mod failure;
mod flags;
mod operate;
mod status;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use self::flags::{Command, Flags};
use super::sealwright;
use super::terminal::Terminal;
use crate::base::{Layout, Service, sentences};
use crate::config::{self, Config};
use crate::supervise::Supervisor;

/// The exit status of `--status` where a token needs a person.
const ALARM: u8 = 2;

/// The command line as clap knows it, for completions and man pages.
pub fn command() -> clap::Command {
    Flags::command()
}

/// Runs service-control: `arguments` begin with the name of the program.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let flags = match Flags::try_parse_from(arguments) {
        Ok(flags) => flags,
        Err(error) => {
            let _closed = error.print();
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    let layout = sealwright::layout(flags.root.clone());
    let verbose = flags.verbose;
    let mut terminal = Terminal::default();
    let done = match Command::try_from(flags) {
        Ok(command) => carry_out(&command, layout, verbose, &mut terminal),
        Err(misuse) => {
            say(&mut terminal, &misuse.to_string());
            Done::Badly
        }
    };
    // What could not be printed has been done all the same.
    match (done, terminal.finish()) {
        (Done::Well, Ok(())) => ExitCode::SUCCESS,
        (Done::Badly, Ok(())) => ExitCode::FAILURE,
        (Done::Alarmed, Ok(())) => ExitCode::from(ALARM),
        (_, Err(lost)) => {
            say(&mut Terminal::default(), &format!("the output could not be written: {lost}"));
            ExitCode::FAILURE
        }
    }
}

/// A line for the operator, on standard error.
fn say(terminal: &mut Terminal, sentence: &str) {
    terminal.err(&format!("service-control: {sentence}"));
}

/// How it came out; what went wrong has been printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    Well,
    Badly,
    /// The status was shown, and a token needs a person.
    Alarmed,
}

fn carry_out(command: &Command, layout: Layout, verbose: bool, terminal: &mut Terminal) -> Done {
    match command {
        Command::ListServices => {
            for service in Service::ALL {
                terminal.out(&format!("{service} ({})\n", service.display_name()));
            }
            return Done::Well;
        }
        Command::ListDependencies(services) => {
            for service in Service::ALL {
                if services.iter().any(|asked| depends_on(*asked).contains(&service)) {
                    terminal.out(&format!("{service}\n"));
                }
            }
            return Done::Well;
        }
        Command::Operate(_) | Command::Status(_) => {}
    }
    if let Err(config::Error::Missing(file)) = Config::load(&layout.config_file()) {
        say(
            terminal,
            &format!(
                "{} does not exist: this appliance is not set up. Run `sealwright init` first; if it was set \
                 up under a folder of its own, name it with --root or SEALWRIGHT_ROOT.",
                file.display()
            ),
        );
        return Done::Badly;
    }
    let supervisor = match Supervisor::detect(layout) {
        Ok(supervisor) => supervisor,
        Err(error) => {
            say(terminal, &sentences(&error));
            return Done::Badly;
        }
    };
    if verbose {
        say(terminal, &format!("the services are {}", supervisor.means()));
    }
    match command {
        Command::Status(services) => status::show(&supervisor, services, terminal),
        Command::Operate(plan) => operate::carry_out(&supervisor, plan, verbose, terminal),
        Command::ListServices | Command::ListDependencies(_) => Done::Well,
    }
}

/// What a service needs to do its work. Starting one does not start these: the original's procedure
/// for changing a certificate starts them one by one.
const fn depends_on(service: Service) -> &'static [Service] {
    match service {
        Service::Vmafdd => &[],
        Service::Vmdird => &[Service::Vmafdd],
        Service::Vmcad => &[Service::Vmafdd, Service::Vmdird],
        Service::Gateway => &[Service::Vmafdd, Service::Vmdird, Service::Vmcad],
    }
}
