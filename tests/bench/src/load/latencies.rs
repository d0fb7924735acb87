//! Times between question and answer.

use std::time::Duration;

/// Every one of them: a measurement has some ten thousand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies(Vec<u32>);

impl Latencies {
    pub(super) fn add(&mut self, time: Duration) {
        self.0.push(u32::try_from(time.as_micros()).unwrap_or(u32::MAX));
    }

    /// The time within which this share of the answers came, in milliseconds. 0 where there are none.
    pub(crate) fn within(&mut self, share: f64) -> f64 {
        self.0.sort_unstable();
        let last = self.0.len().saturating_sub(1);
        let at = (share * last as f64).ceil() as usize;
        self.0.get(at).map_or(0.0, |time| f64::from(*time) / 1000.0)
    }
}
