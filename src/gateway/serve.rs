//! The gateway at work: certificate, listener, control socket.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::{Gateway, certificate, connection, routes};
use crate::access::Roles;
use crate::base::sentences;
use crate::daemon::Backoff;
use crate::http::{Places, Shutdown, serve_unix};

/// Connections at the same time; the next one waits in the kernel's queue.
const CONNECTIONS: u32 = 512;
/// Connections of one client at the same time: it cannot take all of them. More are hung up on.
const EACH: usize = 128;
/// How long connections under way may take to end when the gateway stops.
const FAREWELL: Duration = Duration::from_secs(10);
/// Pause before the certificate is fetched because of a signature: clients must not be able to have it
/// fetched as often as they like.
const CERTIFICATE_PAUSE: Duration = Duration::from_millis(200);
/// Pause after the kernel could not give a connection, mostly for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until told to stop.
pub(super) async fn serve(
    gateway: Arc<Gateway>,
    control: &Path,
    roles: Arc<Roles>,
    shutdown: Shutdown,
) -> io::Result<()> {
    // First of all: the signal's default is to end the process.
    let hangup = signal(SignalKind::hangup())?;
    let (have, has) = watch::channel(false);
    let keeping = tokio::spawn(keep_certificate(Arc::clone(&gateway), hangup, have));
    let door = routes::Door::new(Arc::clone(&gateway));
    let front = tokio::spawn(front_door(gateway, door.clone(), has, shutdown.clone()));
    serve_unix(control, routes::control(door), roles, shutdown).await?;
    keeping.abort();
    let _ = front.await;
    Ok(())
}

/// Fetches the certificate at start, at every `SIGHUP` and when a signature was refused, until it has
/// worked.
async fn keep_certificate(gateway: Arc<Gateway>, mut hangup: Signal, have: watch::Sender<bool>) {
    let mut backoff = Backoff::default();
    loop {
        let fetching = Arc::clone(&gateway);
        let fetch = move || certificate::fetch(&fetching.vecs, fetching.signatures.as_ref());
        let fetched = tokio::task::spawn_blocking(fetch).await;
        match fetched {
            Ok(Ok(identity)) => {
                tracing::info!("presenting the certificate of {}", identity.subject);
                gateway.standing.has_certificate(identity.not_after);
                gateway.presented.replace(identity);
                have.send_replace(true);
                backoff.worked();
                tokio::select! {
                    _ = hangup.recv() => {}
                    () = gateway.standing.signatures_changed() => sleep(CERTIFICATE_PAUSE).await,
                }
            }
            Ok(Err(cause)) => {
                let why = sentences(&cause);
                if !backoff.is_failing() {
                    tracing::warn!("no (new) certificate, trying on: {why}");
                }
                gateway.standing.certificate_failed(why);
                wait(backoff.failed(), &mut hangup, &gateway).await;
            }
            Err(_) => {
                gateway.standing.certificate_failed(
                    "fetching it failed by a fault of the gateway; see its log".to_owned(),
                );
                wait(backoff.failed(), &mut hangup, &gateway).await;
            }
        }
    }
}

/// Until it is worth another attempt: after the pause, by `SIGHUP`, or when the token signs again.
async fn wait(pause: Duration, hangup: &mut Signal, gateway: &Gateway) {
    tokio::select! {
        () = sleep(pause) => {}
        _ = hangup.recv() => {}
        () = gateway.standing.signatures_changed() => sleep(CERTIFICATE_PAUSE).await,
    }
}

/// Opens the port once there is a certificate, and takes connections until told to stop.
async fn front_door(
    gateway: Arc<Gateway>,
    door: routes::Door,
    mut has: watch::Receiver<bool>,
    shutdown: Shutdown,
) {
    let tls = match connection::tls(Arc::clone(&gateway.presented), &gateway.clients) {
        Ok(tls) => tls,
        Err(cause) => {
            return gateway.standing.listener_failed(format!("TLS cannot be set up: {cause}"));
        }
    };
    let opened = async {
        // An error means that the sender is gone: then the gateway stops.
        let _ = has.wait_for(|has| *has).await;
        open(&gateway).await
    };
    let listener = tokio::select! {
        listener = opened => listener,
        () = shutdown.clone().requested() => return,
    };
    let router = routes::front_door(door);
    let places = Arc::new(Semaphore::new(CONNECTIONS as usize));
    let clients = Places::new(EACH, CONNECTIONS as usize);
    let mut accepting = true;
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, client) = tokio::select! {
            next = next => next,
            () = shutdown.clone().requested() => break,
        };
        match client {
            Ok((client, address)) => {
                accepting = true;
                let Ok(own) = clients.enter(network(address.ip())) else {
                    continue;
                };
                let served = connection::serve(
                    gateway.handshakes.clone(),
                    tls.clone(),
                    client,
                    Arc::clone(&gateway.clients),
                    router.clone(),
                    shutdown.clone(),
                );
                tokio::spawn(async move {
                    served.await;
                    drop((own, place));
                });
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
    // All places free: every connection has ended.
    let _ = timeout(FAREWELL, places.acquire_many(CONNECTIONS)).await;
}

/// What tells clients apart: the address, or the IPv6 network that one client usually has whole.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// Opens the port; tries on where it cannot be had.
async fn open(gateway: &Gateway) -> TcpListener {
    let mut backoff = Backoff::default();
    loop {
        match bind(gateway.listen).await {
            Ok(listener) => {
                tracing::info!("listening on {}", gateway.listen);
                gateway.standing.is_listening();
                return listener;
            }
            Err(cause) => {
                let why = format!(
                    "cannot listen on {} ({cause}); free the port, or choose another one with \
                     [gateway] listen in sealwright.toml and restart the gateway",
                    gateway.listen
                );
                if !backoff.is_failing() {
                    tracing::error!("{why}");
                }
                gateway.standing.listener_failed(why);
                sleep(backoff.failed()).await;
            }
        }
    }
}

async fn bind(listen: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(listen).await {
        // "Everywhere" on a machine without IPv6 is everywhere by IPv4.
        Err(cause)
            if listen.ip() == Ipv6Addr::UNSPECIFIED
                && !matches!(cause.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied) =>
        {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, listen.port())).await
        }
        bound => bound,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::network;

    #[test]
    fn a_client_is_an_ipv4_address_or_an_ipv6_network() {
        for (address, of) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3::4", "2001:db8:1:2::"),
        ] {
            assert_eq!(network(address.parse().unwrap()).to_string(), of);
        }
    }
}
