//! A service's token: its selection, its PIN, its first check.

use std::io::{self, PipeReader, Write};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::Failure;
use crate::base::sentences;
use crate::config::TokenSection;

/// A token, and the PIN for others that need it where its source answers only once.
pub(super) struct OwnToken {
    pub(super) token: Arc<hsm::Token>,
    pub(super) asked_pin: Option<hsm::Pin>,
    /// The token reads the PIN out of it when it first connects.
    _pipe: Option<PipeReader>,
}

/// Does not speak to the token, which may be absent; only a setting that cannot be is an error.
pub(super) fn select(section: &TokenSection) -> Result<OwnToken, Failure> {
    let mut selection = section.selection()?;
    let (mut asked_pin, mut pipe) = (None, None);
    if matches!(selection.pin, hsm::PinSource::Prompt | hsm::PinSource::Descriptor(_)) {
        match selection.pin.read() {
            Ok(pin) => {
                let filled = into_pipe(&pin)?;
                selection.pin = hsm::PinSource::Descriptor(filled.as_raw_fd());
                (asked_pin, pipe) = (Some(pin), Some(filled));
            }
            Err(cause) => tracing::error!("no PIN for the token: {}", sentences(&cause)),
        }
    }
    Ok(OwnToken { token: hsm::Token::new(selection), asked_pin, _pipe: pipe })
}

fn into_pipe(pin: &hsm::Pin) -> io::Result<PipeReader> {
    let (reader, mut writer) = io::pipe()?;
    let text = Zeroizing::new(pin.expose_secret().as_bytes().to_vec());
    // A PIN is far shorter than what a pipe takes without a reader.
    writer.write_all(&text)?;
    Ok(reader)
}

/// Logs how the token is, on a thread of its own: a module that hangs must not keep the service
/// from answering.
pub(super) fn check_at_start(token: &Arc<hsm::Token>) {
    let token = Arc::clone(token);
    std::thread::spawn(move || match token.check() {
        Ok(identity) => {
            tracing::info!("token {} (serial {}) is logged in", identity.label, identity.serial)
        }
        Err(cause) => tracing::error!("the token does not work: {}", sentences(&cause)),
    });
}
