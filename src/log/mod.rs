//! Floor 1: the log: plain text on standard error, times in UTC. Whoever started the service keeps it.

/// Starts the log of a process. A second call changes nothing.
pub fn start() {
    let started = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        // A line that cannot be written (the disk is full) is lost. Complaining about that on the same
        // standard error panics.
        .log_internal_errors(false)
        .try_init();
    // Only a second start in one process can fail, and then there is a log already.
    drop(started);
}
