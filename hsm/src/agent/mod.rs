//! The token agent: the only code that loads a vendor's module and logs in to a token in service.
//!
//! It is a process of its own. What speaks to it is a [`crate::Token`] in another process, over a stream socket: so a
//! vendor call that hangs is ended with its process, a crash inside a module stays there, and the keys of a software
//! token are not in the memory of a process that parses requests.
//!
//! The agent serves one client. It ends when the client hangs up, and at once where a call hangs then.

mod dispatch;
mod peer;

use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

use crate::error::Fault;
use crate::module::lock;
use crate::sessions::Access;
use crate::token::{Remedies, Token};
use crate::wire::{self, Answer, Failed, Frames, Opening, Request, Selection};
use crate::{Error, KeyReference, Pin, Purpose, TokenConfig};

pub use peer::peer;

use dispatch::Desk;

/// How long calls under way may take to end once the client has hung up.
const FAREWELL: Duration = Duration::from_secs(1);

/// Operations that every agent has room for at the same time, however it is configured. Its clients count on it.
pub(crate) const FEWEST_WORKERS: usize = 2;

/// What stands around an agent: its sandbox and its policy.
pub trait Guard: Send + Sync {
    /// Called once, while the process has one thread, before the module is loaded. A refusal, in a sentence for the
    /// operator, ends the agent.
    fn enter(&self, token: &TokenConfig) -> Result<(), String>;

    /// Whether a key of the token signs this for this purpose. A refusal is a sentence that says why not.
    fn judge(&self, purpose: Purpose, key: &KeyReference, message: &[u8]) -> Result<(), String>;

    /// The same for a sealed key, which is stored outside the token. `public_key`: its SubjectPublicKeyInfo, DER.
    fn judge_sealed(
        &self,
        purpose: Purpose,
        public_key: &[u8],
        message: &[u8],
    ) -> Result<(), String>;
}

/// How an agent serves.
#[derive(Clone, Debug)]
pub struct Service {
    /// The token, where the client has no say in it.
    pub token: Option<TokenConfig>,
    /// Operations at the same time; each has a session. At least two.
    pub workers: usize,
    /// Session objects that may be made before the agent asks to be replaced: SoftHSM leaks about 240 octets for each.
    pub wear: u64,
    /// Whether this process is only an agent, so that a fresh one can take its place.
    pub replaceable: bool,
}

impl Default for Service {
    fn default() -> Self {
        Self { token: None, workers: 8, wear: 250_000, replaceable: true }
    }
}

/// How the service of a client ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing is under way in the module: it may be finalised.
    Idle,
    /// Calls are still under way, and perhaps for ever: the process must end without the module's help.
    Busy,
}

/// Serves the client at the other end of `stream` until it hangs up.
///
/// # Errors
/// The first message is not an opening, the guard refuses, or the socket fails. The client has been told.
pub fn serve(stream: UnixStream, service: &Service, guard: Arc<dyn Guard>) -> io::Result<Ended> {
    let mut frames = Frames::new(stream.try_clone()?);
    let Some(first) = frames.next()? else { return Ok(Ended::Idle) };
    let mut writer = stream.try_clone()?;
    let opened = match first.read()? {
        Request::Open(opening) => open(opening, service, &*guard),
        _ => Err(Error::Refused("the first message to a token agent is its opening".into())),
    };
    let token = match opened {
        Ok(token) => token,
        Err(error) => {
            let failed = Failed::new(&error);
            wire::send(&mut writer, first.number, false, &Answer::Failed(failed))?;
            return Err(io::Error::other(error));
        }
    };
    wire::send(&mut writer, first.number, false, &Answer::Done)?;
    drop(first);
    let counter = Arc::new(Counter {
        desk: Desk::new(token, guard, service.wear),
        frames: Mutex::new(frames),
        writer: Mutex::new(writer),
        stream: stream.try_clone()?,
        busy: AtomicUsize::new(0),
        closing: AtomicBool::new(false),
        idle: Mutex::new(()),
        became_idle: Condvar::new(),
    });
    let mut workers = Vec::new();
    for number in 0..service.workers.max(FEWEST_WORKERS) {
        let counter = Arc::clone(&counter);
        let worker = std::thread::Builder::new().name(format!("token-{number}"));
        workers.push(worker.spawn(move || counter.work())?);
    }
    until_hung_up(&stream)?;
    let ended = counter.farewell();
    if ended == Ended::Idle {
        // They find the end of the stream; a panic of theirs has been caught before.
        workers.into_iter().for_each(|worker| drop(worker.join()));
    }
    Ok(ended)
}

