//! Services that died, for a process that stays and starts them again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rustix::process::{Signal, WaitId, WaitIdOptions, WaitOptions, WaitStatus, wait, waitid};

use super::{Supervisor, marker, pid_file};
use crate::base::Service;

/// Deaths within [`WINDOW`] after which a service is not started again.
const MOST: usize = 5;
/// How long a death counts.
const WINDOW: Duration = Duration::from_secs(60);

/// A service that ended without having been asked to.
#[derive(Debug, PartialEq, Eq)]
pub struct Death {
    /// Which.
    pub service: Service,
    /// Exit status or signal, in words.
    pub how: String,
}

impl Supervisor {
    /// Takes every ended child of this process out of the process table, and says which of them were services that died.
    ///
    /// The first process of a container inherits all processes whose parent has ended, so the children are not only
    /// services. A service that ended with success was asked to; one that was stopped by [`super::Turn::stop`] is not
    /// missed, however it ended. Not to be called while this process waits for a child elsewhere.
    pub fn collect(&self) -> Vec<Death> {
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let mut dead = Vec::new();
        // An error means that there is no child. Looked at first, and taken out afterwards: only what is still in the
        // process table can be told from one that had its number before.
        while let Ok(Some(_)) = waitid(WaitId::All, ended) {
            let missed = self.missed();
            let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) else { break };
            let Some(how) = failure(status) else { continue };
            let number = pid.as_raw_nonzero().get();
            let service = missed.iter().find(|(process, _)| *process == number);
            dead.extend(service.map(|(_, service)| Death { service: *service, how }));
        }
        dead
    }

    /// The services whose end would be missed, with the numbers of their processes.
    pub(super) fn missed(&self) -> Vec<(i32, Service)> {
        let wanted = |service: &Service| !marker::is_there(&self.layout, *service);
        let process = |service: Service| {
            let process = pid_file::last(&self.layout.pid_file(service))?;
            Some((process.id(), service))
        };
        Service::ALL.into_iter().filter(wanted).filter_map(process).collect()
    }
}

/// How a process ended; nothing where it ended well.
fn failure(status: WaitStatus) -> Option<String> {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(format!("exit status {code}")),
        (None, Some(signal)) if Some(Signal::KILL) == Signal::from_named_raw(signal) => {
            Some("killed".to_owned())
        }
        (None, Some(signal)) => Some(format!("signal {signal}")),
        (None, None) => None,
    }
}

/// The deaths of one service, and what they mean for the next start.
#[derive(Debug, Default)]
pub struct Deaths(VecDeque<Instant>);

impl Deaths {
    /// Another one. The pause before it is started again; nothing where that has been tried often enough.
    pub fn another(&mut self, now: Instant) -> Option<Duration> {
        self.0.retain(|death| now.duration_since(*death) < WINDOW);
        self.0.push_back(now);
        // The first one may be chance, and clients wait.
        let pause = u32::try_from(self.0.len()).unwrap_or(u32::MAX).saturating_sub(1);
        (self.0.len() < MOST).then(|| Duration::from_secs(1) * pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_keeps_dying_is_given_up() {
        let mut deaths = Deaths::default();
        let start = Instant::now();
        let pauses: Vec<_> =
            (0..5).map(|second| deaths.another(start + Duration::from_secs(second))).collect();
        let seconds = [Some(0), Some(1), Some(2), Some(3), None];
        assert_eq!(pauses, seconds.map(|pause| pause.map(Duration::from_secs)));
    }

    #[test]
    fn a_death_a_day_is_none_too_many() {
        let mut deaths = Deaths::default();
        let start = Instant::now();
        for day in 0..10 {
            let now = start + Duration::from_secs(day * 86_400);
            assert_eq!(deaths.another(now), Some(Duration::ZERO), "day {day}");
        }
    }
}
