//! Floor 6: the machine's TLS front door, the part that the reverse proxy of the original plays.
//!
//! It presents `MACHINE_SSL_CERT/__MACHINE_CERT` with its chain as stored, publishes the trusted
//! roots, and tells how every service is. It holds no token and no database. Certificate and key
//! come from `vmafdd` at start and on `SIGHUP`; the listener is open only while there are some.

mod bundle;
mod certificate;
mod connection;
mod health;
mod negotiation;
mod overall;
mod roots;
mod routes;
mod serve;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use certificate::Presented;
use health::Standing;

use crate::base::{Clock, Layout, Service, SystemClock};
use crate::client::Client;
use crate::daemon::{Failure, Foundation, announce_when_answering, run, runtime};
use crate::http::Shutdown;

/// How long `vmafdd` may take to answer; opening a key in a slow token takes a while.
const VECS_DEADLINE: Duration = Duration::from_secs(20);

/// What the parts of the gateway share.
struct Gateway {
    node: String,
    layout: Layout,
    listen: std::net::SocketAddr,
    vecs: Client,
    clock: Arc<dyn Clock>,
    presented: Arc<Presented>,
    standing: Standing,
}

/// The program `gateway`.
pub fn gateway() -> ExitCode {
    run(Service::Gateway, |_| BTreeMap::new(), assemble)
}

fn assemble(foundation: Foundation) -> Result<(), Failure> {
    let control = foundation.layout.socket(Service::Gateway);
    let _ = foundation.confine(&[]);
    let gateway = Arc::new(Gateway {
        node: foundation.config.node.name.clone(),
        layout: foundation.layout.clone(),
        listen: foundation.config.gateway.listen,
        vecs: Client::new(&foundation.layout.socket(Service::Vmafdd), VECS_DEADLINE),
        clock: Arc::new(SystemClock),
        presented: Arc::new(Presented::default()),
        standing: Standing::default(),
    });
    let runtime = runtime()?;
    let shutdown = {
        let _inside = runtime.enter();
        Shutdown::on_signal()?
    };
    announce_when_answering(control.clone());
    runtime.block_on(serve::serve(gateway, &control, foundation.roles.clone(), shutdown))?;
    runtime.shutdown_timeout(VECS_DEADLINE);
    Ok(())
}
