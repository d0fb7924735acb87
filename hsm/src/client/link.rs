//! One connection to one agent: requests go out as they come, answers find their askers by number.

use std::collections::BTreeSet;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::launch::{Ends, Launch};
use super::waiting::{Awaited, Ended, Outcome, Waiting};
use crate::module::lock;
use crate::wire::{self, Answer, Frames, Request};

/// How long an agent that hung up may take to be gone.
const FAREWELL: Duration = Duration::from_secs(3);
/// How long it may take after it was killed.
const LAST: Duration = Duration::from_secs(1);
/// `SIGSYS`: the kernel ends a process so that makes a system call which its filter does not allow.
const SIGSYS: i32 = 31;

/// Requests that are sent in one go.
const CHUNK: usize = 16;

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(super) enum Lost {
    /// The deadline has passed.
    Late,
    /// The agent ended, and how.
    Ended(String),
    /// The request has more octets than a message may have. It was not sent.
    TooLong,
}

/// An answer, and whether the agent asks to be replaced.
pub(super) type Told = Result<(Answer, bool), Lost>;

/// A running agent. When the last holder lets go of it, the agent ends after what is under way.
pub(super) struct Link {
    shared: Arc<Shared>,
    writer: Mutex<UnixStream>,
    /// The same connection, to hang up while somebody still waits to write.
    stream: UnixStream,
    used: AtomicBool,
    second_opinion: OnceLock<(BTreeSet<String>, Instant)>,
    process: Option<u32>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    waiting: Waiting,
    child: Mutex<Option<Child>>,
    alive: AtomicBool,
    ended: Mutex<Option<String>>,
}

impl Link {
    /// Starts an agent, or connects to one. It has not been opened yet.
    pub(super) fn start(launch: &Launch) -> io::Result<Arc<Self>> {
        let Ends { stream, child, thread } = launch.connect()?;
        let process = child.as_ref().map(Child::id);
        let shared = Arc::new(Shared {
            waiting: Waiting::default(),
            child: Mutex::new(child),
            alive: AtomicBool::new(true),
            ended: Mutex::default(),
        });
        let writer = hear(&shared, &stream).inspect_err(|_| {
            // Nobody else would wait for it.
            if let Some(mut child) = lock(&shared.child).take() {
                let _ = child.kill();
                let _ = child.wait();
            }
        })?;
        Ok(Arc::new(Self {
            shared,
            writer: Mutex::new(writer),
            stream,
            used: AtomicBool::new(false),
            second_opinion: OnceLock::new(),
            process,
            thread,
        }))
    }

    pub(super) fn is_alive(&self) -> bool {
        self.shared.alive.load(Ordering::SeqCst)
    }

    pub(super) const fn process(&self) -> Option<u32> {
        self.process
    }

    /// True once: for the first request that went well.
    pub(super) fn first_use(&self) -> bool {
        !self.used.load(Ordering::Relaxed) && !self.used.swap(true, Ordering::Relaxed)
    }

    /// This agent was started because others lacked keys. Until then it is believed if it says the same of one of them.
    pub(super) fn is_to_be_believed(&self, lacked: BTreeSet<String>, until: Instant) {
        // Whoever starts an agent says so once.
        let _once = self.second_opinion.set((lacked, until));
    }

    /// Whether what this agent says of a key needs no second opinion.
    pub(super) fn is_believed(&self, lacked: &str) -> bool {
        self.is_second_opinion()
            && self.second_opinion.get().is_some_and(|(known, _)| known.contains(lacked))
    }

    /// What it is believed about.
    pub(super) fn lacked(&self) -> impl Iterator<Item = &String> {
        self.second_opinion.get().into_iter().flat_map(|(lacked, _)| lacked)
    }

    pub(super) fn is_second_opinion(&self) -> bool {
        self.second_opinion.get().is_some_and(|(_, until)| Instant::now() < *until)
    }

    /// Sends one request and waits for its answer.
    pub(super) fn request(&self, request: &Request, deadline: Duration) -> Told {
        let told = self.request_all(&[request], deadline).pop();
        told.unwrap_or_else(|| Err(Lost::Ended("nothing was asked".to_owned())))
    }

    /// Sends requests as the agent has room for them, and waits until each has its answer; answers stand in the order of
    /// the requests.
    ///
    /// A request is late when the agent has been at it for longer than `deadline`. What still waits for its turn is
    /// not late: a slow token with a long queue is no token that hangs.
    pub(super) fn request_all(&self, requests: &[&Request], deadline: Duration) -> Vec<Told> {
        let sent: Vec<_> =
            requests.chunks(CHUNK).map(|chunk| (chunk.len(), self.send(chunk, deadline))).collect();
        sent.into_iter().flat_map(|(amount, sent)| self.receive(amount, sent)).collect()
    }

