//! The job of `vmafdd` that changes the sealing and wrapping keys, after somebody has asked for it. It
//! goes on by itself when the service starts again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;

use super::Backoff;
use crate::http::WakeRewrap;
use crate::vecs::{Error, Vecs};

/// The running job.
pub(super) struct Rewrapping {
    thread: JoinHandle<()>,
    wake: Sender<()>,
    stop: Arc<AtomicBool>,
}

impl Rewrapping {
    pub(super) fn start(vecs: Arc<Vecs>) -> Self {
        let (wake, woken) = mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            run(&woken, &stopping, &mut || vecs.go_on_with_rewrap(&stopping));
        });
        Self { thread, wake, stop }
    }

    /// To be called when there may be something to do.
    pub(super) fn wake(&self) -> WakeRewrap {
        let wake = self.wake.clone();
        Arc::new(move || {
            // Nobody is there any more only when the service stops.
            let _ = wake.send(());
        })
    }

    /// Ends the job after the entries that are in work.
    pub(super) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.wake.send(());
        let _ = self.thread.join();
    }
}

fn run(woken: &Receiver<()>, stop: &AtomicBool, go_on: &mut dyn FnMut() -> Result<(), Error>) {
    let mut backoff = Backoff::default();
    while !stop.load(Ordering::Relaxed) {
        let next = match go_on() {
            Ok(()) => {
                if backoff.worked() {
                    tracing::info!("the change of keys is no longer held up");
                }
                woken.recv().map_err(|_| RecvTimeoutError::Disconnected)
            }
            Err(fault) => {
                if !backoff.is_failing() {
                    tracing::warn!("the change of keys waits: {}; trying on", fault.sentence());
                }
                woken.recv_timeout(backoff.failed())
            }
        };
        if next == Err(RecvTimeoutError::Disconnected) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;

    use super::run;
    use crate::vecs::Error;

    #[test]
    fn it_rests_when_there_is_nothing_to_do_and_tries_on_when_something_is_in_the_way() {
        let (wake, woken) = mpsc::channel();
        let (stop, mut calls) = (AtomicBool::new(false), 0);
        // During the pause after the fault, during the rest after the second call, and the last one,
        // as whoever stops it sends it.
        (0..3).for_each(|_| wake.send(()).unwrap());
        run(&woken, &stop, &mut || {
            calls += 1;
            stop.store(calls == 3, Ordering::Relaxed);
            match calls {
                1 => Err(Error::NoKeys),
                _ => Ok(()),
            }
        });
        assert_eq!(calls, 3);
        drop(wake);
        run(&woken, &AtomicBool::new(false), &mut || Ok(()));
    }
}
