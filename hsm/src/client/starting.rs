//! How an agent comes into service: one at a time, and not too often.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::link::{Link, Lost};
use super::{Token, stopped, too_long, unexpected};
use crate::error::Fault;
use crate::module::lock;
use crate::wire::{Answer, Failed, Opening, Request, Selection, Wiped};
use crate::{AlarmKind, Error, TokenIdentity};

/// The first pause before an agent that failed is replaced again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// The most octets of a text in a token's identity; `CK_TOKEN_INFO` has room for 32.
const LONGEST_IDENTITY: usize = 128;

#[derive(Default)]
pub(super) struct Starting {
    /// The pause after the latest start; zero once an agent has done something useful.
    pause: Duration,
    not_before: Option<Instant>,
    /// Why the latest agent was of no use. Who asks before the pause is over is told the same. `None` where it lacked
    /// just one key, which says nothing to those who ask for another: they wait.
    pub(super) failure: Option<Failed>,
    /// What was said of each key that the agents since the last useful one lacked.
    pub(super) lacked: BTreeSet<String>,
}

impl Token {
    /// The agent that serves, or a new one.
    pub(super) fn link(&self) -> Result<Arc<Link>, Error> {
        self.refuse_quarantined()?;
        if let Some(link) = self.current() {
            return Ok(link);
        }
        let mut starting = lock(&self.starting);
        if let Some(link) = self.current() {
            return Ok(link);
        }
        if let Some(alarm) = &*lock(&self.alarm) {
            return Err(stopped(alarm));
        }
        let now = Instant::now();
        if let Some(not_before) = starting.not_before
            && now < not_before
            && self.launch.is_costly()
        {
            match &starting.failure {
                Some(failure) => return Err(failure.clone().into_error()),
                None => std::thread::sleep(not_before - now),
            }
        }
        let outcome = self.connect();
        let (shortest, longest) = PAUSES;
        starting.pause = (starting.pause * 2).clamp(shortest, longest);
        starting.not_before = Some(Instant::now() + starting.pause);
        starting.failure = outcome.as_ref().err().map(Failed::new);
        let link = outcome?;
        let lacked = std::mem::take(&mut starting.lacked);
        if !lacked.is_empty() {
            // Who misses such a key again is told so at once, and by this agent: a key that is gone must cost the others
            // neither their agent nor the pauses between agents.
            link.is_to_be_believed(lacked, Instant::now() + longest);
        }
        let mut current = lock(&self.link);
        // Raised while this agent was starting.
        if let Some(alarm) = lock(&self.alarm).clone() {
            link.end();
            return Err(stopped(&alarm));
        }
        *current = Some(Arc::clone(&link));
        Ok(link)
    }

    pub(super) fn current(&self) -> Option<Arc<Link>> {
        lock(&self.link).as_ref().filter(|link| link.is_alive()).cloned()
    }

    fn connect(&self) -> Result<Arc<Link>, Error> {
        let seen = self.identity();
        let login_in_doubt = self.login_in_doubt.load(Ordering::Relaxed);
        let opening = Request::Open(Opening { token: self.selection()?, seen, login_in_doubt });
        let link = Link::start(&self.launch).map_err(|cause| {
            Error::Unavailable(Fault::caused_by(
                format!("the token agent cannot be started: {}", self.launch.remedy()),
                cause,
            ))
        })?;
        let until = Instant::now() + self.deadlines.connect;
        for request in [&opening, &Request::Check] {
            let opens = matches!(request, Request::Open(_));
            match link.request(request, until.saturating_duration_since(Instant::now())) {
                // What comes next logs in.
                Ok((Answer::Done, _)) if opens => {
                    self.login_in_doubt.store(true, Ordering::Relaxed)
                }
                Ok((Answer::Identity(identity), _)) if !opens => {
                    self.login_in_doubt.store(false, Ordering::Relaxed);
                    self.same_as_before(identity)?;
                }
                Ok((Answer::Failed(failed), _)) => {
                    // An older doubt stays: this agent need not have come as far as a login.
                    self.login_in_doubt.store(login_in_doubt, Ordering::Relaxed);
                    if let Some(kind) = failed.lasting_alarm() {
                        self.raise(kind, failed.sentence());
                    }
                    return Err(failed.into_error());
                }
                Ok((other, _)) => return Err(unexpected(&other)),
                Err(Lost::Ended(how)) => {
                    return Err(Error::Unavailable(
                        format!("the token agent ended while it was starting ({how}): see the log")
                            .into(),
                    ));
                }
                Err(Lost::TooLong) => return Err(too_long()),
                Err(Lost::Late) => {
                    link.end();
                    return Err(Error::Unavailable(
                        format!(
                            "the token did not log in within {} s, so its agent was ended: look whether the token or \
                             its network connection hangs",
                            self.deadlines.connect.as_secs_f32()
                        )
                        .into(),
                    ));
                }
            }
        }
        Ok(link)
    }

    fn selection(&self) -> Result<Option<Selection>, Error> {
        let Some(config) = self.launch.token() else { return Ok(None) };
        let mut kept = lock(&self.kept_pin);
        if kept.is_none() && !config.pin.is_repeatable() {
            *kept = Some(config.pin.read()?);
        }
        let pin = kept.as_ref().map(|pin| Wiped(pin.expose_secret().as_bytes().to_vec().into()));
        Ok(Some(Selection {
            module: config.module.display().to_string(),
            uri: config.uri.to_string(),
            pin_source: config.pin.to_string(),
            pin,
        }))
    }

    /// The agent has refused another token already, before it sent the PIN; this is for an agent that does not.
    fn same_as_before(&self, identity: TokenIdentity) -> Result<(), Error> {
        let TokenIdentity { label, serial, manufacturer, model } = &identity;
        if [label, serial, manufacturer, model].iter().any(|text| text.len() > LONGEST_IDENTITY) {
            return Err(Error::Refused(
                "the token agent describes its token at a length that no token has: restart the service, and look \
                 into the PKCS#11 module if it happens again"
                    .into(),
            ));
        }
        let mut seen = lock(&self.seen);
        match &*seen {
            Some(before) if before.serial != identity.serial => Err(Error::Refused(
                Fault::from(format!(
                    "another token has taken the place of ours: serial number {} was seen before, now it is {}. Bring \
                     the first token back, or restart the service if the change is meant",
                    before.serial, identity.serial
                ))
                .alarming(AlarmKind::Replaced),
            )),
            _ => {
                *seen = Some(identity);
                Ok(())
            }
        }
    }
}
