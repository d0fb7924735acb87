//! One client's connection, from the handshake to its end.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower_service::Service as _;

use super::certificate::Presented;
use super::clients::{Asking, Clients};
use super::handshake;
use crate::http::Shutdown;

/// How long it may take to send the head of a request, or to stay idle.
const REQUEST_HEAD: Duration = Duration::from_secs(10);
/// The largest head of a request, in octets; what clients send is far below it.
const LARGEST_HEAD: usize = 32 * 1024;
/// How long a connection takes requests: nobody holds a place for ever.
const LIFE: Duration = Duration::from_secs(90);
/// How long it may last in all. What was asked for within its life is answered until then.
const END: Duration = Duration::from_secs(120);

/// TLS 1.2 and 1.3 with the certificate that is presented at the moment. Where there are clients, everybody is
/// asked for a certificate, and nobody needs one.
pub(super) fn tls(
    presented: Arc<Presented>,
    clients: &Arc<Clients>,
) -> Result<TlsAcceptor, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
    let config = match clients.is_empty() {
        // A browser that is asked for a certificate may bother its user with the question.
        true => config.with_no_client_auth(),
        false => {
            config.with_client_cert_verifier(Arc::new(Asking::new(Arc::clone(clients), algorithms)))
        }
    };
    let mut config = config.with_cert_resolver(presented);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Serves the connection. Whatever the client does wrong ends here and nowhere else.
pub(super) async fn serve(
    handshakes: Handle,
    tls: TlsAcceptor,
    client: TcpStream,
    clients: Arc<Clients>,
    router: Router,
    shutdown: Shutdown,
) {
    // Answers are small; waiting for more of them only costs time.
    let _ = client.set_nodelay(true);
    let shaken = tokio::select! {
        shaken = handshake::shake(&handshakes, tls, client) => shaken,
        () = shutdown.clone().requested() => return,
    };
    let Some(stream) = shaken else {
        return;
    };
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let peer = Arc::new(clients.peer(shown));
    let answer = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Arc::clone(&peer));
        router.clone().call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_HEAD)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = pin!(connection);
    let life = async {
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = shutdown.requested() => {}
            () = sleep(LIFE) => {}
        }
        connection.as_mut().graceful_shutdown();
        connection.await
    };
    match timeout(END, life).await {
        Ok(Ok(())) => {}
        Ok(Err(cause)) => tracing::debug!("a connection ended: {cause}"),
        Err(_) => tracing::debug!("a connection was ended after {} seconds", END.as_secs()),
    }
}
