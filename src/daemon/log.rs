//! The log: plain text on standard error, times in UTC. Whoever started the service keeps it.

pub(super) fn start() {
    let started = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .try_init();
    // Only a second start in one process can fail, and then there is a log already.
    drop(started);
}
