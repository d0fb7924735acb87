//! A token that takes its time, as one across a network does.

use sealwright::base::KeyAlgorithm;
use sealwright::config::{Config, TokenRole};

use super::issue::Issuer;
use super::series::{COLUMNS, Series};
use crate::appliance::{Appliance, text};
use crate::fault::{Outcome, While};
use crate::limit::measure;
use crate::plan::Plan;
use crate::report::{Cell, Report, Table};
use crate::token::Operation;

/// Milliseconds that a signature takes.
const PACES: [u32; 2] = [2, 20];
/// Sessions of a token that is paced.
const SESSIONS: usize = 16;
/// Requests in flight, so that no session waits for a question.
const IN_FLIGHT: [usize; 2] = [64, 256];

pub(super) fn run(plan: &Plan, report: &mut Report) -> Outcome<()> {
    let mut table = Table::new(
        format!("5. A token at a pace of its own: p-256, {SESSIONS} sessions"),
        &[&["signature ms", "in flight"], &COLUMNS[..], &["pace/s", "of the pace"]].concat(),
    );
    let module = plan.place.join("tools/libfault_module.so");
    let mut sessions_said = true;
    for pace in PACES {
        let appliance = Appliance::new(plan, &format!("paced-{pace}"), KeyAlgorithm::P256)?;
        if !module.exists() {
            let why = "the fault module is not built: run scripts/bench";
            table.rows.push(vec![Cell::text(pace), Cell::Missing(why.to_owned())]);
            continue;
        }
        sessions_said &= configure(&appliance, text(&module)?, pace)?;
        let issuer = Issuer::start(KeyAlgorithm::P256, appliance)?;
        let operation = Operation::Sign(KeyAlgorithm::P256);
        let (mut paces, mut series) = (Vec::new(), vec![Series::default(); IN_FLIGHT.len()]);
        for _ in 0..plan.rounds {
            paces.push(measure(plan, &issuer.token, operation, SESSIONS)?.rate);
            for (in_flight, series) in IN_FLIGHT.iter().zip(&mut series) {
                series.take(&mut issuer.measure(plan, *in_flight)?);
            }
        }
        for (in_flight, series) in IN_FLIGHT.iter().zip(&series) {
            let mut row = vec![Cell::text(pace), Cell::text(in_flight)];
            row.extend(series.cells());
            row.push(Cell::Rounds(paces.clone(), 0));
            row.push(series.share(&paces));
            table.rows.push(row);
        }
    }
    table.note("The fault module lets each C_Sign take that long in all. The pace is what it gives to so many threads of plain cryptoki in the same rounds. The signature itself is still SoftHSM's, and takes its time of this machine.");
    if !sessions_said {
        table.note("LOUD: this version of the appliance has no setting for the number of sessions; it used its own.");
    }
    report.add(table);
    Ok(())
}

/// Puts the fault module before the CA's own. Says whether the number of sessions could be set.
fn configure(appliance: &Appliance, module: &str, pace: u32) -> Outcome<bool> {
    let path = appliance.layout.config_file();
    let before = std::fs::read_to_string(&path)?;
    let real = Config::load(&path)?.token(TokenRole::Ca).module.clone();
    let real = text(&real)?;
    let heading = "[ca.token.environment]\n";
    let changed = before
        .replacen(&format!("module = \"{real}\""), &format!("module = \"{module}\""), 1)
        .replacen(
            heading,
            &format!(
                "{heading}SEALWRIGHT_FAULT_MODULE = \"{real}\"\nSEALWRIGHT_FAULT_RULES = \"C_Sign pace={pace}\"\n"
            ),
            1,
        );
    let sessions = format!("[ca.token]\nsessions = {SESSIONS}\n");
    std::fs::write(&path, changed.replacen("[ca.token]\n", &sessions, 1))?;
    if Config::load(&path).is_ok() {
        return Ok(true);
    }
    std::fs::write(&path, changed)?;
    Config::load(&path).when("the configuration for a paced token")?;
    Ok(false)
}
