//! The step from async handlers to synchronous rooms.

use super::Reject;
use crate::api::{Kind, Problem};

/// Runs a room's work where it may block, and turns its refusal into words.
///
/// # Errors
/// The work's own problem; an internal one if the work panicked.
pub async fn on_blocking_thread<T, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Reject>
where
    T: Send + 'static,
    E: Into<Problem> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|refusal| Reject(refusal.into())),
        Err(_) => Err(panicked()),
    }
}

/// What is told of work that panicked.
pub(super) fn panicked() -> Reject {
    Reject(Problem {
        kind: Kind::Internal,
        // ERROR_INTERNAL_ERROR of Win32: every service has its own tool, and all know these.
        code: 1359,
        detail: "the service failed by a fault of its own; see its log".to_owned(),
    })
}
