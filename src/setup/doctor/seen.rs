//! What is asked once and used by several checks.

use std::time::Duration;

use crate::api::ca::{AUTHORITIES, Authority, CHAIN, Chain};
use crate::api::{HEALTH, Health};
use crate::base::{Layout, Service, UnixTime, sentences};
use crate::cli::sealwright::HostName;
use crate::client::Client;
use crate::config::Config;
use crate::x509::{self, Certificate};

/// A service that is busy with a slow token takes its time; one that hangs must not hang the doctor.
const DEADLINE: Duration = Duration::from_secs(20);

/// The appliance as its own services and configuration tell it.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub(super) layout: &'a Layout,
    pub(super) config: &'a Config,
    pub(super) now: UnixTime,
    /// Every service's answer, in start order; or why there is none.
    pub(super) health: Vec<(Service, Result<Health, String>)>,
    /// The active CA's chain, VMCA first.
    pub(super) chain: Result<Vec<Certificate>, String>,
    /// Every CA on record.
    pub(super) authorities: Result<Vec<Authority>, String>,
}

impl<'a> Seen<'a> {
    pub(super) fn ask(layout: &'a Layout, config: &'a Config, now: UnixTime) -> Self {
        let vmcad = client(layout, Service::Vmcad);
        Self {
            layout,
            config,
            now,
            health: Service::ALL
                .map(|service| (service, said(client(layout, service).get::<Health>(HEALTH))))
                .into(),
            chain: said(vmcad.get::<Chain>(CHAIN))
                .and_then(|chain| certificates(&chain.chain.concat())),
            authorities: said(vmcad.get(AUTHORITIES)),
        }
    }

    pub(super) fn client(&self, service: Service) -> Client {
        client(self.layout, service)
    }

    pub(super) fn health_of(&self, service: Service) -> Option<&Health> {
        let (_, answer) = self.health.iter().find(|(of, _)| *of == service)?;
        answer.as_ref().ok()
    }

    /// The name by which clients reach this machine, where it is one.
    pub(super) fn host(&self) -> Option<HostName> {
        self.config.node.name.parse().ok()
    }
}

fn client(layout: &Layout, service: Service) -> Client {
    Client::new(&layout.socket(service), DEADLINE)
}

pub(super) fn certificates(pem: &str) -> Result<Vec<Certificate>, String> {
    said(x509::certificates_from_pem(pem.as_bytes()))
}

/// For facts that are only reported: the error as sentences.
pub(super) fn said<T, E: std::error::Error>(result: Result<T, E>) -> Result<T, String> {
    result.map_err(|error| sentences(&error))
}
