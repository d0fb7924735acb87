//! `vmcad`: the certificate authority.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::publishing::Publishing;
use super::workshop::{self, KeyWorkshop};
use super::{Failure, Foundation, run, serving, token};
use crate::api::ca::Node;
use crate::base::{KeyAlgorithm, Secret, Service, SystemClock};
use crate::ca::{Authority, Lanes, MIGRATIONS, Profile, Settings, Workshop};
use crate::client::Client;
use crate::config::{Config, ProfileName, TokenRole};
use crate::policy;
use crate::store::Store;

/// How long `vmdird` may take to take over a certificate.
const DIRECTORY_DEADLINE: Duration = Duration::from_secs(10);

/// The program `vmcad`.
pub fn vmcad() -> ExitCode {
    run(Service::Vmcad, serve)
}

fn serve(foundation: Foundation) -> Result<(), Failure> {
    let Foundation { layout, config, .. } = &foundation;
    let section = config.token(TokenRole::Ca);
    let own = foundation.own_folder()?;
    let root_cer = layout.root_cer();
    let public = root_cer.parent().unwrap_or(&own);
    foundation.public_folder(public)?;

    let process = workshop::start(&foundation, TokenRole::Ca);
    // A token without a directory is no software token; its module may have to write anywhere.
    let note = section.directory.as_ref().and_then(|_| foundation.confine(&[&own, public]));

    let store = Store::open(&layout.database(Service::Vmcad), MIGRATIONS)?;
    let mut selected = token::select(layout, TokenRole::Ca, section)?;
    if let (Some(pin), Ok(process)) = (selected.asked_pin.take(), &process) {
        process.remember_pin(pin);
    }
    token::check_at_start(&selected.token);
    let (wake, changed) = mpsc::channel();
    let authority = Authority::open(
        store,
        Arc::clone(&selected.token),
        Box::new(CaWorkshop {
            door: KeyWorkshop::new(process, Arc::clone(&selected.token)),
            issuers: layout.issuers(TokenRole::Ca.name()),
        }),
        settings(config, root_cer.clone()),
        Arc::new(SystemClock),
        wake.clone(),
    )?;

    // An alarm is told at start, and not when somebody first asks. A token that hangs keeps nobody waiting.
    let watched = Arc::clone(&authority);
    std::thread::spawn(move || watched.standing());

    let directory = Client::new(&layout.socket(Service::Vmdird), DIRECTORY_DEADLINE);
    let publishing = Publishing::start(Arc::clone(&authority), directory, changed, wake);
    let lanes = Arc::new(Lanes::start(&authority)?);
    let router = crate::http::ca::router(authority, lanes, node(config));
    let served = serving::serve(&foundation, crate::http::with_note(router, note));
    publishing.stop();
    served
}

fn node(config: &Config) -> Node {
    Node { name: config.node.name.clone(), domain: config.node.domain.clone() }
}

fn settings(config: &Config, root_cer: PathBuf) -> Settings {
    Settings {
        profile: match config.ca.profile {
            ProfileName::VmcaCompat => Profile::VmcaCompat,
            ProfileName::Strict => Profile::Strict,
        },
        validity_days: config.validity_days(config.ca.profile),
        key_algorithm: config.ca.key_algorithm,
        allow_imported_keys: config.ca.allow_imported_keys,
        chain_includes_root: config.ca.chain_includes_root,
        crl_days: config.ca.crl_days,
        ca_issuers_url: Some(config.ca_issuers_url()),
        root_cer,
    }
}

/// The room's door to the key workshop.
struct CaWorkshop {
    door: KeyWorkshop,
    /// What the workshop has written down; this process only reads it.
    issuers: PathBuf,
}

impl Workshop for CaWorkshop {
    fn generate(
        &self,
        label: &str,
        algorithm: KeyAlgorithm,
    ) -> Result<hsm::KeyReference, hsm::Error> {
        self.door.ask(|process| process.generate_signing_key(label, algorithm))
    }

    fn import(&self, label: &str, pkcs8: &Secret) -> Result<hsm::KeyReference, hsm::Error> {
        self.door.ask(|process| process.import_signing_key(label, pkcs8))
    }

    fn sign_ca_certificate(
        &self,
        key: &hsm::KeyReference,
        tbs: &[u8],
    ) -> Result<Vec<u8>, hsm::Error> {
        self.door.ask(|process| process.sign_ca_certificate(key, tbs))
    }

    fn record_issuer(&self, key: &hsm::KeyReference, certificate: &[u8]) -> Result<(), hsm::Error> {
        if policy::is_recorded(&self.issuers, key, certificate) {
            return Ok(());
        }
        self.door.ask(|process| process.record_issuer(key, certificate))
    }
}
