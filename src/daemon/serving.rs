//! The part between a room and its socket.

use std::time::Duration;

use axum::Router;
use tokio::runtime::{Builder, Runtime};

use super::{Failure, Foundation, announce_when_answering};
use crate::http::{Shutdown, serve_unix};

/// How long a room's work that is still under way may take when the service stops.
const LAST_WORK: Duration = Duration::from_secs(10);

/// Threads for rooms at work: more than guests can have connections (`http/connection.rs`), so that they
/// never keep an administrator waiting.
const BLOCKING: usize = 192;

/// The async runtime of a service. To be made after confinement: it starts threads.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    Ok(Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(BLOCKING)
        .enable_all()
        .build()?)
}

/// Serves a room on the service's socket until `SIGTERM` or `SIGINT`.
pub(super) fn serve(foundation: &Foundation, router: Router) -> Result<(), Failure> {
    let runtime = runtime()?;
    let shutdown = {
        let _inside = runtime.enter();
        Shutdown::on_signal()?
    };
    let socket = foundation.layout.socket(foundation.service);
    announce_when_answering(socket.clone());
    tracing::info!("listening on {}", socket.display());
    runtime.block_on(serve_unix(&socket, router, foundation.roles.clone(), shutdown))?;
    runtime.shutdown_timeout(LAST_WORK);
    Ok(())
}
