//! What the appliance does in a second, beside what its token and its peers do on the same machine in the same run.
//! `scripts/bench` builds everything and starts this; docs/PERFORMANCE.md says how to read what it prints.

mod appliance;
mod fault;
mod filling;
mod limit;
mod load;
mod parts;
mod plan;
mod processes;
mod report;
mod requests;
mod token;
mod verification;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.split_first() {
        // A child of ours: the module reads its environment, and a crash in it stays there.
        Some((first, rest)) if first == limit::CHILD => limit::child(rest),
        _ => plan::Plan::from_words(&words).and_then(|plan| parts::run(&plan)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            eprintln!("bench: {cause}");
            ExitCode::FAILURE
        }
    }
}
