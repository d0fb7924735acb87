//! How many requests at once become certificates: some threads, each with all that waits for it.
//!
//! A lane takes what is waiting, has it issued together ([`Authority::issue_each`]) and answers. While one lane waits for
//! a commit, another builds drafts and a third has the token sign, so that the token is never idle for want of work.
//! What a request costs in hand-overs between threads it shares with those that came at the same time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::queue::{BOUNDS, Full, Queue};
use super::{Authority, Error, Issued, Order, Request};
use crate::access::{CallerId, Issue, Permit};
use crate::base::UnixTime;

/// Enough that the token always has a batch before it while others are being built and written down.
const LANES: usize = 4;
/// How long lanes may go on with what they have begun when the service stops. Together with what connections get, less
/// than whoever stops the service waits.
const LAST_WORK: Duration = Duration::from_secs(5);
/// The most requests that a lane takes at once: the first of them waits for all.
const BATCH: usize = 64;

/// What someone asks for, as it came. Nothing of it has been looked at.
pub struct Asked {
    /// Who asks, and may.
    pub permit: Permit<Issue>,
    /// The PKCS#10 request in PEM.
    pub csr: String,
    /// When validity shall start, where the requester cares.
    pub not_before: Option<UnixTime>,
    /// When validity shall end, where the requester cares.
    pub not_after: Option<UnixTime>,
}

/// Whoever waits for a certificate.
pub trait Asker: Send {
    /// Whether nobody waits any more. Then nothing is begun.
    fn is_gone(&self) -> bool;
    /// Told once, when the outcome is durable.
    fn tell(self: Box<Self>, outcome: Result<Issued, Error>);
}

struct Waiting {
    asked: Asked,
    asker: Box<dyn Asker>,
}

/// The lanes of an authority. Dropped, they begin nothing new, tell so to those who wait, and have some time to finish
/// what they have begun.
pub struct Lanes {
    queue: Arc<Queue<Waiting>>,
    threads: Vec<JoinHandle<()>>,
}

impl Lanes {
    /// Starts the threads.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn start(authority: &Arc<Authority>) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::new(BOUNDS));
        let mut lanes = Self { queue, threads: Vec::new() };
        for number in 0..LANES {
            let (authority, queue) = (Arc::clone(authority), Arc::clone(&lanes.queue));
            let thread = std::thread::Builder::new().name(format!("issue-{number}"));
            lanes.threads.push(thread.spawn(move || serve(&authority, &queue))?);
        }
        Ok(lanes)
    }

    /// Puts a request into the queue. Callers take turns: one that asks for a thousand
    /// certificates does not keep another from its one.
    ///
    /// The asker is told [`Error::Busy`] at once where too many wait, and nothing was recorded then.
    pub fn submit(&self, caller: CallerId, asked: Asked, asker: Box<dyn Asker>) {
        if let Err(Full(waiting)) = self.queue.put(caller, Waiting { asked, asker }) {
            waiting.asker.tell(Err(Error::Busy));
        }
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        for waiting in self.queue.close() {
            waiting.asker.tell(Err(Error::Busy));
        }
        let until = Instant::now() + LAST_WORK;
        for thread in self.threads.drain(..) {
            while !thread.is_finished() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(2));
            }
            // What is not finished then has its intent on record, and the next start reports it.
            if thread.is_finished() {
                let _ = thread.join();
            }
        }
    }
}

fn serve(authority: &Authority, queue: &Queue<Waiting>) {
    loop {
        let taken = queue.take(LANES, BATCH);
        let amount = taken.len();
        if amount == 0 {
            return;
        }
        // Whoever waits learns of a panic by the end of the asker.
        let issued = catch_unwind(AssertUnwindSafe(|| issue(authority, taken)));
        if issued.is_err() {
            tracing::error!("issuing failed by a fault of ours; report this");
        }
        queue.done(amount);
    }
}

fn issue(authority: &Authority, taken: Vec<Waiting>) {
    let (mut orders, mut askers) = (Vec::new(), Vec::new());
    for Waiting { asked, asker } in taken {
        if asker.is_gone() {
            continue;
        }
        let parse = || Request::parse(&asked.csr, asked.not_before, asked.not_after);
        // A request that is the fault of ours takes no other one along.
        let parsed = catch_unwind(AssertUnwindSafe(parse));
        match parsed.unwrap_or(Err(Error::Fault("the request could not be read"))) {
            Ok(request) => {
                orders.push(Order { permit: asked.permit, request });
                askers.push(asker);
            }
            Err(refusal) => asker.tell(Err(refusal)),
        }
    }
    for (asker, outcome) in askers.into_iter().zip(authority.issue_each(orders)) {
        asker.tell(outcome);
    }
}
