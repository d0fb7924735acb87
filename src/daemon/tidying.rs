//! The job of `vmafdd` that runs once a minute: handshakes that were counted are recorded, and keys that waited
//! too long for a certificate are destroyed.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::vecs::{Error, Vecs};

const INTERVAL: Duration = Duration::from_secs(60);

/// The running job.
pub(super) struct Tidying {
    thread: JoinHandle<()>,
    stop: Sender<()>,
}

impl Tidying {
    pub(super) fn start(vecs: Arc<Vecs>) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut failing = false;
            loop {
                let tidied = tidy(&vecs);
                match &tidied {
                    Err(cause) if !failing => {
                        tracing::error!("trying on each minute: {}", cause.sentence());
                    }
                    _ => {}
                }
                failing = tidied.is_err();
                if stopped.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout) {
                    // The last time, after the last request.
                    let _ = tidy(&vecs);
                    return;
                }
            }
        });
        Self { thread, stop }
    }

    /// Ends the job after a last round. To be called when nobody signs any more.
    pub(super) fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}

fn tidy(vecs: &Vecs) -> Result<(), Error> {
    vecs.record_handshakes()?;
    vecs.end_pending()
}
