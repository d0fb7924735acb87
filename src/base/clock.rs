//! Time comes in through the door, so that a test can say "ninety days later".

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970-01-01T00:00:00Z, without leap seconds.
pub type UnixTime = i64;

/// A source of the present time.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> UnixTime;
}

/// The machine's clock; constructed only by the floors that touch the world.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // The one door through which time comes in.
    fn now(&self) -> UnixTime {
        // A clock before 1970 is a broken machine; zero makes every validity check refuse.
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
    }
}
