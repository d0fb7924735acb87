//! Which process a pid file means.

use serde::{Deserialize, Serialize};

/// What a service writes into its pid file, as JSON.
///
/// A pid alone may belong to another process by the time it is read. With the start time of the
/// process and the boot it belongs to, a signal cannot hit a stranger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Process id.
    pub pid: i32,
    /// When it started: clock ticks after boot, field 22 of `/proc/PID/stat` (proc(5)).
    pub start_ticks: u64,
    /// `/proc/sys/kernel/random/boot_id`: which boot the ticks count from.
    pub boot_id: String,
}

impl ProcessIdentity {
    /// Finds the start time in the text of `/proc/PID/stat`. The second field, the program's name in
    /// parentheses, may hold blanks and parentheses.
    pub fn start_ticks_in(stat: &str) -> Option<u64> {
        let (_, after_name) = stat.rsplit_once(')')?;
        after_name.split_ascii_whitespace().nth(19)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::ProcessIdentity;

    #[test]
    fn the_start_time_is_found_behind_any_program_name() {
        let stat = "7 (a) S 1) b) S 1 7 7 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0 4711 13 14";
        assert_eq!(ProcessIdentity::start_ticks_in(stat), Some(4711));
        assert_eq!(ProcessIdentity::start_ticks_in("7 (a) S"), None);
    }
}
