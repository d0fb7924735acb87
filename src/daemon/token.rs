//! A service's token: its selection, its PIN, its first check.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::Failure;
use crate::agent;
use crate::base::{Layout, sentences};
use crate::config::{TokenRole, TokenSection};

/// A token, and the PIN for others that need it where its source answers only once.
pub(super) struct OwnToken {
    pub(super) token: Arc<hsm::Token>,
    pub(super) asked_pin: Option<hsm::Pin>,
}

/// Does not speak to the token, which may be absent; only a setting that cannot be is an error.
pub(super) fn select(
    layout: &Layout,
    role: TokenRole,
    section: &TokenSection,
) -> Result<OwnToken, Failure> {
    let token = agent::launch(layout, role, section)?;
    let source = section.selection()?.pin;
    let mut asked_pin = None;
    // Asked now, while somebody may be at the terminal. Every agent that follows needs it again.
    if section.agent.is_none()
        && matches!(source, hsm::PinSource::Prompt | hsm::PinSource::Descriptor(_))
    {
        match source.read() {
            Ok(pin) => {
                token.remember_pin(hsm::Pin::new(Zeroizing::new(pin.expose_secret().to_owned())));
                asked_pin = Some(pin);
            }
            Err(cause) => tracing::error!("no PIN for the token: {}", sentences(&cause)),
        }
    }
    Ok(OwnToken { token, asked_pin })
}

/// Logs how the token is, on a thread of its own: a module that hangs must not keep the service
/// from answering.
pub(super) fn check_at_start(token: &Arc<hsm::Token>) {
    let token = Arc::clone(token);
    std::thread::spawn(move || match token.check() {
        Ok(identity) => {
            tracing::info!("token {} (serial {}) is logged in", identity.label, identity.serial)
        }
        // An alarm is told by the room, once.
        Err(cause) if cause.alarm().is_some() => {}
        Err(cause) => tracing::error!("the token does not work: {}", sentences(&cause)),
    });
}
