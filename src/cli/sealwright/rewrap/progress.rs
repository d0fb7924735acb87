//! How a change of keys is shown while it runs: one line that is written over on a terminal, a line
//! now and then otherwise.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::{Duration, Instant};

use crate::api::rewrap::{Phase, Rewrap};

/// Characters of the bar.
const WIDTH: u64 = 24;
/// Without a terminal, a line at least this often, as long as something happens.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// What was shown already.
pub(super) struct Progress {
    wanted: bool,
    terminal: bool,
    /// When the entries were first seen at it, and how many were done then.
    begun: Option<(Instant, u64)>,
    last: Option<(Instant, Shown)>,
}

/// What a line depends on, so that nothing is told twice.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    phase: Phase,
    tenth: u64,
    fault: Option<String>,
}

impl Progress {
    pub(super) fn new(wanted: bool) -> Self {
        Self { wanted, terminal: stderr().is_terminal(), begun: None, last: None }
    }

    /// Shows how far the job is at this moment.
    pub(super) fn show(&mut self, standing: &Rewrap, now: Instant) {
        let (done, total) = counted(standing);
        let line = match (standing.phase, &standing.fault) {
            (_, Some(fault)) => format!("waiting: {fault}"),
            (Phase::MakingKeys, None) => "new keys are made in the token".to_owned(),
            (Phase::Resealing, None) => {
                let (begun, before) = *self.begun.get_or_insert((now, done));
                let rate = rate(done.saturating_sub(before), now - begun);
                self.entries(done, total, rate)
            }
            (Phase::Destroying, None) => "the old keys are destroyed".to_owned(),
            (Phase::Never | Phase::Blocked | Phase::Kept | Phase::Done, None) => return,
        };
        let tenth = (10 * done).checked_div(total).unwrap_or(10);
        let shown = Shown { phase: standing.phase, tenth, fault: standing.fault.clone() };
        if self.terminal || self.is_news(&shown, now) {
            self.write(&line);
            self.last = Some((now, shown));
        }
    }

    /// A word that is not about the entries.
    pub(super) fn note(&mut self, line: &str) {
        let shown = Shown { phase: Phase::Never, tenth: 0, fault: Some(line.to_owned()) };
        if self.last.as_ref().is_none_or(|(_, last)| *last != shown) {
            self.write(line);
            self.last = Some((Instant::now(), shown));
        }
    }

    /// Makes room for what comes after.
    pub(super) fn finish(&mut self) {
        if self.terminal && self.wanted && self.last.take().is_some() {
            let _ = write!(stderr().lock(), "\r\x1b[K");
        }
    }

    fn is_news(&self, shown: &Shown, now: Instant) -> bool {
        self.last.as_ref().is_none_or(|(when, last)| {
            last != shown || (shown.fault.is_none() && now - *when >= LINE_EVERY)
        })
    }

    fn entries(&self, done: u64, total: u64, rate: Option<u64>) -> String {
        let mut line = String::from("sealed anew ");
        if self.terminal {
            let filled = (WIDTH * done).checked_div(total).unwrap_or(WIDTH).min(WIDTH);
            line.push('[');
            line.extend((0..WIDTH).map(|at| if at < filled { '#' } else { '-' }));
            line.push_str("] ");
        }
        line.push_str(&format!("{done} of {total} entries"));
        if let Some(rate) = rate {
            line.push_str(&format!(", {rate}/s"));
            if let Some(seconds) = total.saturating_sub(done).checked_div(rate) {
                line.push_str(&format!(", {} left", duration(seconds)));
            }
        }
        line
    }

    /// There is nowhere to report that standard error cannot be written.
    fn write(&self, line: &str) {
        if !self.wanted {
            return;
        }
        let _ = match self.terminal {
            true => write!(stderr().lock(), "\r{line}\x1b[K"),
            false => writeln!(stderr().lock(), "{line}"),
        };
    }
}

/// Entries that need nothing more, and all there are to do.
fn counted(standing: &Rewrap) -> (u64, u64) {
    let entries = &standing.entries;
    (entries.before.saturating_sub(entries.left), entries.before)
}

/// Entries a second; `None` while there is nothing to tell it from.
fn rate(done: u64, elapsed: Duration) -> Option<u64> {
    let milliseconds = u64::try_from(elapsed.as_millis()).ok()?;
    (done > 0).then(|| (done * 1000).checked_div(milliseconds)).flatten()
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Progress, Shown, duration, rate};
    use crate::api::rewrap::Phase;

    fn progress(terminal: bool) -> Progress {
        Progress { wanted: false, terminal, begun: None, last: None }
    }

    #[test]
    fn a_terminal_gets_a_bar_and_a_file_gets_a_line() {
        assert_eq!(
            progress(true).entries(2500, 10_000, Some(1250)),
            "sealed anew [######------------------] 2500 of 10000 entries, 1250/s, 6 s left"
        );
        assert_eq!(progress(false).entries(0, 10_000, None), "sealed anew 0 of 10000 entries");
        assert!(progress(true).entries(0, 0, None).contains("########"));
    }

    #[test]
    fn rates_and_times_are_whole_numbers_that_people_read() {
        assert_eq!(rate(500, Duration::from_millis(250)), Some(2000));
        assert_eq!(rate(0, Duration::from_secs(1)), None);
        assert_eq!(rate(5, Duration::ZERO), None);
        assert_eq!(duration(59), "59 s");
        assert_eq!(duration(61), "1 min 1 s");
        assert_eq!(duration(3 * 3600 + 120), "3 h 2 min");
    }

    #[test]
    fn without_a_terminal_nothing_is_told_twice() {
        let now = Instant::now();
        let shown = Shown { phase: Phase::Resealing, tenth: 3, fault: None };
        let mut progress = progress(false);
        assert!(progress.is_news(&shown, now));
        progress.last = Some((now, shown.clone()));
        assert!(!progress.is_news(&shown, now));
        assert!(progress.is_news(&Shown { tenth: 4, ..shown.clone() }, now));
        assert!(progress.is_news(&Shown { phase: Phase::Destroying, ..shown.clone() }, now));
        assert!(progress.is_news(&shown, now + Duration::from_secs(11)), "it still lives");
    }
}
