//! The same rate with many certificates on record; what a service takes then.

use std::path::Path;
use std::time::{Duration, Instant};

use sealwright::api::ca::{Filter, Page, page};
use sealwright::base::{KeyAlgorithm, Service};
use sealwright::client::Client;

use super::issue::Issuer;
use super::series::{COLUMNS, Series};
use crate::appliance::Appliance;
use crate::fault::{Outcome, While, fault};
use crate::filling::fill;
use crate::plan::Plan;
use crate::processes;
use crate::report::{Cell, Report, Table};

const IN_FLIGHT: usize = 64;
/// The most certificates of an appliance whose folder stays; more of them would fill the disk for nothing.
const KEPT: usize = 10_000;
/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// An appliance with so many certificates.
struct Grown {
    count: usize,
    issuer: Issuer,
    /// Octets of the database for each certificate.
    octets: Option<f64>,
    series: Series,
    /// Milliseconds.
    start: Vec<f64>,
    page: Vec<f64>,
    /// MiB of `vmcad` and of its agent.
    memory: [Vec<f64>; 2],
}

pub(super) fn run(plan: &Plan, report: &mut Report) -> Outcome<()> {
    let mut all = Vec::new();
    for count in &plan.grown {
        all.push(Grown::new(plan, *count).when(count)?);
    }
    for _ in 0..plan.rounds {
        for grown in &mut all {
            grown.round(plan)?;
        }
    }

    let mut columns = vec!["on record at first"];
    columns.extend(COLUMNS);
    columns.extend([
        "of the first",
        "start ms",
        "vmcad MiB",
        "agent MiB",
        "octets each",
        "page ms",
    ]);
    let mut table = Table::new("4. Growth: p-256, 64 in flight, Unix socket", &columns);
    let first = all.first().map(|grown| grown.series.rate.clone()).unwrap_or_default();
    for grown in &all {
        let mut row = vec![Cell::text(grown.count)];
        row.extend(grown.series.cells());
        row.push(grown.series.share(&first));
        row.push(Cell::Rounds(grown.start.clone(), 0));
        row.extend(grown.memory.iter().map(|rounds| Cell::Rounds(rounds.clone(), 1)));
        row.push(grown.octets.map_or(Cell::text("-"), |octets| Cell::Rounds(vec![octets], 0)));
        row.push(Cell::Rounds(grown.page.clone(), 1));
        table.rows.push(row);
    }
    table.note("The database was filled with copies of a certificate that had been issued, each with a serial number and digests of its own; see tests/bench/src/filling.rs.");
    table.note("start: service-control --start vmcad, until it says that it serves (it asks every 40 ms). Memory is resident, after the load. page: the first one of certool --enumcert --filter=all, before it is printed.");
    report.add(table);
    if let Some(largest) = all.iter().max_by_key(|grown| grown.count) {
        memory(largest, report)?;
    }
    all.into_iter()
        .filter(|grown| grown.count > KEPT)
        .try_for_each(|grown| grown.issuer.appliance.remove())
}

/// All services of one appliance.
fn memory(grown: &Grown, report: &mut Report) -> Outcome<()> {
    let appliance = &grown.issuer.appliance;
    appliance.start(&[Service::Vmafdd, Service::Gateway])?;
    let mut table = Table::new(
        format!("4. Resident memory with {} certificates on record", grown.count),
        &["service", "MiB", "agent MiB"],
    );
    for service in Service::ALL {
        let mut row = vec![Cell::text(service)];
        for pid in with_agents(appliance, service)? {
            row.push(Cell::Rounds(vec![mebibytes(pid)?], 1));
        }
        table.rows.push(row);
    }
    report.add(table);
    Ok(())
}

impl Grown {
    fn new(plan: &Plan, count: usize) -> Outcome<Self> {
        let appliance = Appliance::new(plan, &format!("grown-{count}"), KeyAlgorithm::P256)?;
        let issuer = Issuer::start(KeyAlgorithm::P256, appliance)?;
        let mut octets = None;
        if count > 0 {
            issuer.measure(&Plan { measured: Duration::from_millis(50), ..plan.clone() }, 1)?;
            issuer.appliance.stop();
            let database = issuer.appliance.layout.database(Service::Vmcad);
            let (before, began) = (size(&database)?, Instant::now());
            fill(&database, count)?;
            let seconds = began.elapsed().as_secs_f64();
            println!("{count} certificates put on record in {seconds:.0} s");
            octets = Some((size(&database)? - before) as f64 / count as f64);
        } else {
            issuer.appliance.stop();
        }
        issuer.appliance.start(&[Service::Vmdird])?;
        Ok(Self {
            count,
            issuer,
            octets,
            series: Series::default(),
            start: Vec::new(),
            page: Vec::new(),
            memory: Default::default(),
        })
    }

    /// Starts `vmcad` anew and asks it.
    fn round(&mut self, plan: &Plan) -> Outcome<()> {
        let appliance = &self.issuer.appliance;
        appliance.run("service-control", &["--stop", "vmcad"])?;
        let began = Instant::now();
        appliance.start(&[Service::Vmcad])?;
        self.start.push(began.elapsed().as_secs_f64() * 1e3);
        self.series.take(&mut self.issuer.measure(plan, IN_FLIGHT)?);
        let pids = with_agents(appliance, Service::Vmcad)?;
        for (rounds, pid) in self.memory.iter_mut().zip(pids) {
            rounds.push(mebibytes(pid)?);
        }
        let client = Client::new(&appliance.layout.socket(Service::Vmcad), PATIENCE);
        let began = Instant::now();
        let found: Page = client.get(&page(Filter::All, None))?;
        self.page.push(began.elapsed().as_secs_f64() * 1e3);
        if found.certificates.is_empty() {
            return fault("the first page of the listing is empty");
        }
        Ok(())
    }
}

fn size(database: &Path) -> Outcome<u64> {
    Ok(std::fs::metadata(database).when(database.display())?.len())
}

fn mebibytes(pid: u32) -> Outcome<f64> {
    Ok(processes::resident(pid)? as f64 / 1024.0)
}

/// The processes of a service: itself first.
fn with_agents(appliance: &Appliance, service: Service) -> Outcome<Vec<u32>> {
    let own = appliance.pid(service)?;
    Ok([vec![own], processes::agents(own)?].concat())
}
