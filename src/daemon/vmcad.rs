//! `vmcad`: the certificate authority.

use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::publishing::Publishing;
use super::{Failure, Foundation, run, serving, token};
use crate::api::ca::Node;
use crate::base::{KeyAlgorithm, Secret, Service, SystemClock, sentences};
use crate::ca::{Authority, MIGRATIONS, Profile, Settings, Workshop};
use crate::client::Client;
use crate::config::{Config, ProfileName, TokenRole};
use crate::store::Store;
use crate::workshop::{self, WorkshopProcess};

/// How long `vmdird` may take to take over a certificate.
const DIRECTORY_DEADLINE: Duration = Duration::from_secs(10);

/// The program `vmcad`.
pub fn vmcad() -> ExitCode {
    run(Service::Vmcad, |config| config.ca.token.environment.clone(), serve)
}

fn serve(foundation: Foundation) -> Result<(), Failure> {
    let Foundation { layout, config, .. } = &foundation;
    let section = config.token(TokenRole::Ca);
    let own = foundation.own_folder()?;
    let root_cer = layout.root_cer();
    let public = root_cer.parent().unwrap_or(&own);
    foundation.public_folder(public)?;

    // Before confinement, which a child inherits, and before any thread is started.
    let process = start_workshop(&foundation);
    // A token without a directory is no software token; its module may have to write anywhere.
    let note = section.directory.as_ref().and_then(|_| foundation.confine(&[&own, public]));

    let store = Store::open(&layout.database(Service::Vmcad), MIGRATIONS)?;
    let mut selected = token::select(section)?;
    if let (Some(pin), Ok(process)) = (selected.asked_pin.take(), &process) {
        process.remember_pin(pin);
    }
    token::check_at_start(&selected.token);
    let (wake, changed) = mpsc::channel();
    let authority = Authority::open(
        store,
        Arc::clone(&selected.token),
        Box::new(KeyWorkshop { process, token: Arc::clone(&selected.token) }),
        settings(config, root_cer.clone()),
        Arc::new(SystemClock),
        wake.clone(),
    )?;

    let directory = Client::new(&layout.socket(Service::Vmdird), DIRECTORY_DEADLINE);
    let publishing = Publishing::start(Arc::clone(&authority), directory, changed, wake);
    let router = crate::http::ca::router(authority, node(config));
    let served = serving::serve(&foundation, crate::http::with_note(router, note));
    publishing.stop();
    served
}

fn node(config: &Config) -> Node {
    Node { name: config.node.name.clone(), domain: config.node.domain.clone() }
}

fn settings(config: &Config, root_cer: std::path::PathBuf) -> Settings {
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

/// Without a workshop the CA issues; it only makes no keys.
fn start_workshop(foundation: &Foundation) -> Result<WorkshopProcess, String> {
    let section = foundation.config.token(TokenRole::Ca);
    WorkshopProcess::start(&foundation.layout, TokenRole::Ca, section).map_err(|cause| {
        let sentences = sentences(&cause);
        tracing::warn!("no CA key can be made until the service is restarted: {sentences}");
        sentences
    })
}

/// The room's door to the key workshop.
struct KeyWorkshop {
    /// Or why it did not start.
    process: Result<WorkshopProcess, String>,
    token: Arc<hsm::Token>,
}

impl KeyWorkshop {
    /// A token that this service may not use is not used by its child either: a PIN that was refused
    /// here would be tried a second time there.
    fn process(&self) -> Result<&WorkshopProcess, hsm::Error> {
        if let hsm::Health::Stopped(why) = self.token.health() {
            return Err(hsm::Error::Locked(why.into()));
        }
        self.process.as_ref().map_err(|sentences| hsm::Error::Unavailable(sentences.clone().into()))
    }
}

impl Workshop for KeyWorkshop {
    fn generate(
        &self,
        label: &str,
        algorithm: KeyAlgorithm,
    ) -> Result<hsm::KeyReference, hsm::Error> {
        self.process()?.generate_signing_key(label, algorithm).map_err(in_token_words)
    }

    fn import(&self, label: &str, pkcs8: &Secret) -> Result<hsm::KeyReference, hsm::Error> {
        self.process()?.import_signing_key(label, pkcs8).map_err(in_token_words)
    }
}

fn in_token_words(error: workshop::Error) -> hsm::Error {
    match error {
        workshop::Error::Token(error) => error,
        failed @ workshop::Error::Failed { .. } => {
            hsm::Error::Unavailable(sentences(&failed).into())
        }
    }
}