fn open(opening: Opening, service: &Service, guard: &dyn Guard) -> Result<Arc<Token>, Error> {
    let Opening { token, seen, login_in_doubt } = opening;
    let (config, pin) = match (&service.token, token) {
        (Some(own), None) => (own.clone(), None),
        (None, Some(selection)) => chosen(selection)?,
        (Some(_), Some(_)) => {
            return Err(Error::Refused(
                "this token agent has its own token and takes no other from a client: remove the token from the \
                 client's configuration, or run the agent without one"
                    .into(),
            ));
        }
        (None, None) => {
            return Err(Error::Refused("a token agent was not told which token is meant".into()));
        }
    };
    guard.enter(&config).map_err(|why| Error::Refused(why.into()))?;
    let remedies = match service.replaceable {
        true => Remedies::FreshProcess,
        false => Remedies::InPlace,
    };
    let token = Token::new(config, Access::ReadOnly, remedies);
    token.remember(seen, pin, login_in_doubt);
    Ok(Arc::new(token))
}

fn chosen(selection: Selection) -> Result<(TokenConfig, Option<Pin>), Error> {
    let Selection { module, uri, pin_source, pin } = selection;
    let pin = match pin.map(|pin| pin.text()) {
        Some(Some(text)) => Some(Pin::new(text)),
        Some(None) => return Err(Error::Refused("the PIN is not text".into())),
        None => None,
    };
    let config =
        TokenConfig { module: PathBuf::from(module), uri: uri.parse()?, pin: pin_source.parse()? };
    Ok((config, pin))
}

/// Waits until the client has hung up. Seen even while every worker is inside the module.
fn until_hung_up(stream: &UnixStream) -> io::Result<()> {
    loop {
        let mut watched = [PollFd::new(stream, PollFlags::RDHUP)];
        match poll(&mut watched, None) {
            Err(rustix::io::Errno::INTR) => {}
            Err(cause) => return Err(cause.into()),
            Ok(_) => return Ok(()),
        }
    }
}

/// Where the workers take requests and hand out answers.
struct Counter {
    desk: Desk,
    /// Held by the worker that waits for the next request; the others work or wait for their turn.
    frames: Mutex<Frames<UnixStream>>,
    writer: Mutex<UnixStream>,
    stream: UnixStream,
    busy: AtomicUsize,
    /// The client has hung up: nothing is begun any more.
    closing: AtomicBool,
    idle: Mutex<()>,
    became_idle: Condvar,
}

