//! The same measurement in every round.

use std::time::Duration;

use crate::load::Load;
use crate::report::Cell;

/// Columns that [`Series::cells`] fills.
pub(super) const COLUMNS: [&str; 7] =
    ["per second", "p50 ms", "p95 ms", "p99 ms", "service us", "agent us", "client us"];

/// A value for each round.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    pub(super) rate: Vec<f64>,
    /// Milliseconds within which half, 95 and 99 of a hundred answers came.
    pub(super) latency: [Vec<f64>; 3],
    /// Processor time for one answer, in microseconds: the service, its token agent, the load generator.
    pub(super) processor: [Vec<f64>; 3],
}

impl Series {
    /// `load.used`: the service first, then its agents.
    pub(super) fn take(&mut self, load: &mut Load) {
        self.rate.push(load.rate());
        for (rounds, share) in self.latency.iter_mut().zip([0.5, 0.95, 0.99]) {
            rounds.push(load.latencies.within(share));
        }
        let service = load.used.first().copied().unwrap_or_default();
        let agents: Duration = load.used.iter().skip(1).sum();
        for (rounds, used) in self.processor.iter_mut().zip([service, agents, load.own]) {
            rounds.push(load.each(used));
        }
    }

    pub(super) fn cells(&self) -> Vec<Cell> {
        let mut cells = vec![Cell::Rounds(self.rate.clone(), 0)];
        cells.extend(self.latency.iter().map(|rounds| Cell::Rounds(rounds.clone(), 2)));
        cells.extend(self.processor.iter().map(|rounds| Cell::Rounds(rounds.clone(), 0)));
        cells
    }

    /// This rate as a share of another one, round by round.
    pub(super) fn share(&self, of: &[f64]) -> Cell {
        Cell::Rounds(self.rate.iter().zip(of).map(|(rate, of)| rate / of).collect(), 2)
    }

    /// Processor time of service and agents beyond what is taken in any case, round by round.
    pub(super) fn beyond(&self, base: &[f64]) -> Cell {
        let [service, agents, _] = &self.processor;
        let both = service.iter().zip(agents).zip(base);
        Cell::Rounds(both.map(|((service, agents), base)| service + agents - base).collect(), 0)
    }
}
