//! One request at a time: what it waits for.

use std::time::Instant;

use sealwright::store::{Error, Store};

use super::issue::Issuer;
use super::series::Series;
use crate::fault::{Outcome, While};
use crate::limit::measure;
use crate::plan::Plan;
use crate::report::{Cell, Report, Table, median};
use crate::token::Operation;

const SCHEMA: &[&str] = &[
    "CREATE TABLE written (id BIGINT PRIMARY KEY, name TEXT NOT NULL UNIQUE, content BYTEA NOT NULL)",
];
/// Octets of a row: a draft or a certificate, and its record.
const ROW: usize = 2048;
/// Commits in a round.
const COMMITS: i64 = 300;

pub(super) fn run(plan: &Plan, report: &mut Report) -> Outcome<()> {
    let database = plan.place.join("commits.db");
    for end in ["", "-wal", "-shm"] {
        let _absent = std::fs::remove_file(format!("{}{end}", database.display()));
    }
    let store = Store::open(&database, SCHEMA)?;
    let mut issuers = Vec::new();
    for (key, appliance) in super::appliances(plan)? {
        let issuer = Issuer::start(key, appliance)?;
        issuers.push((issuer, Vec::new(), Series::default()));
    }
    let (mut commits, mut written) = (Vec::new(), 0);
    for _ in 0..plan.rounds {
        commits.push(commit(&store, &mut written)?);
        for (issuer, signatures, series) in &mut issuers {
            let alone = measure(plan, &issuer.token, Operation::Sign(issuer.key), 1)?;
            signatures.push(1e3 / alone.rate);
            series.take(&mut issuer.measure(plan, 1).when(issuer.key)?);
        }
    }

    let mut table = Table::new(
        "5. One in flight: what a certificate waits for, in milliseconds",
        &["CA key", "p50", "p99", "signature", "commit", "beyond signature and two commits"],
    );
    for (issuer, signatures, series) in issuers {
        let [p50, _, p99] = series.latency;
        let rounds = p50.iter().zip(&signatures).zip(&commits);
        let beyond = rounds.map(|((p50, signature), commit)| p50 - signature - 2.0 * commit);
        let beyond = beyond.collect();
        table.rows.push(vec![
            Cell::text(issuer.key),
            Cell::Rounds(p50, 2),
            Cell::Rounds(p99, 2),
            Cell::Rounds(signatures, 2),
            Cell::Rounds(commits.clone(), 2),
            Cell::Rounds(beyond, 2),
        ]);
    }
    table.note("signature: of the token alone, one thread. commit: the store alone, a durable transaction with one row of 2 KiB, the median of 300.");
    report.add(table);
    Ok(())
}

/// Milliseconds for one commit that nobody shares.
fn commit(store: &Store, written: &mut i64) -> Outcome<f64> {
    let mut times = Vec::new();
    for _ in 0..COMMITS {
        *written += 1;
        let id = *written;
        let began = Instant::now();
        store.write(move |tx| -> Result<(), Error> {
            let values = [id.into(), format!("{id:032X}").into(), vec![7_u8; ROW].into()];
            tx.execute("INSERT INTO written (id, name, content) VALUES ($1, $2, $3)", &values)?;
            Ok(())
        })?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    median(&times).when("no commits")
}