    fn receive(&self, amount: usize, sent: Result<Awaited, Lost>) -> Vec<Told> {
        let awaited = match sent {
            Ok(awaited) => awaited,
            Err(lost) => return (0..amount).map(|_| Err(lost.clone())).collect(),
        };
        let (outcomes, hangs) = self.shared.waiting.wait(&awaited);
        if hangs {
            self.end();
        }
        let told = outcomes.into_iter().map(|outcome| match outcome {
            Outcome::Answered(frame) => {
                frame.read().map(|answer| (answer, frame.worn)).map_err(|cause| {
                    self.end();
                    Lost::Ended(cause.to_string())
                })
            }
            Outcome::Late => Err(Lost::Late),
            Outcome::Ended => Err(self.ended()),
        });
        told.collect()
    }

    /// All of them, or none.
    fn send(&self, requests: &[&Request], deadline: Duration) -> Result<Awaited, Lost> {
        let frames = wire::Outgoing::of(requests).map_err(|_| Lost::TooLong)?;
        let waiting = &self.shared.waiting;
        // Before the writer is taken: who waits for room keeps nobody from sending.
        if let Err(Ended { hangs }) = waiting.reserve(requests.len()) {
            if hangs {
                self.end();
            }
            return Err(self.ended());
        }
        // The agent takes requests up in the order of their numbers, and deadlines rely on that.
        let mut writer = lock(&self.writer);
        let awaited = waiting.enter(requests.len(), deadline).ok_or_else(|| self.ended())?;
        let sent = writer
            .set_write_timeout(Some(deadline.max(Duration::from_millis(1))))
            .and_then(|()| frames.send(&mut *writer, awaited.first()));
        match sent {
            Ok(()) => Ok(awaited),
            Err(cause) => {
                waiting.leave(&awaited);
                drop(writer);
                match cause.kind() {
                    // Half a frame may be on its way: nothing that follows could be understood.
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Err(Lost::Late),
                    _ => Err(self.ended()),
                }
            }
        }
    }

    /// Ends the agent at once, whatever it is doing. Nobody waits for its answers any more, nor for its end: a process
    /// that the kernel does not let go of would hold them all.
    pub(super) fn end(&self) {
        self.shared.alive.store(false, Ordering::SeqCst);
        lock(&self.shared.ended).get_or_insert_with(|| "its client gave it up".to_owned());
        self.shared.waiting.end();
        if let Some(child) = &mut *lock(&self.shared.child) {
            // An error says that it has ended already.
            let _ = child.kill();
        }
        // Not through the writer: who has it may wait for an agent that does not read.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    fn ended(&self) -> Lost {
        let how = lock(&self.shared.ended).clone();
        Lost::Ended(how.unwrap_or_else(|| "it hung up".to_owned()))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // The sign to end. The thread that reads answers waits for the child.
        let _ = self.stream.shutdown(Shutdown::Both);
        // Its module is finalised when it has ended, and whoever let go of the token relies on that.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Starts the thread that hands out answers. Also gives the end of the connection that is written to.
fn hear(shared: &Arc<Shared>, stream: &UnixStream) -> io::Result<UnixStream> {
    let (reader, telling) = (stream.try_clone()?, Arc::clone(shared));
    let writer = stream.try_clone()?;
    std::thread::Builder::new()
        .name("token-answers".to_owned())
        .spawn(move || telling.read_answers(reader))?;
    Ok(writer)
}

impl Shared {
    fn read_answers(&self, stream: UnixStream) {
        let mut frames = Frames::new(stream);
        let cause = loop {
            match frames.next() {
                Ok(Some(frame)) => self.waiting.hand_out(frame),
                Ok(None) => break None,
                Err(cause) => break Some(cause),
            }
        };
        self.alive.store(false, Ordering::SeqCst);
        // Its end is waited for outside the lock, which whoever ends it needs.
        let mut child = lock(&self.child).take();
        let status = child.as_mut().and_then(wait_or_end);
        let how = match (status, cause) {
            (Some(status), _) => describe(status),
            (None, Some(cause)) => cause.to_string(),
            (None, None) => "it hung up".to_owned(),
        };
        tracing::debug!("a token agent ended: {how}");
        lock(&self.ended).get_or_insert(how);
        // Everybody who still waits learns it now.
        self.waiting.end();
        if let (None, Some(mut child)) = (status, child) {
            // So that it leaves no zombie; a process inside a driver that hangs may stay for as long as that does.
            let _ = child.wait();
        }
    }
}

/// Waits for a child that hung up; one that does not go is ended. `None` if it is there still.
fn wait_or_end(child: &mut Child) -> Option<ExitStatus> {
    for patience in [FAREWELL, LAST] {
        let until = Instant::now() + patience;
        while Instant::now() < until {
            match child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) => std::thread::sleep(Duration::from_millis(2)),
                Err(_) => return None,
            }
        }
        let _ = child.kill();
    }
    None
}

fn describe(status: ExitStatus) -> String {
    match status.signal() {
        Some(SIGSYS) => {
            "the PKCS#11 module made a system call that the agent's sandbox does not allow: see docs/OPERATIONS.md, \
             \"The token agent's sandbox\""
                .to_owned()
        }
        Some(signal) => format!("signal {signal}"),
        None => status.to_string(),
    }
}