impl Counter {
    fn work(&self) {
        while let Ok(Some(frame)) = self.next() {
            let (number, request) = (frame.number, frame.read::<Request>());
            // Wiped now, and not once more as large while the token works.
            drop(frame);
            let answer = match request {
                Ok(request) => self.desk.answer(request),
                Err(cause) => Answer::Failed(Failed::new(&Error::Refused(Fault::caused_by(
                    "the token agent does not know the request",
                    cause,
                )))),
            };
            let sent = self.send(number, &answer);
            drop(answer);
            self.done();
            if sent.is_err() {
                break;
            }
        }
        // Whoever is first to find the end tells the others.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }

    fn next(&self) -> io::Result<Option<wire::Frame>> {
        let mut frames = lock(&self.frames);
        let Some(frame) = frames.next()? else { return Ok(None) };
        // Counted first: either the farewell sees it, or it is not begun.
        self.busy.fetch_add(1, Ordering::SeqCst);
        if self.closing.load(Ordering::SeqCst) {
            self.done();
            return Ok(None);
        }
        Ok(Some(frame))
    }

    fn send(&self, number: u64, answer: &Answer) -> io::Result<()> {
        let (mut writer, worn) = (lock(&self.writer), self.desk.is_worn());
        match wire::send(&mut *writer, number, worn, answer) {
            // Nothing of it was sent. The connection is well, and the others need it.
            Err(cause) if cause.kind() == io::ErrorKind::InvalidData => {
                let refusal =
                    Error::Refused(Fault::caused_by("the answer is too long to be given", cause));
                wire::send(&mut *writer, number, worn, &Answer::Failed(Failed::new(&refusal)))
            }
            outcome => outcome,
        }
    }

    fn done(&self) {
        if self.busy.fetch_sub(1, Ordering::SeqCst) == 1 {
            drop(lock(&self.idle));
            self.became_idle.notify_all();
        }
    }

    fn farewell(&self) -> Ended {
        self.closing.store(true, Ordering::SeqCst);
        let idle = lock(&self.idle);
        let waited = self
            .became_idle
            .wait_timeout_while(idle, FAREWELL, |()| self.busy.load(Ordering::SeqCst) > 0);
        match waited {
            Ok((_, outcome)) if !outcome.timed_out() => Ended::Idle,
            _ => Ended::Busy,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::wire::LONGEST;

    struct Nobody;

    impl Guard for Nobody {
        fn enter(&self, _: &TokenConfig) -> Result<(), String> {
            Err("not here".to_owned())
        }

        fn judge(&self, _: Purpose, _: &KeyReference, _: &[u8]) -> Result<(), String> {
            Err("not here".to_owned())
        }

        fn judge_sealed(&self, _: Purpose, _: &[u8], _: &[u8]) -> Result<(), String> {
            Err("not here".to_owned())
        }
    }

    /// Loads no module.
    fn counter() -> (Counter, UnixStream) {
        let (stream, client) = UnixStream::pair().unwrap();
        let config = TokenConfig {
            module: "/no-such-module.so".into(),
            uri: "pkcs11:token=none".parse().unwrap(),
            pin: "prompt".parse().unwrap(),
        };
        let token = Arc::new(Token::new(config, Access::ReadOnly, Remedies::FreshProcess));
        let counter = Counter {
            desk: Desk::new(token, Arc::new(Nobody), 1),
            frames: Mutex::new(Frames::new(stream.try_clone().unwrap())),
            writer: Mutex::new(stream.try_clone().unwrap()),
            stream,
            busy: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
            idle: Mutex::new(()),
            became_idle: Condvar::new(),
        };
        (counter, client)
    }

    #[test]
    fn an_answer_that_is_too_long_is_refused_and_the_connection_stays() {
        let (counter, client) = counter();
        counter.send(7, &Answer::Sealed(vec![0; LONGEST])).unwrap();
        counter.send(8, &Answer::Done).unwrap();
        let mut frames = Frames::new(client);
        let told = frames.next().unwrap().unwrap();
        let Answer::Failed(failed) = told.read().unwrap() else { panic!("no refusal") };
        assert!(matches!(failed.into_error(), Error::Refused(_)) && told.number == 7);
        assert_eq!(frames.next().unwrap().unwrap().number, 8);
    }

    #[test]
    fn nothing_is_begun_for_a_client_that_has_hung_up() {
        let (counter, mut client) = counter();
        for number in 0..2 {
            wire::send(&mut client, number, false, &Request::Check).unwrap();
        }
        assert_eq!(counter.next().unwrap().unwrap().number, 0);
        counter.done();
        drop(client);
        assert_eq!(counter.farewell(), Ended::Idle);
        assert!(counter.next().unwrap().is_none());
        assert_eq!(counter.busy.load(Ordering::SeqCst), 0);
    }
}
