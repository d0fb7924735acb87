//! The running services, seen from outside.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use super::report::{Check, Severity};
use super::seen::Seen;
use crate::base::{Layout, Service};
use crate::config::TokenRole;

pub(super) fn all(seen: &Seen<'_>) -> Vec<Check> {
    vec![core_dumps(seen), token_folder(seen)]
}

/// The services that answer, and the process that each pid file names.
pub(super) fn running(seen: &Seen<'_>) -> Vec<(Service, u32)> {
    seen.health
        .iter()
        .filter(|(_, answer)| answer.is_ok())
        .filter_map(|(service, _)| Some((*service, pid(seen.layout, *service)?)))
        .collect()
}

/// Only to look at, never to signal: for that, more would have to agree.
fn pid(layout: &Layout, service: Service) -> Option<u32> {
    let text = fs::read_to_string(layout.pid_file(service)).ok()?;
    let value: serde_json::Value = serde_json::from_str(&text).ok()?;
    value.get("pid")?.as_u64()?.try_into().ok()
}

fn core_dumps(seen: &Seen<'_>) -> Check {
    let mut check = Check::new(
        "processes.core-dumps",
        "no service leaves a core dump or lets itself be inspected",
    );
    for (service, pid) in running(seen) {
        for pid in std::iter::once(pid).chain(children(pid)) {
            match limits_and_owner(pid) {
                Ok(found) => judge(&mut check, service, pid, &found),
                Err(cause) => check.find(
                    Severity::Notice,
                    format!("process {pid} of {service} cannot be looked at: {cause}"),
                    "what is not seen is not checked",
                    "run the doctor as root",
                ),
            }
        }
    }
    check
}

/// Key workshops and token agents are some. Each thread has its own.
pub(super) fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let texts =
        threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok());
    texts
        .flat_map(|text| {
            text.split_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<_>>()
        })
        .collect()
}

struct Found {
    /// Soft and hard limit on the size of a core file, as the kernel writes them.
    core: String,
    /// User of the process, and owner of its files in `/proc`: root where it is not dumpable (proc(5)).
    user: u32,
    owner: u32,
}

fn limits_and_owner(pid: u32) -> io::Result<Found> {
    let place = format!("/proc/{pid}/limits");
    let unknown = || io::Error::new(io::ErrorKind::InvalidData, "it has an unknown form");
    let limits = fs::read_to_string(&place)?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    Ok(Found {
        core: core_limit(&limits).ok_or_else(unknown)?,
        user: field(&status, "Uid:").and_then(|uid| uid.parse().ok()).ok_or_else(unknown)?,
        owner: fs::metadata(place)?.uid(),
    })
}

/// `Max core file size        0                    0                    bytes`
fn core_limit(limits: &str) -> Option<String> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size"))?;
    Some(line.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

/// The first word of a field of `/proc/PID/status`.
pub(super) fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()
}

fn judge(check: &mut Check, service: Service, pid: u32, found: &Found) {
    let restart = format!(
        "run `service-control --restart {service}`; a service sets this itself when it starts"
    );
    if found.core != "0 0" {
        check.find(
            Severity::Critical,
            format!("process {pid} of {service} may write core files (limits: {})", found.core),
            "a core file holds the memory of the process: PINs, and with a software token its keys",
            restart.as_str(),
        );
    }
    if found.user != 0 && found.owner == found.user {
        check.find(
            Severity::Critical,
            format!("process {pid} of {service} can be inspected by its own user"),
            "another program of that user can read its memory, PINs and keys included",
            restart,
        );
    } else if found.user == 0 {
        check.saw(format!(
            "{service} {pid}: no core file; it runs as root, which may inspect anything"
        ));
    } else {
        check.saw(format!("{service} {pid}: no core file, not to be inspected"));
    }
}

fn token_folder(seen: &Seen<'_>) -> Check {
    let mut check = Check::new(
        "processes.token-folder",
        "services cannot write to the folder of a software token",
    );
    for (service, role) in [(Service::Vmcad, TokenRole::Ca), (Service::Vmafdd, TokenRole::Sealing)]
    {
        if seen.config.token(role).directory.is_none() {
            continue;
        }
        let Some(health) = seen.health_of(service) else {
            check.saw(format!("{service} does not answer"));
            continue;
        };
        if let Some(why) = &health.unconfined {
            check.find(
                Severity::Warning,
                format!("{service} can write to the folder of the {role} token: {why}"),
                "a login while the disk is full destroys a software token that can be written to",
                "use a kernel with Landlock (Linux 5.13 and later, lsm=landlock), or mount the folder read-only \
                 for the service",
            );
        } else {
            check.saw(format!("{service} is confined"));
        }
    }
    check
}

#[cfg(test)]
mod tests {
    use super::{core_limit, field};

    #[test]
    fn limits_and_fields_are_read_as_the_kernel_writes_them() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
            Max data size             unlimited            unlimited            bytes     \n\
            Max core file size        0                    unlimited            bytes     \n";
        assert_eq!(core_limit(limits).as_deref(), Some("0 unlimited"));
        assert_eq!(core_limit("Max data size 1 2"), None);
        let status = "Name:\tvmcad\nUid:\t998\t998\t998\t998\nVmSwap:\t       0 kB\n";
        assert_eq!(field(status, "Uid:"), Some("998"));
        assert_eq!(field(status, "VmSwap:"), Some("0"));
        assert_eq!(field(status, "VmLck:"), None);
    }
}
