//! TLS handshakes, on threads of their own, because signing waits for a token.
//!
//! rustls says nothing to a client whose handshake ends because a signature could not be made: it would see
//! half of an answer and the end. Nothing of that answer has left then, so it is held back, and the client is
//! told `internal_error` in its place (RFC 8446, 6.2).

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a client may take for the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A fatal alert, `internal_error`, before there are keys to encrypt it with (RFC 8446, 5.1 and 6).
const INTERNAL_ERROR: [u8; 7] = [21, 3, 3, 0, 2, 2, 80];

tokio::task_local! {
    /// Set while the handshake of this task is being polled, if it must end by a fault of ours.
    static OURS: Arc<AtomicBool>;
}

/// Called where a handshake is about to fail although its client did nothing wrong.
pub(super) fn fault_is_ours() {
    let _ = OURS.try_with(|ours| ours.store(true, Ordering::Relaxed));
}

/// A client's connection that falls silent once its handshake must end by a fault of ours.
#[derive(Debug)]
pub(super) struct Client {
    stream: TcpStream,
    ours: Arc<AtomicBool>,
}

/// Does the handshake on the threads behind `workers`, in time. `None` where there is no connection to serve;
/// the log says why.
pub(super) async fn shake(
    workers: &Handle,
    tls: TlsAcceptor,
    stream: TcpStream,
) -> Option<TlsStream<Client>> {
    let task = workers.spawn(accept(tls, stream));
    let abort = task.abort_handle();
    // Whoever gives up waiting takes the task along.
    let _given_up = OnDrop(Cell::new(Some(move || abort.abort())));
    match timeout(HANDSHAKE, task).await {
        Ok(Ok(Ok(stream))) => return Some(stream),
        Ok(Ok(Err(cause))) => tracing::debug!("a TLS handshake failed: {cause}"),
        Ok(Err(_)) => tracing::debug!("a TLS handshake was given up"),
        Err(_) => tracing::debug!("a client did not finish its TLS handshake"),
    }
    None
}

async fn accept(tls: TlsAcceptor, stream: TcpStream) -> io::Result<TlsStream<Client>> {
    let ours = Arc::new(AtomicBool::new(false));
    let client = Client { stream, ours: Arc::clone(&ours) };
    let shaken = OURS.scope(Arc::clone(&ours), tls.accept(client).into_fallible()).await;
    match shaken {
        Ok(stream) => Ok(stream),
        Err((cause, client)) => {
            if ours.load(Ordering::Relaxed) {
                // So little always fits, before anything else was sent.
                let _ = client.stream.try_write(&INTERNAL_ERROR);
            }
            Err(cause)
        }
    }
}

struct OnDrop<F: FnOnce()>(Cell<Option<F>>);

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(act) = self.0.take() {
            act();
        }
    }
}

impl AsyncRead for Client {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Client {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.ours.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(octets.len()));
        }
        Pin::new(&mut self.stream).poll_write(context, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
