//! Keeps the memory of a process out of swap (mlockall(2)).

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities};

use super::report::Outcome;

/// Below this a limit is worse than none: addresses count, used or not, and each thread of the C
/// library's allocator takes 64 MiB of them. A process that meets the limit gets no memory any more.
const ENOUGH: u64 = 2 * 1024 * 1024 * 1024;

/// Locks what the process has and what it will get, page by page as they come into use.
pub(super) fn lock() -> Outcome {
    let limit = raised();
    if limit.is_some_and(|limit| limit < ENOUGH) && !is_exempt() {
        return Outcome::Missing(format!(
            "the limit on locked memory is {} KiB and should be `unlimited`; set LimitMEMLOCK=infinity in the \
             unit, or `ulimit -l unlimited` before the start",
            limit.unwrap_or_default() / 1024
        ));
    }
    match mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT) {
        Ok(()) => Outcome::Enforced,
        Err(cause) => Outcome::Missing(format!(
            "the kernel refuses to lock it ({cause}); set LimitMEMLOCK=infinity in the unit, and permit \
             mlockall where system calls are filtered"
        )),
    }
}

/// The soft limit, after it was raised to the hard one; `None` without a limit.
fn raised() -> Option<u64> {
    let before = getrlimit(Resource::Memlock);
    let wanted = Rlimit { current: before.maximum, maximum: before.maximum };
    // Where it stays lower, the lower one counts.
    let _ = setrlimit(Resource::Memlock, wanted);
    getrlimit(Resource::Memlock).current
}

/// `CAP_IPC_LOCK` lifts the limit, but only in the first user namespace: a root in a container has the
/// capability and meets the limit all the same.
fn is_exempt() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let whole = map.split_whitespace().eq(["0", "0", "4294967295"]);
    whole && capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK))
}
