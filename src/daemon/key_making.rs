//! The job of `vmafdd` that makes the first sealing keys, as soon as the token is there.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;

use super::Backoff;
use crate::vecs::Vecs;

/// The running job; it ends by itself when there are keys.
pub(super) struct KeyMaking {
    thread: JoinHandle<()>,
    /// Dropped to end it.
    stop: Sender<()>,
}

impl KeyMaking {
    pub(super) fn start(vecs: Arc<Vecs>) -> Self {
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let mut backoff = Backoff::default();
            while let Err(failure) = vecs.ensure_keys() {
                if !backoff.is_failing() {
                    tracing::warn!("{}; trying on", failure.sentence());
                }
                let pause = backoff.failed();
                if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
            if backoff.worked() {
                tracing::info!("the sealing keys are there now");
            }
        });
        Self { thread, stop }
    }

    /// Ends the job after the attempt it is in: keys that are being made come on record.
    pub(super) fn stop(self) {
        drop(self.stop);
        let _ = self.thread.join();
    }
}
