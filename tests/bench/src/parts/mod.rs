//! The parts of the benchmark. Each makes what it needs, measures in rounds, and adds its tables.

mod alone;
mod disk;
mod growth;
mod https;
mod issue;
mod limit;
mod paced;
mod peers;
mod series;
mod vecs;

use sealwright::base::KeyAlgorithm;

use crate::appliance::{Appliance, judge};
use crate::fault::{Outcome, While, fault};
use crate::plan::Plan;
use crate::report::Report;

/// Runs what the plan says, and writes the report.
pub(crate) fn run(plan: &Plan) -> Outcome<()> {
    let mut report = Report::default();
    facts(plan, &mut report);
    for (name, value) in &report.facts {
        println!("{name}: {value}");
    }
    for part in &plan.parts {
        match *part {
            "limit" => limit::run(plan, &mut report),
            "issue" => issue::run(plan, &mut report),
            "https" => https::run(plan, &mut report),
            "vecs" => vecs::run(plan, &mut report),
            "peers" => peers::run(plan, &mut report),
            "growth" => growth::run(plan, &mut report),
            "paced" => paced::run(plan, &mut report),
            "disk" => disk::run(plan, &mut report),
            "alone" => alone::run(plan, &mut report),
            other => fault(format!("'{other}' is no part")),
        }
        .when(part)?;
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    report.facts.push(("load at the end".to_owned(), load.trim().to_owned()));
    report.write(&plan.place, if plan.smoke { "smoke" } else { "result" })
}

fn facts(plan: &Plan, report: &mut Report) {
    let mut fact = |name: &str, value: String| report.facts.push((name.to_owned(), value));
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    // Without one of these programs the line is empty, and the numbers are the same.
    let said = |program: &str, words: &[&str]| {
        judge(program, words, b"").map_or_else(|_| String::new(), |said| said.trim().to_owned())
    };
    fact("date", said("date", &["-u", "+%F %T UTC"]));
    fact("commit", said("git", &["describe", "--always", "--dirty"]));
    fact("softhsm", said("softhsm2-util", &["--version"]));
    let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let model = read("/proc/cpuinfo")
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or_else(String::new, |(_, model)| format!(" x {model}"));
    fact("processors", format!("{processors}{model}"));
    fact("kernel", read("/proc/sys/kernel/osrelease").trim().to_owned());
    fact("load before", read("/proc/loadavg").trim().to_owned());
    fact("rounds", format!("{} of {} s each", plan.rounds, plan.measured.as_secs_f64()));
    if plan.smoke {
        fact("smoke", "yes: the numbers mean nothing".to_owned());
    }
}

/// An appliance for each kind of CA key.
fn appliances(plan: &Plan) -> Outcome<Vec<(KeyAlgorithm, Appliance)>> {
    plan.keys
        .iter()
        .map(|key| Ok((*key, Appliance::new(plan, &key.to_string(), *key).when(key)?)))
        .collect()
}
