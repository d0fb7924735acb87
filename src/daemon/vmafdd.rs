//! `vmafdd`: the endpoint certificate stores.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::refreshing::Refreshing;
use super::{Failure, Foundation, run, serving, token};
use crate::base::{Service, SystemClock};
use crate::client::Client;
use crate::config::TokenRole;
use crate::store::Store;
use crate::vecs::{MIGRATIONS, Vecs};

/// How long `vmdird` may take to list its trusted roots.
const DIRECTORY_DEADLINE: Duration = Duration::from_secs(10);

/// The program `vmafdd`.
pub fn vmafdd() -> ExitCode {
    run(Service::Vmafdd, |config| config.vecs.token.environment.clone(), serve)
}

fn serve(foundation: Foundation) -> Result<(), Failure> {
    let Foundation { layout, config, .. } = &foundation;
    let section = config.token(TokenRole::Sealing);
    let own = foundation.own_folder()?;
    // A token without a directory is no software token; its module may have to write anywhere.
    let note = section.directory.as_ref().and_then(|_| foundation.confine(&[&own]));

    let store = Store::open(&layout.database(Service::Vmafdd), MIGRATIONS)?;
    let wrapping_key = config.vecs.wrapping_key.parse().map_err(|cause: hsm::Error| {
        format!("[vecs] wrapping_key in sealwright.toml is no key identifier: {cause}")
    })?;
    let selected = token::select(section)?;
    token::check_at_start(&selected.token);
    let vecs = Vecs::open(
        store,
        Arc::clone(&selected.token),
        wrapping_key,
        foundation.uid,
        Arc::new(SystemClock),
    )?;

    let directory = Client::new(&layout.socket(Service::Vmdird), DIRECTORY_DEADLINE);
    let interval = Duration::from_secs(config.vecs.refresh_seconds);
    let refreshing = Refreshing::start(Arc::clone(&vecs), directory, interval);
    let router = crate::http::vecs::router(vecs, refreshing.now());
    let served = serving::serve(&foundation, crate::http::with_note(router, note));
    refreshing.stop();
    served
}
