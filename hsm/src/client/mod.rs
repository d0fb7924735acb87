//! A token as a service sees it: through its agent.

mod keys;
mod launch;
mod link;
mod starting;
#[cfg(test)]
mod tests;
mod waiting;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub use keys::{SealingKeys, SigningKey};
pub use launch::{Launch, Program, Socket};

use link::{Link, Lost, Told};
use starting::Starting;

use crate::error::Fault;
use crate::module::{lock, quarantined};
use crate::wire::{Answer, Failed, Request};
use crate::{
    Alarm, AlarmKind, Error, Health, KeyGeneration, KeyReference, Pin, TokenConfig, TokenIdentity,
};

/// How long the token may take. What takes longer hangs: its agent is ended, and a fresh one started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Starting the agent, loading the module, logging in.
    pub connect: Duration,
    /// Signing, sealing, opening, looking.
    pub operation: Duration,
    /// Making a key pair. RSA takes its time.
    pub generate: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(20),
            operation: Duration::from_secs(10),
            generate: Duration::from_secs(120),
        }
    }
}

/// A token in service, used through an agent that is started on first use and again after whatever ends it.
///
/// Cheap to share; any number of operations are under way at once.
pub struct Token {
    launch: Launch,
    deadlines: Deadlines,
    link: Mutex<Option<Arc<Link>>>,
    /// Held by the one who starts an agent.
    starting: Mutex<Starting>,
    seen: Mutex<Option<TokenIdentity>>,
    alarm: Mutex<Option<Alarm>>,
    /// Nothing that comes from the token is believed any more.
    quarantined: AtomicBool,
    /// The PIN, only where its source answers once.
    kept_pin: Mutex<Option<Pin>>,
    /// The latest agent ended while it logged in, and nobody knows what became of that try.
    login_in_doubt: AtomicBool,
}

/// How a request stands after an agent was asked.
enum Asked {
    Settled(Result<Answer, Error>),
    /// Another agent may do better. This is why this one did not.
    Again(Error),
}

impl Token {
    /// A token whose agent is a thread of this process: no isolation, no policy. For tests and for tools that do one
    /// thing and end.
    pub fn new(config: TokenConfig) -> Arc<Self> {
        Self::through(Launch::Thread(config), Deadlines::default())
    }

    /// Starts nothing yet: a token that is absent today may be there tomorrow, and the service stays up meanwhile.
    pub fn through(launch: Launch, deadlines: Deadlines) -> Arc<Self> {
        Arc::new(Self {
            launch,
            deadlines,
            link: Mutex::default(),
            starting: Mutex::default(),
            seen: Mutex::default(),
            alarm: Mutex::default(),
            quarantined: AtomicBool::new(false),
            kept_pin: Mutex::default(),
            login_in_doubt: AtomicBool::new(false),
        })
    }

    /// Hands over the PIN of a source that answers only once and has been asked already.
    pub fn remember_pin(&self, pin: Pin) {
        *lock(&self.kept_pin) = Some(pin);
    }

    /// Nothing is asked of this token any more: it made something that it cannot have made rightly.
    fn quarantine(&self, why: &str) -> Error {
        // Before the agent is ended: whoever is starting another one looks at it afterwards.
        self.raise(AlarmKind::Quarantine, &quarantined(why));
        let current = lock(&self.link).take();
        // What is under way ends with the agent: none of it would be believed.
        if let Some(link) = current {
            link.end();
        }
        stopped(&Alarm { kind: AlarmKind::Quarantine, what: quarantined(why) })
    }

    /// Refuses what comes from a token in quarantine, also what was under way when it got there.
    fn refuse_quarantined(&self) -> Result<(), Error> {
        match (self.quarantined.load(Ordering::SeqCst), &*lock(&self.alarm)) {
            (true, Some(alarm)) => Err(stopped(alarm)),
            _ => Ok(()),
        }
    }

    /// Tells that another process of ours tried the PIN of this token in vain: no agent tries it again. The agent that
    /// is logged in serves on; the alarm lasts until a restart.
    pub fn refused_pin(&self, what: &str) {
        self.raise(AlarmKind::Pin, what);
    }

    /// Identity as last seen; `None` before the first connection.
    pub fn identity(&self) -> Option<TokenIdentity> {
        lock(&self.seen).clone()
    }

    /// The process number of the agent, where it is a process of ours that runs now.
    pub fn agent(&self) -> Option<u32> {
        lock(&self.link).as_ref().filter(|link| link.is_alive()).and_then(|link| link.process())
    }

