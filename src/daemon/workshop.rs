//! A service's door to its key workshop, the child process that makes keys in administrative mode.

use std::sync::{Arc, Mutex, PoisonError};

use super::Foundation;
use crate::base::sentences;
use crate::config::TokenRole;
use crate::workshop::{self, WorkshopProcess};

/// Starts the workshop for a token. To be called before confinement, which a child inherits, and
/// before any thread is started.
///
/// Without a workshop the service does everything else; why there is none is said when a key is
/// wanted.
pub(super) fn start(foundation: &Foundation, role: TokenRole) -> Result<WorkshopProcess, String> {
    let section = foundation.config.token(role);
    WorkshopProcess::start(&foundation.layout, role, section).map_err(|cause| {
        let sentences = sentences(&cause);
        tracing::warn!(
            "no key can be made in the {role} token until the service is restarted: {sentences}"
        );
        sentences
    })
}

/// A room's door to the key workshop.
pub(super) struct KeyWorkshop {
    /// Or why it did not start.
    process: Result<WorkshopProcess, String>,
    token: Arc<hsm::Token>,
    /// What was said of a PIN that the token refused: no other try is made before a restart, however
    /// often keys are asked for.
    refused_pin: Mutex<Option<String>>,
}

impl KeyWorkshop {
    pub(super) fn new(process: Result<WorkshopProcess, String>, token: Arc<hsm::Token>) -> Self {
        Self { process, token, refused_pin: Mutex::default() }
    }

    /// Has the workshop do something, unless that could cost another try of a PIN.
    pub(super) fn ask<T>(
        &self,
        work: impl FnOnce(&WorkshopProcess) -> Result<T, workshop::Error>,
    ) -> Result<T, hsm::Error> {
        let mut refused = self.refused_pin.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sentences) = &*refused {
            return Err(hsm::Error::Locked(sentences.clone().into()));
        }
        // A PIN that was refused here would be tried a second time there. The agent is the one that tries first.
        if self.token.health() == hsm::Health::Idle
            && let Err(error) = self.token.check()
            && error.alarm() == Some(hsm::AlarmKind::Pin)
        {
            return Err(error);
        }
        if let hsm::Health::Alarm(alarm) = self.token.health() {
            return Err(hsm::Error::Locked(alarm.what.into()));
        }
        let process = self
            .process
            .as_ref()
            .map_err(|sentences| hsm::Error::Unavailable(sentences.clone().into()))?;
        work(process).map_err(in_token_words).inspect_err(|error| {
            if let hsm::Error::Locked(_) = error {
                let sentences = sentences(error);
                // The agent would try it again when it is replaced.
                self.token.refused_pin(&sentences);
                *refused = Some(sentences);
            }
        })
    }
}

fn in_token_words(error: workshop::Error) -> hsm::Error {
    match error {
        workshop::Error::Token(error) => error,
        failed @ workshop::Error::Failed { .. } => {
            hsm::Error::Unavailable(sentences(&failed).into())
        }
    }
}
