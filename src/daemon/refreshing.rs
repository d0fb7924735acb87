//! The job of `vmafdd`: TRUSTED_ROOTS and TRUSTED_ROOT_CRLS follow what `vmdird` publishes.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::api::directory::{TRUSTED_ROOTS, TrustedRoot};
use crate::api::{Kind, Problem};
use crate::base::sentences;
use crate::client::Client;
use crate::http::vecs::RefreshNow;
use crate::vecs::{PublishedRoot, Vecs};
use crate::x509::{self, Crl};

/// `ERROR_VECS_MISSING_DC_NAME` of the original: the directory is not there.
const NO_DIRECTORY: u32 = 90019;
/// `ERROR_VECS_UNKNOWN_ERROR`.
const UNKNOWN: u32 = 90101;

enum Message {
    /// Run a cycle and say how it went.
    Now(SyncSender<Result<(), Problem>>),
    Stop,
}

/// The running job.
pub(super) struct Refreshing {
    thread: JoinHandle<()>,
    messages: Sender<Message>,
}

impl Refreshing {
    pub(super) fn start(vecs: Arc<Vecs>, directory: Client, interval: Duration) -> Self {
        let (messages, received) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            run(interval, &received, &mut || cycle(&vecs, &directory));
        });
        Self { thread, messages }
    }

    /// The door for the refresh that somebody asks for.
    pub(super) fn now(&self) -> RefreshNow {
        let messages = self.messages.clone();
        Arc::new(move || ask(&messages))
    }

    /// Ends the job after the cycle it is in.
    pub(super) fn stop(self) {
        let _ = self.messages.send(Message::Stop);
        let _ = self.thread.join();
    }
}

/// Waits for a cycle that begins after the question: one that is under way may have read too early.
fn ask(messages: &Sender<Message>) -> Result<(), Problem> {
    let stopping = |_| Problem {
        kind: Kind::Unavailable,
        code: UNKNOWN,
        detail: "vmafdd is stopping; start it and try again".to_owned(),
    };
    let (answer, answered) = mpsc::sync_channel(1);
    messages.send(Message::Now(answer)).map_err(|_| stopping(mpsc::RecvError))?;
    answered.recv().map_err(stopping)?
}

fn run(
    interval: Duration,
    messages: &Receiver<Message>,
    cycle: &mut dyn FnMut() -> Result<(), Problem>,
) {
    let mut failing = false;
    let mut waiting = Vec::new();
    loop {
        let result = cycle();
        match &result {
            Ok(()) if failing => tracing::info!("trusted roots follow the directory again"),
            Err(problem) if !failing => tracing::warn!("{}; trying on", problem.detail),
            _ => {}
        }
        failing = result.is_err();
        for answer in waiting.drain(..) {
            let answer: SyncSender<Result<(), Problem>> = answer;
            let _ = answer.send(result.clone());
        }
        let mut next = messages.recv_timeout(interval);
        loop {
            match next {
                Ok(Message::Now(answer)) => waiting.push(answer),
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => break,
            }
            // Whoever asked meanwhile shares the cycle.
            next = messages.recv_timeout(Duration::ZERO);
        }
    }
}

fn cycle(vecs: &Vecs, directory: &Client) -> Result<(), Problem> {
    let found: Vec<TrustedRoot> = directory.get(TRUSTED_ROOTS).map_err(|cause| Problem {
        kind: Kind::Unavailable,
        code: NO_DIRECTORY,
        detail: format!(
            "the trusted roots stay as they are, because vmdird does not give its own: {}",
            sentences(&cause)
        ),
    })?;
    let published =
        found.iter().map(parse).collect::<Result<Vec<_>, _>>().map_err(|cause| problem(&cause))?;
    vecs.refresh(&published).map_err(|cause| problem(&cause))
}

fn problem(cause: &dyn std::error::Error) -> Problem {
    Problem {
        kind: Kind::Unavailable,
        code: UNKNOWN,
        detail: format!("the trusted roots could not be refreshed: {}", sentences(cause)),
    }
}

fn parse(root: &TrustedRoot) -> Result<PublishedRoot, x509::Error> {
    let mut certificates = x509::certificates_from_pem(root.certificate.as_bytes())?;
    let certificate = match (certificates.pop(), certificates.is_empty()) {
        (Some(certificate), true) => certificate,
        _ => {
            return Err(x509::Error::Malformed(
                format!("vmdird gave not exactly one certificate for {}", root.id).into(),
            ));
        }
    };
    let crl = root.crl.as_deref().map(Crl::from_pem).transpose()?;
    Ok(PublishedRoot { certificate, crl })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Message, ask, run};
    use crate::api::{Kind, Problem};
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn who_asks_gets_the_answer_of_a_cycle_that_began_after_the_question() {
        let (messages, received) = mpsc::channel();
        let (begun, first_begun) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let job = std::thread::spawn(move || {
            let mut cycles = 0;
            run(Duration::MAX, &received, &mut || {
                cycles += 1;
                begun.send(()).unwrap();
                may_go_on.recv().unwrap();
                Err(Problem { kind: Kind::Unavailable, code: cycles, detail: String::new() })
            });
        });
        first_begun.recv().unwrap();
        let asking = {
            let messages = messages.clone();
            std::thread::spawn(move || ask(&messages))
        };
        for _ in 0..2 {
            go_on.send(()).unwrap();
        }
        assert_eq!(asking.join().unwrap().unwrap_err().code, 2);
        messages.send(Message::Stop).unwrap();
        job.join().unwrap();
        assert!(ask(&messages).is_err(), "nobody is there any more");
    }
}
