//! `vecs-cli`: the certificate stores of the endpoint (VECS).
//!
//! The grammar, the outputs (with their double and trailing blanks) and the numbers are the
//! original's; scripts read them.

mod command;
mod entries;
mod failure;
mod grammar;
mod help;
mod keys;
mod stores;
mod vecs;
mod words;

use std::ffi::OsString;
use std::process::ExitCode;

use super::certool::Vmca;
use super::failure::Failure;
use super::terminal::Terminal;
use super::{codes, exit, place};
use crate::base::Layout;
use command::Command;
use failure::Ending;
use vecs::Vecs;

pub use help::command;

/// Runs vecs-cli: `arguments` begin with the name of the program.
pub fn run(arguments: impl IntoIterator<Item = OsString>, layout: &Layout) -> ExitCode {
    place::forbid_core_files();
    let mut terminal = Terminal::default();
    let vecs = Vecs::new(layout);
    let code = match words::read(arguments.into_iter().skip(1))
        .and_then(command::meant)
        .and_then(|command| perform(command, layout, &vecs, &mut terminal))
    {
        Ok(()) => 0,
        Err(ending) => ending.report(&mut terminal),
    };
    match (code, terminal.finish()) {
        (0, Err(error)) => {
            let lost = Failure::because(codes::VECS_FILE_IO, &error);
            Terminal::default().err(&format!("the output could not be written: {}", lost.sentence));
            exit::status(lost.code)
        }
        (code, _) => exit::status(code),
    }
}

fn perform(
    command: Command,
    layout: &Layout,
    vecs: &Vecs,
    terminal: &mut Terminal,
) -> Result<(), Ending> {
    match command {
        Command::Help => {
            terminal.out(&help::text());
            Ok(())
        }
        Command::Version => {
            terminal.out(concat!("vecs-cli ", env!("CARGO_PKG_VERSION"), "\n"));
            Ok(())
        }
        Command::StoreList => stores::list(vecs, terminal),
        Command::StoreCreate { name } => stores::create(name, vecs, terminal),
        Command::StoreDelete { name, confirmed } => {
            stores::delete(&name, confirmed, vecs, terminal)
        }
        Command::StorePermission { name, change } => {
            stores::change_permission(&name, &change, vecs, terminal)
        }
        Command::StorePermissions { name } => stores::permissions(&name, vecs, terminal),
        Command::EntryCreate { store, alias, content } => {
            entries::create(&store, alias, &content, vecs, terminal)
        }
        Command::EntryList { store, detail } => entries::list(&store, detail, vecs, terminal),
        Command::EntryDelete { entry, confirmed } => {
            entries::delete(&entry, confirmed, vecs, terminal)
        }
        Command::EntryCertificate { entry, output, as_text } => {
            entries::certificate(&entry, output.as_deref(), as_text, vecs, terminal)
        }
        Command::EntryKey { entry, output } => {
            entries::key(&entry, output.as_deref(), vecs, terminal)
        }
        Command::EntryGenerate { entry, wanted } => {
            let vmca = Vmca::new(None, layout);
            keys::generate(&entry, *wanted, vecs, &vmca, terminal)
        }
        Command::EntrySign { entry, files, scheme } => keys::sign(&entry, &files, scheme, vecs),
        Command::ForceRefresh => vecs.refresh().map_err(Ending::from),
    }
}
