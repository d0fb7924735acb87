//! Processes of an appliance, to be hurt by their id.

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Appliance, eventually};

/// The process of a service.
pub fn process(appliance: &Appliance, service: &str) -> Pid {
    Pid::from_raw(appliance.pid(service)).unwrap()
}

/// The child of a service whose command line holds this word (`token-workshop`, `token-agent`).
pub fn child(appliance: &Appliance, service: &str, word: &str) -> Option<Pid> {
    let parent = process(appliance, service);
    let tasks = format!("/proc/{0}/task", parent.as_raw_nonzero());
    // A child belongs to the thread that made it.
    let children = std::fs::read_dir(tasks).ok()?.flatten().flat_map(|task| {
        let listed = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        listed.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    });
    let named = |pid: &String| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|octet| *octet == 0).any(|argument| argument == word.as_bytes())
    };
    Pid::from_raw(children.into_iter().find(named)?.parse().ok()?)
}

/// Kills it at once, and waits until it is gone.
pub fn kill(pid: Pid) {
    kill_process(pid, Signal::KILL).unwrap();
    eventually("a killed process is gone", || is_gone(pid));
}

/// Whether it has ended.
pub fn is_gone(pid: Pid) -> bool {
    matches!(state(pid), None | Some('Z'))
}

/// Stops it where it is; it is continued when this is dropped.
pub struct StandingStill(Pid);

impl StandingStill {
    pub fn of(pid: Pid) -> Self {
        kill_process(pid, Signal::STOP).unwrap();
        eventually("a stopped process stands still", || state(pid) == Some('T'));
        Self(pid)
    }
}

impl Drop for StandingStill {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::CONT);
    }
}

/// The letter of proc(5).
fn state(pid: Pid) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}
