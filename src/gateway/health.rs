//! How the gateway itself is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::api::{Health, State};
use crate::base::{Service, UnixTime};

/// What the parts of the gateway report while they work.
#[derive(Debug, Default)]
pub(super) struct Standing {
    facts: Mutex<Facts>,
    /// Whether the last signature of a handshake failed; beside the facts, for every handshake looks.
    signing_fails: AtomicBool,
    /// Told when that changes.
    changed: Notify,
}

#[derive(Clone, Debug, Default)]
struct Facts {
    /// Until when the presented certificate is valid; absent: there is none.
    not_after: Option<UnixTime>,
    /// Why the last attempt to fetch the certificate failed.
    certificate_fault: Option<String>,
    /// Why the token did not sign the last handshake that needed it.
    signing_fault: Option<String>,
    listening: bool,
    /// Why the port cannot be opened.
    listener_fault: Option<String>,
}

impl Standing {
    fn change(&self, change: impl FnOnce(&mut Facts)) {
        change(&mut self.facts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn has_certificate(&self, not_after: UnixTime) {
        self.change(|facts| {
            facts.not_after = Some(not_after);
            facts.certificate_fault = None;
            facts.signing_fault = None;
        });
        self.signing_fails.store(false, Ordering::Relaxed);
    }

    pub(super) fn certificate_failed(&self, why: String) {
        self.change(|facts| facts.certificate_fault = Some(why));
    }

    /// The token signed a handshake.
    pub(super) fn signed(&self) {
        if self.signing_fails.swap(false, Ordering::Relaxed) {
            self.change(|facts| facts.signing_fault = None);
            tracing::info!("handshakes are signed again");
            self.changed.notify_one();
        }
    }

    /// The token, or `vmafdd`, did not sign a handshake.
    pub(super) fn signing_failed(&self, why: &str) {
        self.change(|facts| facts.signing_fault = Some(why.to_owned()));
        if !self.signing_fails.swap(true, Ordering::Relaxed) {
            tracing::warn!("TLS handshakes fail: {why}");
            self.changed.notify_one();
        }
    }

    /// Waits until handshakes fail that did not, or the other way round.
    pub(super) async fn signatures_changed(&self) {
        self.changed.notified().await;
    }

    pub(super) fn is_listening(&self) {
        self.change(|facts| {
            facts.listening = true;
            facts.listener_fault = None;
        });
    }

    pub(super) fn listener_failed(&self, why: String) {
        self.change(|facts| facts.listener_fault = Some(why));
    }

    pub(super) fn health(&self, now: UnixTime) -> Health {
        let facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (state, detail) = facts.judge(now);
        Health { detail, ..Health::new(Service::Gateway, state) }
    }
}

impl Facts {
    fn judge(self, now: UnixTime) -> (State, Option<String>) {
        match self {
            // Without a fault it is only on its way: vmafdd is being asked, the port is being opened.
            Self { not_after: None, certificate_fault, .. } => (State::Down, certificate_fault),
            Self { listening: false, listener_fault, .. } => (State::Down, listener_fault),
            Self { signing_fault: Some(why), .. } => {
                (State::Degraded, Some(format!("TLS handshakes fail: {why}")))
            }
            Self { certificate_fault: Some(why), .. } => {
                (State::Degraded, Some(format!("the certificate from before is still presented: {why}")))
            }
            Self { not_after: Some(end), .. } if end < now => (
                State::Degraded,
                Some(
                    "the machine's certificate has expired; replace MACHINE_SSL_CERT/__MACHINE_CERT \
                     and restart the gateway"
                        .to_owned(),
                ),
            ),
            Self { .. } => (State::Ok, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Standing;
    use crate::api::State;

    #[test]
    fn it_is_well_only_with_a_valid_certificate_and_an_open_port() {
        let standing = Standing::default();
        assert_eq!((standing.health(0).state, standing.health(0).detail), (State::Down, None));
        standing.certificate_failed("vmafdd is away".to_owned());
        assert_eq!(standing.health(0).detail.as_deref(), Some("vmafdd is away"));
        standing.has_certificate(100);
        standing.listener_failed("the port is taken".to_owned());
        let health = standing.health(0);
        assert_eq!(
            (health.state, health.detail.as_deref()),
            (State::Down, Some("the port is taken"))
        );
        standing.is_listening();
        assert_eq!(standing.health(100).state, State::Ok);
        assert_eq!(standing.health(101).state, State::Degraded);
        standing.signing_failed("the token is away");
        assert_eq!(
            standing.health(0).detail.as_deref(),
            Some("TLS handshakes fail: the token is away")
        );
        standing.signed();
        assert_eq!(standing.health(100).state, State::Ok);
        standing.certificate_failed("does not match".to_owned());
        assert_eq!(standing.health(0).state, State::Degraded);
        standing.has_certificate(200);
        assert_eq!(standing.health(101).state, State::Ok);
    }
}
