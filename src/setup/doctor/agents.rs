//! The token agents of the services, seen from outside: whether they are in their sandbox.

use std::fs;
use std::time::Duration;

use super::processes::{children, field, running};
use super::report::{Check, Severity};
use super::seen::Seen;
use crate::base::Service;
use crate::config::{SandboxSection, SystemCallList, TokenRole};

/// The word on the command line of an agent.
const NAME: &[u8] = b"token-agent";

/// An agent enters its sandbox when its service speaks to it, which is a moment after its start.
const MOMENTS: usize = 20;
const MOMENT: Duration = Duration::from_millis(100);

pub(super) fn all(seen: &Seen<'_>) -> Vec<Check> {
    let mut check = Check::new("processes.token-agents", "every token agent is in its sandbox");
    let mut found = 0;
    for (service, pid) in running(seen) {
        let role = match service {
            Service::Vmcad => TokenRole::Ca,
            Service::Vmafdd => TokenRole::Sealing,
            _ => continue,
        };
        let sandbox = &seen.config.token(role).sandbox;
        for agent in children(pid).into_iter().filter(|pid| is_agent(*pid)) {
            found += 1;
            // One that ends meanwhile is no finding.
            if let Some(status) = settled(agent, sandbox) {
                judge(&mut check, &format!("token agent {agent} of {service}"), &status, sandbox);
            }
        }
    }
    if found == 0 {
        check.saw("no service has a token agent as a child now");
    }
    vec![check]
}

fn is_agent(pid: u32) -> bool {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    words.split(|octet| *octet == 0).skip(1).any(|word| word == NAME)
}

/// The status of the process, once it is filtered; as it is in the end otherwise.
fn settled(pid: u32, sandbox: &SandboxSection) -> Option<String> {
    let read = || fs::read_to_string(format!("/proc/{pid}/status")).ok();
    let mut status = read()?;
    for _ in 0..MOMENTS {
        if is_filtered(&status) || sandbox.system_calls == Some(SystemCallList::Off) {
            break;
        }
        std::thread::sleep(MOMENT);
        status = read()?;
    }
    Some(status)
}

/// `SECCOMP_MODE_FILTER` is 2 (proc(5)).
fn is_filtered(status: &str) -> bool {
    field(status, "Seccomp:") == Some("2")
}

fn judge(check: &mut Check, who: &str, status: &str, sandbox: &SandboxSection) {
    let why =
        "code in the PKCS#11 module that does what it should not can reach more than the token";
    if field(status, "NoNewPrivs:") != Some("1") {
        check.find(
            Severity::Critical,
            format!("{who} may still gain privileges"),
            why,
            "restart the service; if it stays so, look into its log: an agent says there why it is not in its sandbox",
        );
    }
    match (sandbox.system_calls, is_filtered(status)) {
        (Some(SystemCallList::Off), _) => check.find(
            Severity::Warning,
            format!("the configuration leaves {who} without a filter of system calls"),
            why,
            "set system_calls = \"vendor\", or \"log\" to find out what the module needs (docs/OPERATIONS.md)",
        ),
        (Some(SystemCallList::Log), true) => check.find(
            Severity::Warning,
            format!("the configuration has the system calls of {who} logged and refuses none"),
            why,
            "once the log is quiet, set system_calls = \"softhsm\" or \"vendor\" and name in `allow` what it needs",
        ),
        (_, true) => {}
        (_, false) => check.find(
            Severity::Critical,
            format!("{who} has no filter of system calls"),
            why,
            "restart the service; if it stays so, look into its log",
        ),
    }
    let locked = field(status, "VmLck:").is_some_and(|kilobytes| kilobytes != "0");
    if !locked {
        let (severity, what, action) = match sandbox.memory_lock {
            true => (
                Severity::Warning,
                format!("the memory of {who} is not locked"),
                "set LimitMEMLOCK=infinity in the unit (`ulimit -l unlimited` without systemd) and restart the service",
            ),
            false => (
                Severity::Notice,
                format!("the configuration leaves the memory of {who} unlocked"),
                "remove `memory_lock = false`, unless the module does not live with it",
            ),
        };
        check.find(
            severity,
            what,
            "the PIN, and with a software token its keys, can reach a swap device",
            action,
        );
    }
    check.saw(format!(
        "{who}: filter of system calls {}, memory {}",
        if is_filtered(status) { "in force" } else { "missing" },
        if locked { "locked" } else { "not locked" },
    ));
}

#[cfg(test)]
mod tests {
    use super::{Check, Severity, judge};
    use crate::config::{SandboxSection, SystemCallList};

    const GOOD: &str = "Name:\tsealwright\nVmLck:\t   94208 kB\nNoNewPrivs:\t1\nSeccomp:\t2\n";

    fn severity(status: &str, sandbox: &SandboxSection) -> Severity {
        let mut check = Check::new("x", "x");
        judge(&mut check, "token agent 1 of vmcad", status, sandbox);
        check.severity()
    }

    #[test]
    fn each_measure_that_is_missing_is_a_finding() {
        let plain = SandboxSection::default();
        assert_eq!(severity(GOOD, &plain), Severity::Ok);
        for (from, to, due) in [
            ("NoNewPrivs:\t1", "NoNewPrivs:\t0", Severity::Critical),
            ("Seccomp:\t2", "Seccomp:\t0", Severity::Critical),
            ("Seccomp:\t2", "", Severity::Critical),
            ("94208", "0", Severity::Warning),
            ("VmLck", "VmLocked", Severity::Warning),
        ] {
            assert_eq!(severity(&GOOD.replace(from, to), &plain), due, "{to}");
        }
    }

    #[test]
    fn what_the_configuration_switches_off_is_told_and_not_critical() {
        let with = |system_calls, memory_lock| SandboxSection {
            system_calls,
            memory_lock,
            ..SandboxSection::default()
        };
        let log = with(Some(SystemCallList::Log), true);
        assert_eq!(severity(GOOD, &log), Severity::Warning);
        let off = with(Some(SystemCallList::Off), true);
        assert_eq!(severity(&GOOD.replace("Seccomp:\t2", "Seccomp:\t0"), &off), Severity::Warning);
        let unlocked = with(None, false);
        assert_eq!(severity(&GOOD.replace("94208", "0"), &unlocked), Severity::Notice);
        assert_eq!(severity(GOOD, &with(Some(SystemCallList::Vendor), true)), Severity::Ok);
    }
}
