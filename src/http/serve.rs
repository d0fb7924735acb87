//! Listening on a Unix socket until told to stop.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::{Extension, Router};
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::Peer;
use crate::access::Roles;

/// The largest request: a bundle of certificates and a key, with room to spare.
const LARGEST_REQUEST: usize = 4 * 1024 * 1024;

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
/// Everyone may connect (mode 0666): the kernel names the caller and the role table decides.
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
    let router = router
        .layer(DefaultBodyLimit::max(LARGEST_REQUEST))
        .layer(Extension(roles))
        .into_make_service_with_connect_info::<Peer>();
    axum::serve(listener, router).with_graceful_shutdown(shutdown.requested()).await?;
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
