//! Listening on a Unix socket until told to stop.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::connection;
use crate::access::Roles;

/// How long answers under way may take when the service stops; what a room still does after that
/// has its own time, and both together are less than whoever stops the service waits.
const FAREWELL: Duration = Duration::from_secs(8);
/// Pause after the kernel could not give a connection, mostly for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Told to everything that must end when the service stops.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// Waits until the service is asked to stop.
    pub async fn requested(mut self) {
        // An error means the sender is gone, which is a stop as well.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Resolves on `SIGTERM` or `SIGINT`. Needs a runtime.
    pub fn on_signal() -> io::Result<Self> {
        let (stop, requested) = watch::channel(false);
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            let _ = stop.send(true);
        });
        Ok(Self(requested))
    }
}

/// Serves a router on a Unix socket until `SIGTERM`; requests under way are finished first.
///
/// Everyone may connect (mode 0666): the kernel names the caller and the role table decides. What
/// one user can hold of the service is bounded; see `connection.rs`.
///
/// # Errors
/// The socket cannot be made: its folder is missing, or its path is longer than the 107 octets
/// that `sockaddr_un` holds.
pub async fn serve_unix(
    socket: &Path,
    router: Router,
    roles: Arc<Roles>,
    shutdown: Shutdown,
) -> io::Result<()> {
    let listener = bind(socket)?;
    let router = connection::bounded(router);
    let guests = connection::guests();
    let mut connections = JoinSet::new();
    let mut accepting = true;
    loop {
        let client = tokio::select! {
            client = listener.accept() => client,
            // Those that have ended are taken away, so that the set does not grow.
            Some(_) = connections.join_next() => continue,
            () = shutdown.clone().requested() => break,
        };
        match client {
            Ok((client, _)) => {
                accepting = true;
                if let Some(admitted) = connection::admit(client, &roles, &guests) {
                    let roles = Arc::clone(&roles);
                    connections.spawn(admitted.serve(router.clone(), roles, shutdown.clone()));
                }
            }
            Err(cause) => {
                if accepting {
                    tracing::warn!("connections cannot be taken, trying on: {cause}");
                }
                accepting = false;
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let _ = timeout(FAREWELL, async { while connections.join_next().await.is_some() {} }).await;
    // Whoever is still there is given up now, and what it asked for is not begun any more.
    connections.shutdown().await;
    // Only after the last answer: a client that finds no socket knows that nobody is there.
    let _ = std::fs::remove_file(socket);
    Ok(())
}

fn bind(socket: &Path) -> io::Result<UnixListener> {
    // The pid file's lock says that no other process of this service lives, so a socket that is
    // still there is the left-over of one that was killed.
    match std::fs::symlink_metadata(socket) {
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(socket)?,
        Ok(_) => {
            return Err(io::Error::other(format!("{} is not a socket", socket.display())));
        }
        Err(_) => {}
    }
    let listener = UnixListener::bind(socket).map_err(|cause| {
        io::Error::new(cause.kind(), format!("cannot listen on {}: {cause}", socket.display()))
    })?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

#[cfg(test)]
mod tests;
