//! The job of `vmcad`: revocation lists kept fresh, CA certificates and lists told to `vmdird`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Backoff, Failure};
use crate::api::directory::{Publish, TRUSTED_ROOTS};
use crate::base::sentences;
use crate::ca::{Authority, Publication};
use crate::client::{self, Client};

/// How often everything is told again, changed or not: a directory that was set up anew learns it.
const INTERVAL: Duration = Duration::from_secs(5 * 60);
/// How often revocation lists are looked at.
const CRL_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// The running job.
pub(super) struct Publishing {
    thread: JoinHandle<()>,
    stopping: Arc<AtomicBool>,
    wake: Sender<()>,
}

impl Publishing {
    /// `wake` is the sending end of `changed`, which the room has as well.
    pub(super) fn start(
        authority: Arc<Authority>,
        directory: Client,
        changed: Receiver<()>,
        wake: Sender<()>,
    ) -> Self {
        let stopping = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stopping);
        let thread = std::thread::spawn(move || run(&authority, &directory, &changed, &told));
        Self { thread, stopping, wake }
    }

    /// Ends the job after the round it is in.
    pub(super) fn stop(self) {
        self.stopping.store(true, Ordering::SeqCst);
        let _ = self.wake.send(());
        let _ = self.thread.join();
    }
}

fn run(authority: &Authority, directory: &Client, changed: &Receiver<()>, stopping: &AtomicBool) {
    let mut backoff = Backoff::default();
    let mut crls_due = Instant::now();
    while !stopping.load(Ordering::SeqCst) {
        if Instant::now() >= crls_due {
            match authority.refresh_crls() {
                Ok(()) => crls_due += CRL_INTERVAL,
                // Without moving the date on: the next round tries again.
                Err(cause) => tracing::warn!(
                    "the revocation lists could not be refreshed: {}",
                    sentences(&cause)
                ),
            }
        }
        let pause = match publish(authority, directory) {
            Ok(count) => {
                if backoff.worked() {
                    tracing::info!("vmdird has all {count} CA certificates again");
                }
                INTERVAL
            }
            Err(cause) => {
                if !backoff.is_failing() {
                    tracing::warn!(
                        "CA certificates could not be published in vmdird; trying on: {}",
                        sentences(cause.as_ref())
                    );
                }
                backoff.failed()
            }
        };
        match changed.recv_timeout(pause) {
            Ok(()) => while changed.try_recv().is_ok() {},
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Tells everything, also past what `vmdird` refuses, so that one certificate that it does not take
/// keeps no other back. The first failure is the answer.
fn publish(authority: &Authority, directory: &Client) -> Result<usize, Failure> {
    let publications = authority.publications()?;
    let mut refused = None;
    for publication in &publications {
        match announce(directory, publication) {
            Ok(()) => {}
            Err(refusal @ client::Error::Refused(_)) => {
                refused.get_or_insert(refusal);
            }
            Err(unreachable) => return Err(unreachable.into()),
        }
    }
    match refused {
        None => Ok(publications.len()),
        Some(refusal) => Err(refusal.into()),
    }
}

fn announce(directory: &Client, publication: &Publication) -> Result<(), client::Error> {
    directory.post(
        TRUSTED_ROOTS,
        &Publish {
            certificate: publication.certificate.to_pem(),
            crl: publication.crl.as_ref().map(|crl| crl.to_pem()),
        },
    )
}
