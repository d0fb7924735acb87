//! Floor 6: the machine's TLS front door, the part that the reverse proxy of the original plays.
//!
//! It presents `MACHINE_SSL_CERT/__MACHINE_CERT` with its chain as stored, publishes the trusted
//! roots, tells how every service is, and passes requests for certificates on for machines that it knows by
//! their certificates. It holds no token, no database and, unless the configuration
//! says so, no private key: `vmafdd` signs its handshakes in the token. The certificate comes from
//! `vmafdd` at start, on `SIGHUP`, and when a signature is refused; the listener is open only while there
//! is one.

mod bundle;
mod certificate;
mod clients;
mod connection;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod handshake;
mod health;
mod issuing;
mod negotiation;
mod overall;
mod roots;
mod routes;
mod serve;
mod token_key;
mod vmcad;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};

use certificate::Presented;
use clients::Clients;
use health::Standing;
use token_key::Signatures;
use vmcad::Vmcad;

use crate::base::{Clock, Layout, Service, SystemClock};
use crate::client::Client;
use crate::config::GatewayKey;
use crate::daemon::{Failure, Foundation, announce_when_answering, run, runtime_of_a_door};
use crate::http::Shutdown;

/// How long `vmafdd` may take to answer; opening a key in a slow token takes a while.
const VECS_DEADLINE: Duration = Duration::from_secs(20);

/// How long one signature may take: less than a client has for its handshake.
const SIGNATURE_DEADLINE: Duration = Duration::from_secs(8);

/// Threads for handshakes, and so signatures that are waited for at once. Nothing else runs on them: where
/// the token hangs, the gateway goes on answering those who are connected, and the questions on its socket.
const HANDSHAKES: usize = 8;

/// What the parts of the gateway share.
struct Gateway {
    node: String,
    layout: Layout,
    listen: std::net::SocketAddr,
    vecs: Client,
    clock: Arc<dyn Clock>,
    presented: Arc<Presented>,
    /// Who may have certificates issued.
    clients: Arc<Clients>,
    vmcad: Vmcad,
    standing: Arc<Standing>,
    /// `None`: the gateway signs with a key of its own.
    signatures: Option<Arc<Signatures>>,
    /// The threads for handshakes.
    handshakes: Handle,
}

/// The program `gateway`.
pub fn gateway() -> ExitCode {
    run(Service::Gateway, assemble)
}

fn assemble(foundation: Foundation) -> Result<(), Failure> {
    let control = foundation.layout.socket(Service::Gateway);
    let _ = foundation.confine(&[]);
    let vmafdd = foundation.layout.socket(Service::Vmafdd);
    let standing = Arc::new(Standing::default());
    let signatures = match foundation.config.gateway.key {
        GatewayKey::Token => Some(Arc::new(Signatures {
            vecs: Client::keeping(&vmafdd, SIGNATURE_DEADLINE, HANDSHAKES),
            standing: Arc::clone(&standing),
        })),
        GatewayKey::Memory => None,
    };
    let handshakes =
        Builder::new_multi_thread().worker_threads(HANDSHAKES).thread_name("handshake").build()?;
    let gateway = Arc::new(Gateway {
        node: foundation.config.node.name.clone(),
        layout: foundation.layout.clone(),
        listen: foundation.config.gateway.listen,
        vecs: Client::new(&vmafdd, VECS_DEADLINE),
        clock: Arc::new(SystemClock),
        presented: Arc::new(Presented::default()),
        clients: Clients::new(&foundation.config.access.clients),
        vmcad: Vmcad::new(foundation.layout.socket(Service::Vmcad)),
        standing,
        signatures,
        handshakes: handshakes.handle().clone(),
    });
    let runtime = runtime_of_a_door()?;
    let shutdown = {
        let _inside = runtime.enter();
        Shutdown::on_signal()?
    };
    announce_when_answering(control.clone());
    runtime.block_on(serve::serve(gateway, &control, foundation.roles.clone(), shutdown))?;
    runtime.shutdown_timeout(VECS_DEADLINE);
    handshakes.shutdown_background();
    Ok(())
}
