//! The gateway: certificates over HTTPS, and handshakes.

use std::io::Write;
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sealwright::api::ca::CERTIFICATES;
use sealwright::base::{KeyAlgorithm, Service};
use sealwright::config::TRUSTED_ROOTS;

use super::series::{COLUMNS, Series};
use crate::appliance::{Appliance, HOST, judge};
use crate::fault::{Outcome, While, fault};
use crate::load::{self, Door, Expected, Load, Order, http_request};
use crate::plan::Plan;
use crate::processes::Watched;
use crate::report::{Cell, Report, Table};
use crate::{requests, verification};

pub(super) fn run(plan: &Plan, report: &mut Report) -> Outcome<()> {
    let mut table = Table::new(
        "2. Over HTTPS: the gateway, connections kept",
        &[&["what", "in flight"], &COLUMNS[..]].concat(),
    );
    let appliance = Appliance::new(plan, "https", KeyAlgorithm::P256)?;
    let client = Client::admitted(&appliance)?;
    appliance.start(&Service::ALL)?;
    let front = Front { door: door(&appliance, client)?, appliance };
    for in_flight in &plan.in_flight {
        let mut series = Series::default();
        let mut missing = None;
        for _ in 0..plan.rounds {
            match front.certificates(plan, *in_flight)? {
                Ok(mut load) => series.take(&mut load),
                Err(why) => missing = Some(why),
            }
        }
        let mut row = vec![Cell::text("certificates, p-256"), Cell::text(in_flight)];
        row.extend(match missing {
            Some(why) => vec![Cell::Missing(why)],
            None => series.cells(),
        });
        table.rows.push(row);
    }
    for in_flight in &plan.in_flight {
        let mut series = Series::default();
        for _ in 0..plan.rounds {
            series.take(&mut front.roots(plan, *in_flight)?);
        }
        let mut row = vec![Cell::text("trusted roots, PEM"), Cell::text(in_flight)];
        row.extend(series.cells());
        table.rows.push(row);
    }
    table.note("Certificates: service is the gateway, agent is vmcad with its agent; a machine of [access.clients] asks.");
    table.note("Roots: service is the gateway alone. A question for the roots is passed on to vmafdd, one at a time for all who ask.");
    report.add(table);
    handshakes(plan, report)
}

struct Front {
    door: Door,
    appliance: Appliance,
}

impl Front {
    /// Or why there are none over this door.
    fn certificates(&self, plan: &Plan, in_flight: usize) -> Outcome<Result<Load, String>> {
        let requests = requests::issuing(&requests::csrs(KeyAlgorithm::P256)?)?;
        let before = verification::recorded(&self.appliance)?;
        let mut watched = vec![Watched::Process(self.appliance.pid(Service::Gateway)?)];
        watched.extend(self.appliance.with_agents(Service::Vmcad)?);
        let load = self.ask(plan, in_flight, &requests, Expected::Certificate, &watched)?;
        if let Some(status) = load.refused.keys().next() {
            return Ok(Err(format!("the gateway answers POST {CERTIFICATES} with {status}")));
        }
        verification::verify(&self.appliance, before, &load)?;
        Ok(Ok(load))
    }

    fn roots(&self, plan: &Plan, in_flight: usize) -> Outcome<Load> {
        let request = http_request("GET", &format!("{TRUSTED_ROOTS}.pem"), b"");
        let watched = [Watched::Process(self.appliance.pid(Service::Gateway)?)];
        let expected = Expected::Words("-----BEGIN CERTIFICATE-----");
        self.ask(plan, in_flight, &[request], expected, &watched)?.good()
    }

    fn ask(
        &self,
        plan: &Plan,
        in_flight: usize,
        requests: &[Vec<u8>],
        expected: Expected,
        watched: &[Watched],
    ) -> Outcome<Load> {
        load::run(&Order {
            door: &self.door,
            requests,
            expected,
            in_flight,
            warm: plan.warm,
            measured: plan.measured,
            watched,
            again: true,
        })
    }
}

/// A machine that may have certificates issued over HTTPS.
struct Client {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Client {
    /// Makes one and writes it into the configuration.
    fn admitted(appliance: &Appliance) -> Outcome<Self> {
        let work = appliance.work()?;
        let (certificate, key) = (work.join("client.crt"), work.join("client.key"));
        let (certificate_text, key_text) =
            (certificate.display().to_string(), key.display().to_string());
        let new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
        let files =
            ["-nodes", "-subj", "/CN=load", "-keyout", &key_text, "-out", &certificate_text];
        judge("openssl", &[&new[..], &files].concat(), b"")?;
        let shown = ["x509", "-in", &certificate_text, "-noout", "-fingerprint", "-sha256"];
        let shown = judge("openssl", &shown, b"")?;
        let fingerprint = shown.trim().rsplit('=').next().unwrap_or_default();
        let mut config = std::fs::OpenOptions::new()
            .append(true)
            .open(appliance.layout.config_file())
            .when("the configuration")?;
        writeln!(config, "\n[access.clients]\nload = \"{fingerprint}\"")?;
        Ok(Self {
            certificate: CertificateDer::from_pem_file(&certificate)?,
            key: PrivateKeyDer::from_pem_file(&key)?,
        })
    }
}

fn door(appliance: &Appliance, client: Client) -> Outcome<Door> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(appliance.root_cer())? {
        roots.add(certificate?)?;
    }
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![client.certificate], client.key)?;
    Ok(Door::Tls {
        address: appliance.address,
        name: ServerName::try_from(HOST)?,
        config: Arc::new(config),
    })
}

/// What `scripts/measure-handshakes` says, which takes its turns between the two settings by itself.
fn handshakes(plan: &Plan, report: &mut Report) -> Outcome<()> {
    let keys: Vec<String> = plan.keys.iter().map(ToString::to_string).collect();
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let said = Command::new("scripts/measure-handshakes")
        .args(["--keys", &keys.join(" "), "--turns", &plan.rounds.to_string()])
        .args(["--seconds", &plan.measured.as_secs().max(1).to_string()])
        .env("SEALWRIGHT_PROGRAMS", &plan.programs)
        .env("SEALWRIGHT_PORT", port.to_string())
        .output()
        .when("scripts/measure-handshakes")?;
    let text = String::from_utf8_lossy(&said.stdout);
    if !said.status.success() {
        return fault(format!(
            "scripts/measure-handshakes: {text}{}",
            String::from_utf8_lossy(&said.stderr)
        ));
    }
    let mut table = Table::new(
        "2. TLS handshakes of the gateway, full ones, each on a connection of its own",
        &["key", "in the token/s", "in memory/s", "token : memory", "token ms", "memory ms"],
    );
    for line in text.lines().skip(2) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [key, token, memory, ratio, token_each, ":", memory_each] = words[..] else {
            return fault(format!("scripts/measure-handshakes said '{line}'"));
        };
        let mut row = vec![Cell::text(key)];
        for (value, digits) in
            [(token, 0), (memory, 0), (ratio, 2), (token_each, 2), (memory_each, 2)]
        {
            row.push(Cell::Rounds(vec![value.parse()?], digits));
        }
        table.rows.push(row);
    }
    table.note("By scripts/measure-handshakes: sums over all turns. ms: processor time of gateway, vmafdd and its agent for one.");
    report.add(table);
    Ok(())
}