    /// A signing key in this token. Nothing is looked up before its first use.
    pub fn signing_key(self: &Arc<Self>, key: KeyReference) -> SigningKey {
        SigningKey::new(Arc::clone(self), key)
    }

    /// The sealing keys of one generation in this token. Nothing is looked up before their first use.
    pub fn sealing_keys(self: &Arc<Self>, generation: KeyGeneration) -> SealingKeys {
        SealingKeys::new(Arc::clone(self), generation)
    }

    /// Fills `octets` from the token's random number generator (`C_GenerateRandom`).
    pub fn random(&self, octets: &mut [u8]) -> Result<(), Error> {
        for chunk in octets.chunks_mut(usize::from(u16::MAX)) {
            match self.operate(&Request::Random(chunk.len() as u16))? {
                Answer::Secret(drawn) if drawn.0.len() == chunk.len() => {
                    chunk.copy_from_slice(&drawn.0);
                }
                other => return Err(unexpected(&other)),
            }
        }
        Ok(())
    }

    /// Lets a fresh agent take over, so that keys made by another process are seen. What is under way goes on.
    pub fn reload(&self) -> Result<(), Error> {
        let before = self.current();
        self.operate(&Request::Reload)?;
        // Also one that is a second opinion, or was being started just now: it may not see what was made before this call.
        for link in before.iter().chain(&self.current()) {
            self.retire(link);
        }
        self.check().map(drop)
    }

    /// A live check: an agent runs, is logged in, and the token is still the same. Starts an agent if need be.
    ///
    /// A software token may answer from memory after its folder is gone; `check` of a key asks for more.
    pub fn check(&self) -> Result<TokenIdentity, Error> {
        match self.operate(&Request::Check)? {
            Answer::Identity(identity) => Ok(identity),
            other => Err(unexpected(&other)),
        }
    }

    /// What is known without asking the token: quick, no I/O.
    pub fn health(&self) -> Health {
        if let Some(alarm) = lock(&self.alarm).clone() {
            return Health::Alarm(alarm);
        }
        match (self.identity(), &*lock(&self.link)) {
            (Some(identity), Some(link)) if link.is_alive() => Health::Serving(identity),
            _ => Health::Idle,
        }
    }

    /// An operation that may be repeated, with the deadline of an ordinary one.
    fn operate(&self, request: &Request) -> Result<Answer, Error> {
        self.call(request, self.deadlines.operation)
    }

    /// Asks the agent one thing.
    fn call(&self, request: &Request, deadline: Duration) -> Result<Answer, Error> {
        let nothing = || Err(Error::Unavailable("nothing was asked; report this".into()));
        self.call_all(&[request], deadline).pop().unwrap_or_else(nothing)
    }

    /// Asks the agent several things at once; answers stand in the order of the requests. Where it ended, or says that
    /// only a fresh one can help, a fresh one is asked once more: every request may be repeated, because what an agent
    /// did and could not tell is never used by anybody.
    fn call_all(&self, requests: &[&Request], deadline: Duration) -> Vec<Result<Answer, Error>> {
        if requests.is_empty() {
            // No agent is started for nothing.
            return Vec::new();
        }
        let first = match self.link() {
            Ok(link) => self.ask(&link, requests, deadline),
            Err(error) => return refuse_all(requests.len(), &error),
        };
        let again: Vec<&Request> = (requests.iter().zip(&first))
            .filter_map(|(request, asked)| matches!(asked, Asked::Again(_)).then_some(*request))
            .collect();
        let second = match again.is_empty() {
            true => None,
            // Where there is none, the failure that led here says more than the pause after it.
            false => self.link().ok().map(|link| self.ask(&link, &again, deadline)),
        };
        let mut second = second.into_iter().flatten();
        let conclude = |asked| match asked {
            Asked::Settled(outcome) => outcome,
            Asked::Again(failure) => match second.next() {
                Some(Asked::Settled(outcome)) => outcome,
                Some(Asked::Again(failure)) => Err(failure),
                // Where the token was stopped meanwhile, that says more than how its agent ended.
                None => Err(self.refuse_quarantined().err().unwrap_or(failure)),
            },
        };
        first.into_iter().map(conclude).collect()
    }

    /// Asks this agent, once.
    fn ask(&self, link: &Arc<Link>, requests: &[&Request], deadline: Duration) -> Vec<Asked> {
        let told = link.request_all(requests, deadline);
        told.into_iter().map(|told| self.settle(link, told, deadline)).collect()
    }

