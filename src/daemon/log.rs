//! The log: plain text on standard error, times in UTC. Whoever started the service keeps it.

use std::error::Error;

pub(super) fn start() {
    let started = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .try_init();
    // Only a second start in one process can fail, and then there is a log already.
    drop(started);
}

/// An error and its causes, one sentence after the other.
pub(crate) fn sentences(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
