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

/// The async runtime of a service with a door to the network: TLS records are ciphered on its threads. To be made after
/// confinement: it starts threads.
pub(crate) fn runtime_of_a_door() -> Result<Runtime, Failure> {
    runtime(Builder::new_multi_thread().worker_threads(2))
}

/// The same for a room. Whatever takes time is done on other threads, and one thread for all connections never wakes
/// another one up to share what it has read.
fn runtime_of_a_room() -> Result<Runtime, Failure> {
    runtime(&mut Builder::new_current_thread())
}

fn runtime(builder: &mut Builder) -> Result<Runtime, Failure> {
    Ok(builder.max_blocking_threads(BLOCKING).enable_all().build()?)
}

/// Serves a room on the service's socket until `SIGTERM` or `SIGINT`.
pub(super) fn serve(foundation: &Foundation, router: Router) -> Result<(), Failure> {
    let runtime = runtime_of_a_room()?;
    let shutdown = {
        let _inside = runtime.enter();
        Shutdown::on_signal()?
    };
    let socket = foundation.layout.socket(foundation.service);
    announce_when_answering(socket.clone());
    tracing::info!("listening on {}", socket.display());
    let served = router.clone();
    runtime.block_on(serve_unix(&socket, served, foundation.roles.clone(), shutdown))?;
    // Side by side: what the room has begun ends with the router, and whoever stops the service waits for both.
    std::thread::scope(|scope| {
        scope.spawn(|| drop(router));
        runtime.shutdown_timeout(LAST_WORK);
    });
    Ok(())
}
