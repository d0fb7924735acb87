//! `sealwright doctor`: checks the appliance, and tries to break the custody of its keys.
//!
//! It changes nothing. What it says is put together from files, processes and records that it looks
//! at itself, from what the services answer, and from an examination of each token in a child process
//! of its own. docs/DOCTOR.md lists the checks and the JSON structure.

mod agents;
mod certificates;
mod configuration;
mod custody;
mod files;
mod machine;
mod private_keys;
mod processes;
mod report;
mod seen;
mod services;
mod tokens;

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;

use report::{Check, Report, Severity};
use seen::Seen;

use crate::base::{Clock, Layout, SystemClock, UnixTime, sentences};
use crate::config::{self, Config, TokenRole};
use crate::hardening;

/// Checks, prints, and says by the exit status how bad it is: 0 nothing above a notice, 1 warnings, 2
/// something is critical.
pub(super) fn run(layout: &Layout, json: bool) -> ExitCode {
    let report = examine(layout, SystemClock.now());
    let text = if json { report.to_json() } else { Ok(report.to_text()) };
    match text {
        Ok(text) => {
            // The reader may have seen enough; the status still says how it is.
            let _closed = std::io::stdout().lock().write_all(text.as_bytes());
            report.status()
        }
        Err(error) => {
            crate::cli::sealwright::complain(&error);
            ExitCode::from(2)
        }
    }
}

fn examine(layout: &Layout, now: UnixTime) -> Report {
    let mut report =
        Report { node: String::new(), at: now, checks: Vec::new(), tokens: BTreeMap::new() };
    let mut readable = Check::new("configuration.readable", "the configuration can be read");
    // A PIN that is asked for passes through this process.
    if let Err(error) = hardening::harden() {
        readable.find(
            Severity::Critical,
            sentences(&error),
            "a PIN that is typed could reach a core dump",
            "run the doctor on a kernel and in a sandbox that allow prctl and setrlimit",
        );
    }
    let config = match Config::load(&layout.config_file()) {
        Ok(config) => config,
        Err(error) => {
            let action = match error {
                config::Error::Missing(_) => {
                    "run `sealwright init`, or name the appliance's folder with --root or SEALWRIGHT_ROOT"
                }
                config::Error::Unreadable { .. } => {
                    "run the doctor as root or as the user of the services"
                }
                config::Error::Invalid { .. } => "correct the line that the sentence names",
            };
            readable.find(
                Severity::Critical,
                sentences(&error),
                "without its configuration no service starts, and nothing else can be checked",
                action,
            );
            report.checks.push(readable);
            return report;
        }
    };
    report.node.clone_from(&config.node.name);
    report.checks.push(readable);
    if let Some(check) = wrong_user(layout) {
        report.checks.push(check);
        return report;
    }
    let seen = Seen::ask(layout, &config, now);
    for checks in [
        configuration::all,
        files::all,
        private_keys::all,
        services::all,
        processes::all,
        agents::all,
        machine::all,
        certificates::all,
    ] {
        report.checks.extend(checks(&seen));
    }
    for role in [TokenRole::Ca, TokenRole::Sealing] {
        let (checks, examination) = tokens::examine(&seen, role);
        report.checks.extend(checks);
        report.tokens.extend(examination.map(|examination| (role.name(), examination)));
    }
    report
}

/// Whoever may not look would take everything for missing.
fn wrong_user(layout: &Layout) -> Option<Check> {
    let own = rustix::process::geteuid();
    let owner = std::fs::metadata(layout.state()).map(|state| state.uid());
    if own.is_root() || owner.as_ref().is_ok_and(|owner| *owner == own.as_raw()) {
        return None;
    }
    let mut check = Check::new("doctor.user", "the doctor may look at everything");
    let belongs = match owner {
        Ok(owner) => format!("belongs to the user with the number {owner}"),
        Err(cause) => format!("cannot be looked at: {cause}"),
    };
    check.find(
        Severity::Critical,
        format!(
            "the doctor runs as the user with the number {}, and {} {belongs}",
            own.as_raw(),
            layout.state().display()
        ),
        "nothing can be shown about files, tokens and stores that this user may not see",
        "run the doctor as root or as the user of the services",
    );
    Some(check)
}
