//! A disk whose flushes are slow, and many who wait for it.

use sealwright::base::KeyAlgorithm;

use super::issue::Issuer;
use super::series::{COLUMNS, Series};
use crate::appliance::{Appliance, text};
use crate::fault::Outcome;
use crate::plan::Plan;
use crate::report::{Cell, Report, Table};

/// Microseconds that each flush of the slow disk takes more.
const SLOWER: &str = "5000";
const IN_FLIGHT: usize = 512;

pub(super) fn run(plan: &Plan, report: &mut Report) -> Outcome<()> {
    let shim = plan.place.join("tools/slow_disk.so");
    let mut table = Table::new(
        "5. A disk whose flushes take 5 ms more: p-256, Unix socket",
        &[&["disk", "in flight"], &COLUMNS[..], &["of the usual"]].concat(),
    );
    if !shim.exists() {
        let why = "the shim is not built: run scripts/bench".to_owned();
        table.rows.push(vec![Cell::text("slow"), Cell::text(IN_FLIGHT), Cell::Missing(why)]);
        report.add(table);
        return Ok(());
    }
    let key = KeyAlgorithm::P256;
    let usual = Issuer::start(key, Appliance::new(plan, "usual-disk", key)?)?;
    let mut appliance = Appliance::new(plan, "slow-disk", key)?;
    appliance.set("LD_PRELOAD", text(&shim)?);
    appliance.set("SLOW_DISK_MICROSECONDS", SLOWER);
    let slow = Issuer::start(key, appliance)?;
    let (mut of_usual, mut of_slow) = (Series::default(), Series::default());
    for _ in 0..plan.rounds {
        of_usual.take(&mut usual.measure(plan, IN_FLIGHT)?);
        of_slow.take(&mut slow.measure(plan, IN_FLIGHT)?);
    }
    for (name, series) in [("usual", &of_usual), ("slow", &of_slow)] {
        let mut row = vec![Cell::text(name), Cell::text(IN_FLIGHT)];
        row.extend(series.cells());
        row.push(series.share(&of_usual.rate));
        table.rows.push(row);
    }
    table.note("Every fsync and fdatasync of vmcad is done and then takes 5 ms more (LD_PRELOAD, tests/bench/shim).");
    report.add(table);
    Ok(())
}
