//! One client's connection, from the handshake to its end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::certificate::Presented;
use crate::http::Shutdown;

/// How long a client may take for the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long it may take to send the head of a request, or to stay idle.
const REQUEST_HEAD: Duration = Duration::from_secs(10);
/// The largest head of a request, in octets; what clients send is far below it.
const LARGEST_HEAD: usize = 32 * 1024;
/// How long a connection may last in all: nobody holds a place for ever.
const LIFE: Duration = Duration::from_secs(120);

/// TLS 1.2 and 1.3 with the certificate that is presented at the moment.
pub(super) fn tls(presented: Arc<Presented>) -> Result<TlsAcceptor, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(presented);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Serves the connection. Whatever the client does wrong ends here and nowhere else.
pub(super) async fn serve(tls: TlsAcceptor, client: TcpStream, router: Router, shutdown: Shutdown) {
    // Answers are small; waiting for more of them only costs time.
    let _ = client.set_nodelay(true);
    let shaken = tokio::select! {
        shaken = timeout(HANDSHAKE, tls.accept(client)) => shaken,
        () = shutdown.clone().requested() => return,
    };
    let stream = match shaken {
        Ok(Ok(stream)) => stream,
        Ok(Err(cause)) => return tracing::debug!("a TLS handshake failed: {cause}"),
        Err(_) => return tracing::debug!("a client did not finish its TLS handshake"),
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_HEAD)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let life = async {
        tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.requested() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    match timeout(LIFE, life).await {
        Ok(Ok(())) => {}
        Ok(Err(cause)) => tracing::debug!("a connection ended: {cause}"),
        Err(_) => tracing::debug!("a connection was ended after {} seconds", LIFE.as_secs()),
    }
}
