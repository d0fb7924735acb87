//! What the token does when nothing of ours is around it.

use sealwright::base::KeyAlgorithm;
use sealwright::config::TokenRole;

use crate::fault::Outcome;
use crate::limit::{Limit, measure};
use crate::plan::Plan;
use crate::report::{Cell, Report, Table};
use crate::token::{Operation, Place};

pub(crate) fn run(plan: &Plan, report: &mut Report) -> Outcome<()> {
    let appliances = super::appliances(plan)?;
    let mut operations: Vec<(String, Place, Operation)> = Vec::new();
    for (key, appliance) in &appliances {
        operations.push((
            format!("sign {key}"),
            appliance.token(TokenRole::Ca)?,
            Operation::Sign(*key),
        ));
    }
    if let Some((_, appliance)) = appliances.first() {
        let sealing = appliance.token(TokenRole::Sealing)?;
        operations.push(("seal 1.2 KB".to_owned(), sealing.clone(), Operation::Seal));
        operations.push(("open 1.2 KB".to_owned(), sealing, Operation::Open));
    }

    let mut found = vec![vec![Vec::new(); plan.threads.len()]; operations.len()];
    for _ in 0..plan.rounds {
        for ((_, place, operation), found) in operations.iter().zip(&mut found) {
            for (threads, found) in plan.threads.iter().zip(found) {
                found.push(measure(plan, place, *operation, *threads)?);
            }
        }
    }

    let mut columns: Vec<String> = vec!["operations/s".to_owned()];
    columns.extend(plan.threads.iter().map(|threads| match threads {
        1 => "1 thread".to_owned(),
        more => format!("{more} threads"),
    }));
    columns.push("processor us each".to_owned());
    let mut table = Table::new("1. The limit: the token alone, through plain cryptoki", &[]);
    table.columns = columns;
    for ((name, ..), found) in operations.iter().zip(found) {
        let mut row = vec![Cell::text(name)];
        let each = |limit: fn(&Limit) -> f64| {
            move |rounds: &Vec<Limit>| rounds.iter().map(limit).collect::<Vec<f64>>()
        };
        row.extend(found.iter().map(each(|limit| limit.rate)).map(|rates| Cell::Rounds(rates, 0)));
        let single = found.first().map(each(|limit| limit.processor)).unwrap_or_default();
        row.push(Cell::Rounds(single, 1));
        table.rows.push(row);
    }
    table.note("The keys are those of the appliances: CA keys sign a digest, the sealing key does AES-256-GCM bound to 64 octets.");
    table.note("Sealing includes 12 random octets of the token. The processor time is that of one thread alone.");
    report.add(table);
    Ok(())
}

/// The most that this token does for one kind of CA key: as many threads as there are processors.
pub(super) fn most(plan: &Plan, place: &Place, key: KeyAlgorithm) -> Outcome<Limit> {
    let threads = std::thread::available_parallelism()?.get();
    measure(plan, place, Operation::Sign(key), threads)
}
