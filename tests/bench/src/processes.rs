//! What processes take, as the kernel counts it.

use std::path::PathBuf;
use std::time::Duration;

use crate::fault::{Outcome, While};

/// Length of a tick in `/proc/PID/stat`. Linux has told user space 100 a second for as long as it has told at all.
const TICK: Duration = Duration::from_millis(10);

/// Processor time, user and system, of a process and its threads, ended ones included (`proc(5)`).
pub(crate) fn used(pid: u32) -> Outcome<Duration> {
    times(&pid.to_string(), 11)
}

/// The same of all children of this process that have ended.
pub(crate) fn used_by_children() -> Outcome<Duration> {
    times("self", 13)
}

/// The sum of two fields in a row, the first of which has so many others between itself and the name.
fn times(process: &str, field: usize) -> Outcome<Duration> {
    let path = format!("/proc/{process}/stat");
    let text = std::fs::read_to_string(&path).when(&path)?;
    // The name of the program, which may hold blanks, ends with the last bracket.
    let (_, fields) = text.rsplit_once(')').when(&path)?;
    let ticks: u32 = fields
        .split_whitespace()
        .skip(field)
        .take(2)
        .map(|number| number.parse::<u32>())
        .sum::<Result<u32, _>>()?;
    Ok(TICK * ticks)
}

/// Whose processor time is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Watched {
    /// One process.
    Process(u32),
    /// The token agents of this service: those that are there, and those that have ended since.
    AgentsOf(u32),
}

impl Watched {
    /// Processor time so far, user and system.
    pub(crate) fn used(self) -> Outcome<Duration> {
        match self {
            Self::Process(pid) => used(pid),
            Self::AgentsOf(service) => {
                // One that ends between the two looks is in neither or in both: a fraction of a second at most.
                let ended = times(&service.to_string(), 13)?;
                let there = agents(service)?.into_iter().filter_map(|pid| used(pid).ok());
                Ok(ended + there.sum::<Duration>())
            }
        }
    }
}

/// Token agents that a service has started and that are there.
pub(crate) fn agents(service: u32) -> Outcome<Vec<u32>> {
    let mut found = children(service)?;
    found.retain(|pid| has_argument(*pid, "token-agent"));
    Ok(found)
}

/// Memory that is resident now, in KiB (`VmRSS`).
pub(crate) fn resident(pid: u32) -> Outcome<u64> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).when(&path)?;
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).when(&path)?;
    Ok(line.split_whitespace().nth(1).when(&path)?.parse()?)
}

/// Children of a process, of all its threads.
fn children(pid: u32) -> Outcome<Vec<u32>> {
    let mut found = Vec::new();
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let path: PathBuf = thread?.path().join("children");
        // A thread that has ended meanwhile has no children.
        let text = std::fs::read_to_string(path).unwrap_or_default();
        for word in text.split_whitespace() {
            found.push(word.parse()?);
        }
    }
    Ok(found)
}

/// Whether this process was started with this word among its arguments.
fn has_argument(pid: u32, wanted: &str) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline"))
        .is_ok_and(|line| line.split(|octet| *octet == 0).any(|word| word == wanted.as_bytes()))
}
