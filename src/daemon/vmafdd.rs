//! `vmafdd`: the endpoint certificate stores.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::key_making::KeyMaking;
use super::refreshing::Refreshing;
use super::rewrapping::Rewrapping;
use super::tidying::Tidying;
use super::workshop::{self, KeyWorkshop};
use super::{Failure, Foundation, run, sealing_keys, serving, token};
use crate::base::{Service, SystemClock};
use crate::client::Client;
use crate::config::TokenRole;
use crate::store::Store;
use crate::vecs::{self, Custody, Destruction, MIGRATIONS, Vecs};

/// How long `vmdird` may take to list its trusted roots.
const DIRECTORY_DEADLINE: Duration = Duration::from_secs(10);

/// The program `vmafdd`.
pub fn vmafdd() -> ExitCode {
    run(Service::Vmafdd, serve)
}

fn serve(foundation: Foundation) -> Result<(), Failure> {
    let Foundation { layout, config, .. } = &foundation;
    let section = config.token(TokenRole::Sealing);
    let own = foundation.own_folder()?;
    let process = workshop::start(&foundation, TokenRole::Sealing);
    // A token without a directory is no software token; its module may have to write anywhere.
    let note = section.directory.as_ref().and_then(|_| foundation.confine(&[&own]));

    let store = Store::open(&layout.database(Service::Vmafdd), MIGRATIONS)?;
    let former_key = config.vecs.wrapping_key.as_deref().map(str::parse).transpose().map_err(
        |cause: hsm::Error| {
            format!("[vecs] wrapping_key in sealwright.toml is no key identifier: {cause}")
        },
    )?;
    let mut selected = token::select(layout, TokenRole::Sealing, section)?;
    if let (Some(pin), Ok(process)) = (selected.asked_pin.take(), &process) {
        process.remember_pin(pin);
    }
    token::check_at_start(&selected.token);
    let custody = Custody {
        token: Arc::clone(&selected.token),
        workshop: Box::new(KeyWorkshop::new(process, Arc::clone(&selected.token))),
        former_key,
        seals_per_key: config.vecs.seals_per_key,
    };
    let vecs = Vecs::open(store, custody, foundation.uid, Arc::new(SystemClock))?;

    let directory = Client::new(&layout.socket(Service::Vmdird), DIRECTORY_DEADLINE);
    let interval = Duration::from_secs(config.vecs.refresh_seconds);
    let refreshing = Refreshing::start(Arc::clone(&vecs), directory, interval);
    let making = KeyMaking::start(Arc::clone(&vecs));
    let rewrapping = Rewrapping::start(Arc::clone(&vecs));
    let tidying = Tidying::start(Arc::clone(&vecs));
    let router = crate::http::vecs::router(vecs, refreshing.now(), rewrapping.wake());
    let served = serving::serve(&foundation, crate::http::with_note(router, note));
    refreshing.stop();
    making.stop();
    rewrapping.stop();
    tidying.stop();
    served
}

impl vecs::KeyWorkshop for KeyWorkshop {
    fn generate_generation(&self, number: u32) -> Result<hsm::KeyGeneration, hsm::Error> {
        let made = self.ask(|process| process.generate_generation(number))?;
        sealing_keys::tell(&made);
        Ok(made.keys)
    }

    fn destroy_generation(
        &self,
        generation: &hsm::KeyGeneration,
    ) -> Result<Destruction, hsm::Error> {
        sealing_keys::evidence(self.ask(|process| process.destroy_generation(generation))?)
    }
}