    /// What an answer, or its absence, means for the agent and for whoever asked.
    fn settle(&self, link: &Arc<Link>, told: Told, deadline: Duration) -> Asked {
        match told {
            Ok((Answer::Failed(failed), worn)) => {
                let lacked = failed.is_about_one_key().then(|| failed.sentence().to_owned());
                if lacked.as_ref().is_some_and(|lacked| link.is_believed(lacked)) {
                    return Asked::Settled(Err(failed.into_error()));
                }
                let worn_out = self.retire_worn(link, worn);
                if let Some(kind) = failed.lasting_alarm() {
                    self.raise(kind, failed.sentence());
                    self.retire(link);
                    return Asked::Settled(Err(failed.into_error()));
                }
                if !(worn && failed.is_absence()) {
                    return Asked::Settled(Err(failed.into_error()));
                }
                // Also a second opinion, which is one about another key.
                if self.retire(link) || worn_out {
                    let mut starting = lock(&self.starting);
                    // A key that was destroyed must not be the answer to who asks for another one.
                    starting.failure = lacked.is_none().then(|| failed.clone());
                    // Two keys that are gone do not cost each other an agent with every question.
                    starting.lacked.extend(link.lacked().cloned().chain(lacked));
                }
                Asked::Again(failed.into_error())
            }
            Ok((answer, worn)) => {
                // Whoever starts another agent meanwhile may take long, and this answer is there.
                if link.first_use()
                    && let Ok(mut starting) = self.starting.try_lock()
                {
                    *starting = Starting::default();
                }
                self.retire_worn(link, worn);
                Asked::Settled(Ok(answer))
            }
            Err(Lost::Late) => {
                link.end();
                self.retire(link);
                Asked::Settled(Err(Error::Unavailable(
                    format!(
                        "the token did not answer within {} s, so its agent was ended, and a fresh one is started \
                         at the next request: look whether the token or its network connection hangs",
                        deadline.as_secs_f32()
                    )
                    .into(),
                )))
            }
            Err(Lost::TooLong) => Asked::Settled(Err(too_long())),
            Err(Lost::Ended(how)) => {
                let first = self.retire(link);
                let error = Error::Unavailable(
                    format!(
                        "the token agent ended ({how}): a fresh one is started at the next request; see the log"
                    )
                    .into(),
                );
                if first {
                    lock(&self.starting).failure = Some(Failed::new(&error));
                }
                Asked::Again(error)
            }
        }
    }

    /// An agent asks to be replaced with every answer once it has missed a key. While it is believed about that, it
    /// serves those who ask for other keys.
    fn retire_worn(&self, link: &Arc<Link>, worn: bool) -> bool {
        worn && !link.is_second_opinion() && self.retire(link)
    }

    /// No new request goes to this agent. It ends when those under way are through. True for the first who says so, and
    /// only that one says why: others may learn from it long after the next agent has failed for another reason.
    fn retire(&self, link: &Arc<Link>) -> bool {
        let mut current = lock(&self.link);
        let first = current.as_ref().is_some_and(|current| Arc::ptr_eq(current, link));
        if first {
            *current = None;
        }
        first
    }

    fn raise(&self, kind: AlarmKind, what: &str) {
        let mut alarm = lock(&self.alarm);
        // A wrong signature is worse news than a PIN.
        let worse = kind == AlarmKind::Quarantine && !self.quarantined.load(Ordering::SeqCst);
        if alarm.is_none() || worse {
            tracing::error!(?kind, "token alarm: {what}");
            if kind == AlarmKind::Pin {
                // It is of no use any more.
                *lock(&self.kept_pin) = None;
            }
            *alarm = Some(Alarm { kind, what: what.to_owned() });
            self.quarantined.store(kind == AlarmKind::Quarantine, Ordering::SeqCst);
        }
    }
}

/// The error that a raised alarm stands for.
fn stopped(alarm: &Alarm) -> Error {
    let fault = Fault::from(alarm.what.clone()).alarming(alarm.kind);
    match alarm.kind {
        AlarmKind::Pin => Error::Locked(fault),
        AlarmKind::Quarantine | AlarmKind::Replaced => Error::Refused(fault),
    }
}

/// One error, told to several who asked for different things at once.
fn refuse_all(amount: usize, error: &Error) -> Vec<Result<Answer, Error>> {
    let failed = Failed::new(error);
    (0..amount).map(|_| Err(failed.clone().into_error())).collect()
}

fn too_long() -> Error {
    Error::Refused(
        "this is more than a token agent takes at once: ask for less, in parts if it must be"
            .into(),
    )
}

fn unexpected(answer: &Answer) -> Error {
    Error::Unavailable(
        format!("the token agent answered another question than was asked (with {}): restart the service", answer.kind()).into(),
    )
}
