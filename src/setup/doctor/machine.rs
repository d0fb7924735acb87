//! The machine under the appliance: swap, core dumps, clock, disks.

use std::fs;
use std::path::Path;

use secret_memory::Protection;

use super::processes;
use super::report::{Check, Severity, moment};
use super::seen::Seen;
use crate::base::UnixTime;

/// Below this, records can soon not be written, and then nothing is issued.
const LITTLE: u64 = 256 * 1024 * 1024;
const NEXT_TO_NOTHING: u64 = 16 * 1024 * 1024;
const FEW_INODES: u64 = 1000;

/// 2026-01-01: this program did not exist before.
const BEFORE_THIS_PROGRAM: UnixTime = 1_767_225_600;

pub(super) fn all(seen: &Seen<'_>) -> Vec<Check> {
    vec![swap(seen), hidden_pages(), core_pattern(), clock(seen), disk(seen)]
}

fn swap(seen: &Seen<'_>) -> Check {
    let mut check =
        Check::new("machine.swap", "the memory of services does not reach a swap device");
    let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
    // The first line is the heading.
    let devices: Vec<&str> =
        swaps.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    if devices.is_empty() {
        check.saw("there is no swap");
        return check;
    }
    let running = processes::running(seen);
    for (service, pid) in &running {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        if let Some(kilobytes) = processes::field(&status, "VmSwap:")
            && kilobytes != "0"
        {
            check.find(
                Severity::Warning,
                format!("{kilobytes} kB of {service} are in swap"),
                "secrets that were in its memory may be on that disk, where they outlive the process",
                "encrypt the swap device with a new key at every start of the machine, overwrite what is on it \
                 now, and restart the service with MemorySwapMax=0",
            );
        }
    }
    let exempt = !running.is_empty() && running.iter().all(|(_, pid)| kept_out_of_swap(*pid));
    if exempt {
        check.saw(format!("swap on {}, and the services are kept out of it", devices.join(", ")));
        return check;
    }
    check.find(
        Severity::Warning,
        format!("the machine swaps to {}, and the services are not kept out of it", devices.join(", ")),
        "under memory pressure secrets of a service can reach a disk",
        "run the services by the units in scripts/systemd (MemorySwapMax=0), switch swap off (`swapoff -a`), or \
         encrypt it with a new key at every start",
    );
    check
}

/// Control groups, version 2: the group of the process, or one above it, may not swap.
fn kept_out_of_swap(pid: u32) -> bool {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let Some(path) = groups.lines().find_map(|line| line.strip_prefix("0::/")) else {
        return false;
    };
    Path::new(path).ancestors().any(|group| {
        let limit = Path::new("/sys/fs/cgroup").join(group).join("memory.swap.max");
        fs::read_to_string(limit).is_ok_and(|text| text.trim() == "0")
    })
}

/// What a program of ours gets here and now; a service has the limit of its unit.
fn hidden_pages() -> Check {
    let mut check = Check::new("machine.secret-memory", "the kernel hides the pages of secrets");
    let level = secret_memory::protection();
    check.saw(format!("secrets of this process are kept in {level}"));
    let (severity, why, action) = match level {
        Protection::Hidden => return check,
        Protection::Locked => (
            Severity::Notice,
            "secrets stay out of swap and core dumps, but whoever may read the memory of a service sees them",
            "use a kernel with memfd_secret (Linux 6.5, or 5.14 with secretmem.enable=1), and allow the call \
             where a filter forbids it",
        ),
        Protection::Heap => (
            Severity::Warning,
            "under memory pressure secrets can reach a disk",
            "raise the limit on locked memory to 16 MiB (LimitMEMLOCK=16M in a unit, `ulimit -l 16384`)",
        ),
    };
    check.find(severity, format!("secrets of this process are kept in {level}"), why, action);
    check
}

fn core_pattern() -> Check {
    let mut check = Check::new("machine.core-pattern", "core dumps are not handed to a program");
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    let pattern = pattern.trim();
    check.saw(format!("kernel.core_pattern is {pattern}"));
    if pattern.starts_with('|') {
        check.find(
            Severity::Notice,
            format!("the kernel hands core dumps to a program ({pattern})"),
            "the limit on core files does not count for such a program (core(5)); what keeps the services out of \
             it is that they are not dumpable",
            "nothing for Sealwright's own services; keep it in mind for programs that handle PINs besides it",
        );
    }
    check
}

fn clock(seen: &Seen<'_>) -> Check {
    let mut check = Check::new("machine.clock", "the clock is not obviously wrong");
    check.saw(moment(seen.now));
    let why =
        "certificates get wrong dates, valid ones are refused, and the records tell wrong times";
    let action = "set the clock, and keep it right with a time service (chrony, systemd-timesyncd)";
    if seen.now < BEFORE_THIS_PROGRAM {
        let what =
            format!("the clock says {}, which is before this program was made", moment(seen.now));
        check.find(Severity::Critical, what, why, action);
    } else if let Ok(chain) = &seen.chain
        && let Some(begin) = chain.iter().map(crate::x509::Certificate::not_before).max()
        && seen.now < begin
    {
        let what = format!(
            "the clock says {}, and the CA's chain begins to be valid at {}",
            moment(seen.now),
            moment(begin)
        );
        check.find(Severity::Critical, what, why, action);
    }
    check
}

fn disk(seen: &Seen<'_>) -> Check {
    let mut check = Check::new("machine.disk", "there is room for records, logs and sockets");
    let layout = seen.layout;
    let log = layout.log_file(crate::base::Service::Vmcad);
    let places = [Some(layout.state()), Some(layout.run()), log.parent().map(Path::to_owned)];
    for place in places.into_iter().flatten() {
        let Ok(found) = rustix::fs::statvfs(&place) else { continue };
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        let megabytes = free / (1024 * 1024);
        check.saw(format!("{megabytes} MiB free for {}", place.display()));
        let severity = match free {
            ..NEXT_TO_NOTHING => Severity::Critical,
            NEXT_TO_NOTHING..LITTLE => Severity::Warning,
            _ => Severity::Ok,
        };
        let (why, action) = (
            "where records cannot be written nothing is issued, and a full disk endangers software tokens",
            "make room, or give the appliance a file system of its own",
        );
        if severity > Severity::Ok {
            check.find(
                severity,
                format!("only {megabytes} MiB are free for {}", place.display()),
                why,
                action,
            );
        }
        // Some file systems have no fixed number of inodes and say zero.
        if found.f_files > 0 && found.f_favail < FEW_INODES {
            let what =
                format!("only {} files can still be made in {}", found.f_favail, place.display());
            check.find(Severity::Warning, what, why, action);
        }
    }
    check
}
