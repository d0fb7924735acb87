//! Stores: entries created, keys read, everything sealed anew.

use std::time::{Duration, Instant};

use sealwright::api::rewrap::{Phase, REWRAP, Rewrap, Start};
use sealwright::api::vecs::{NewStore, STORES, entries, entry_key, store};
use sealwright::base::{KeyAlgorithm, Service};
use sealwright::client::Client;
use serde_json::json;

use super::series::{COLUMNS, Series};
use crate::appliance::{Appliance, HOST, text};
use crate::fault::{Outcome, fault};
use crate::load::{self, Door, Expected, Load, Order, http_request};
use crate::plan::Plan;
use crate::processes::Watched;
use crate::report::{Cell, Report, Table};

/// The store whose keys are read and sealed anew.
const KEPT: &str = "kept";
/// Entries in it.
const ENTRIES: usize = 10_000;
/// Entries that are created in one second at most.
const FASTEST: f64 = 20_000.0;
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two questions how far the job is.
const LOOK: Duration = Duration::from_millis(20);

struct Stores {
    appliance: Appliance,
    client: Client,
    door: Door,
    certificates: String,
    key: String,
}

pub(super) fn run(plan: &Plan, report: &mut Report) -> Outcome<()> {
    let stores = Stores::new(plan)?;
    let kept = if plan.smoke { 200 } else { ENTRIES };
    stores.fill(plan, KEPT, kept)?;
    let mut creating = vec![Series::default(); plan.in_flight.len()];
    let mut reading = creating.clone();
    let mut rewrapping = Vec::new();
    for _ in 0..plan.rounds {
        for (number, in_flight) in plan.in_flight.iter().enumerate() {
            creating[number].take(&mut stores.create(plan, *in_flight)?);
            reading[number].take(&mut stores.read_keys(plan, *in_flight, kept)?);
        }
        rewrapping.push(stores.rewrap()?);
    }

    let mut table = Table::new("2. Stores", &[&["what", "in flight"], &COLUMNS[..]].concat());
    for (name, series) in [("entry create", creating), ("entry getkey", reading)] {
        for (in_flight, series) in plan.in_flight.iter().zip(series) {
            let mut row = vec![Cell::text(name), Cell::text(in_flight)];
            row.extend(series.cells());
            table.rows.push(row);
        }
    }
    table.rows.push(vec![Cell::text("rewrap"), Cell::text("-"), Cell::Rounds(rewrapping, 0)]);
    table.note("What vecs-cli asks, over the Unix socket of vmafdd, on connections that are kept; a P-256 key with its certificate and chain.");
    table.note(format!(
        "getkey reads {kept} keys in turns. rewrap: the same entries, from the wish until the old keys are destroyed."
    ));
    report.add(table);
    Ok(())
}

impl Stores {
    fn new(plan: &Plan) -> Outcome<Self> {
        let appliance = Appliance::new(plan, "stores", KeyAlgorithm::P256)?;
        appliance.start(&[Service::Vmdird, Service::Vmafdd, Service::Vmcad])?;
        let folder = appliance.work()?;
        let (key, certificate) = (folder.join("one.priv"), folder.join("one.crt"));
        let template = appliance.layout.certool_template();
        let of_key = format!("--privkey={}", text(&key)?);
        appliance.run("certool", &["--genkey", &of_key, "--key-algorithm", "p-256"])?;
        appliance.run(
            "certool",
            &[
                "--gencert",
                &of_key,
                "--cert",
                text(&certificate)?,
                "--config",
                text(&template)?,
                "--Hostname",
                HOST,
                "--Name",
                "one",
            ],
        )?;
        let socket = appliance.layout.socket(Service::Vmafdd);
        Ok(Self {
            client: Client::new(&socket, PATIENCE),
            door: Door::Unix(socket),
            appliance,
            certificates: std::fs::read_to_string(certificate)?,
            key: std::fs::read_to_string(key)?,
        })
    }

    fn order<'a>(
        &'a self,
        plan: &Plan,
        watched: &'a [Watched],
        requests: &'a [Vec<u8>],
    ) -> Order<'a> {
        Order {
            door: &self.door,
            requests,
            expected: Expected::Words("\"alias\":"),
            in_flight: 1,
            warm: plan.warm,
            measured: plan.measured,
            watched,
            again: false,
        }
    }

    /// Requests to create so many entries.
    fn creations(&self, name: &str, count: usize) -> Vec<Vec<u8>> {
        let path = entries(name);
        (0..count)
            .map(|number| {
                let words = json!({
                    "alias": alias(number),
                    "certificates": self.certificates,
                    "key": self.key,
                });
                http_request("POST", &path, words.to_string().as_bytes())
            })
            .collect()
    }

    fn fill(&self, plan: &Plan, name: &str, count: usize) -> Outcome<()> {
        self.client.post::<()>(STORES, &NewStore { name: name.to_owned() })?;
        let requests = self.creations(name, count);
        let order = self.order(plan, &[], &requests);
        let load = load::run(&Order { in_flight: 16, measured: PATIENCE, ..order })?.good()?;
        if load.answered != count as u64 {
            return fault("not every entry could be created");
        }
        Ok(())
    }

    /// In a store that is deleted again.
    fn create(&self, plan: &Plan, in_flight: usize) -> Outcome<Load> {
        const NAME: &str = "passing";
        self.client.post::<()>(STORES, &NewStore { name: NAME.to_owned() })?;
        let most = (plan.measured + plan.warm).as_secs_f64() * FASTEST / 2.0;
        let requests = self.creations(NAME, most as usize);
        let watched = self.appliance.with_agents(Service::Vmafdd)?;
        let load =
            load::run(&Order { in_flight, ..self.order(plan, &watched, &requests) })?.good()?;
        self.client.delete::<()>(&store(NAME))?;
        Ok(load)
    }

    fn read_keys(&self, plan: &Plan, in_flight: usize, count: usize) -> Outcome<Load> {
        let requests: Vec<Vec<u8>> = (0..count)
            .map(|number| http_request("POST", &entry_key(KEPT, &alias(number)), b""))
            .collect();
        let watched = self.appliance.with_agents(Service::Vmafdd)?;
        let order = self.order(plan, &watched, &requests);
        let expected = Expected::Words("-----BEGIN PRIVATE KEY-----");
        load::run(&Order { in_flight, expected, again: true, ..order })?.good()
    }

    /// Entries a second.
    fn rewrap(&self) -> Outcome<f64> {
        let began = Instant::now();
        let mut standing: Rewrap = self.client.post(REWRAP, &Start { keep_old: false })?;
        while !standing.phase.is_at_rest() {
            if began.elapsed() > PATIENCE {
                return fault("the change of sealing keys does not end");
            }
            std::thread::sleep(LOOK);
            standing = self.client.get(REWRAP)?;
        }
        let seconds = began.elapsed().as_secs_f64();
        if standing.phase != Phase::Done || standing.entries.left > 0 {
            return fault(format!(
                "the change of sealing keys came to nothing: {:?}",
                standing.phase
            ));
        }
        Ok(standing.entries.resealed as f64 / seconds)
    }
}

fn alias(number: usize) -> String {
    format!("machine{number}")
}
