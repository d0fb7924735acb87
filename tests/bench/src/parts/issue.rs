//! Certificates: issued, verified, recorded, durable.

use sealwright::base::{KeyAlgorithm, Service};
use sealwright::config::TokenRole;

use super::series::{COLUMNS, Series};
use crate::appliance::Appliance;
use crate::fault::{Outcome, While};
use crate::load::{self, Door, Expected, Load, Order};
use crate::plan::Plan;
use crate::report::{Cell, Report, Table};
use crate::requests;
use crate::token::Place;
use crate::verification;

/// A CA that is asked for certificates again and again.
pub(super) struct Issuer {
    pub(super) key: KeyAlgorithm,
    pub(super) appliance: Appliance,
    pub(super) token: Place,
    pub(super) requests: Vec<Vec<u8>>,
}

impl Issuer {
    /// Its `vmcad` runs, and `vmdird`, where that publishes.
    pub(super) fn start(key: KeyAlgorithm, appliance: Appliance) -> Outcome<Self> {
        appliance.start(&[Service::Vmdird, Service::Vmcad])?;
        Ok(Self {
            key,
            token: appliance.token(TokenRole::Ca)?,
            appliance,
            requests: requests::issuing(&requests::csrs(key)?)?,
        })
    }

    /// Asks over the Unix socket, and judges what was answered.
    pub(super) fn measure(&self, plan: &Plan, in_flight: usize) -> Outcome<Load> {
        let door = Door::Unix(self.appliance.layout.socket(Service::Vmcad));
        let before = verification::recorded(&self.appliance)?;
        let watched = self.appliance.with_agents(Service::Vmcad)?;
        let load = load::run(&Order {
            door: &door,
            requests: &self.requests,
            expected: Expected::Certificate,
            in_flight,
            warm: plan.warm,
            measured: plan.measured,
            watched: &watched,
            again: true,
        })?
        .good()?;
        verification::verify(&self.appliance, before, &load)?;
        Ok(load)
    }
}

/// What was found out about an issuer: the token alone, and a series for each number in flight.
#[derive(Default)]
struct Found {
    limit: Vec<f64>,
    signature: Vec<f64>,
    series: Vec<Series>,
}

pub(super) fn run(plan: &Plan, report: &mut Report) -> Outcome<()> {
    let mut issuers = Vec::new();
    for (key, appliance) in super::appliances(plan)? {
        let series = vec![Series::default(); plan.in_flight.len()];
        let found = Found { series, ..Found::default() };
        issuers.push((Issuer::start(key, appliance)?, found));
    }
    for _ in 0..plan.rounds {
        for (issuer, found) in &mut issuers {
            let limit = super::limit::most(plan, &issuer.token, issuer.key)?;
            found.limit.push(limit.rate);
            found.signature.push(limit.processor);
            for (in_flight, series) in plan.in_flight.iter().zip(&mut found.series) {
                series.take(&mut issuer.measure(plan, *in_flight).when(issuer.key)?);
            }
        }
    }

    let columns =
        [&["CA key", "in flight"], &COLUMNS[..], &["of the limit", "beyond the token us"]];
    let mut table = Table::new(
        "2. Certificates issued and durable, over the Unix socket of vmcad",
        &columns.concat(),
    );
    for (issuer, found) in issuers {
        for (in_flight, series) in plan.in_flight.iter().zip(&found.series) {
            let mut row = vec![Cell::text(issuer.key), Cell::text(in_flight)];
            row.extend(series.cells());
            row.push(series.share(&found.limit));
            row.push(series.beyond(&found.signature));
            table.rows.push(row);
        }
        let limit = Cell::Rounds(found.limit, 0).median().unwrap_or_default();
        table.note(format!(
            "{}: the token alone signs {limit:.0} a second in the same rounds.",
            issuer.key
        ));
    }
    notes(&mut table);
    report.add(table);
    Ok(())
}

fn notes(table: &mut Table) {
    table.note(format!(
        "{} prebuilt requests for each kind of key, as certool sends them, for keys of the CA's own kind; asked in turns.",
        requests::DISTINCT
    ));
    table.note(
        "Every answer was looked at; after each measurement the number on record had grown by exactly what was \
         answered, no two serial numbers were the same, and samples verified with OpenSSL and lay in the database \
         octet for octet.",
    );
    table.note(
        "Processor time is user and system, for one certificate. Beyond the token: vmcad and its agent, less what one \
         signature takes in the token alone.",
    );
}
