//! `vmdird`: the directory of trusted roots and nodes.

use std::process::ExitCode;
use std::sync::Arc;

use super::{Failure, Foundation, run, serving};
use crate::base::{Service, SystemClock};
use crate::directory::{Directory, MIGRATIONS};
use crate::store::Store;

/// The program `vmdird`.
pub fn vmdird() -> ExitCode {
    run(Service::Vmdird, serve)
}

fn serve(foundation: Foundation) -> Result<(), Failure> {
    let own = foundation.own_folder()?;
    // It has no token; the log says so where it cannot be confined, its health need not.
    let _ = foundation.confine(&[&own]);
    let store = Store::open(&foundation.layout.database(Service::Vmdird), MIGRATIONS)?;
    let name = &foundation.config.node.name;
    let directory = Directory::open(store, name, Arc::new(SystemClock))?;
    serving::serve(&foundation, crate::http::directory::router(directory))
}
