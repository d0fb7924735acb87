//! The program `fault-control`: a control socket, and who speaks to it.

use std::path::Path;
use std::process::ExitCode;

use crate::{Control, Controller, rules};

const USAGE: &str = "usage: fault-control serve SOCKET [RULE ...]   listens until it is ended\n\
    \x20      fault-control tell SOCKET WORD ...    add RULE, rules, clear, release, counts, reset";

/// What the program does with its arguments.
pub fn run(arguments: &[String]) -> ExitCode {
    let outcome = match arguments {
        [verb, socket, rules @ ..] if verb == "serve" => serve(Path::new(socket), rules),
        [verb, socket, words @ ..] if verb == "tell" && !words.is_empty() => {
            tell(Path::new(socket), &words.join(" "))
        }
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn serve(socket: &Path, words: &[String]) -> Result<(), String> {
    let rules = rules(&words.join(";")).map_err(|why| why.to_string())?;
    let _controller = Controller::listen(socket, rules).map_err(|cause| {
        format!("{} cannot be listened on: {cause}; remove it if nobody uses it", socket.display())
    })?;
    println!("{}", socket.display());
    loop {
        std::thread::park();
    }
}

fn tell(socket: &Path, line: &str) -> Result<(), String> {
    let told = Control::connect(socket).and_then(|control| control.ask(line));
    let lines = told.map_err(|cause| format!("{}: {cause}", socket.display()))?;
    lines.iter().for_each(|line| println!("{line}"));
    Ok(())
}
