//! Fuzz target: pid files, and what the kernel says about a process.
#![allow(missing_docs, clippy::expect_used)]

use super::pid_file::believe;
use super::process::boot_id;
use crate::base::ProcessIdentity;

mutation::targets! {
    pid_file: seeds, 4000;
}

/// A record is believed only if it names one process of this boot, and a process that started when it says. Text of
/// `/proc/PID/stat` gives a number or none.
fn pid_file(octets: &[u8]) {
    let _ = ProcessIdentity::start_ticks_in(&String::from_utf8_lossy(octets));
    let Ok(record) = serde_json::from_slice::<ProcessIdentity>(octets) else { return };
    if let Ok(Ok(process)) = believe(&record) {
        assert!(record.pid > 0);
        assert_eq!(record.boot_id, boot_id().expect("the kernel says it"));
        assert_eq!(process.start_ticks().expect("it lives"), Some(record.start_ticks));
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let boot = boot_id().expect("the kernel says it");
    let record = |pid: i32, ticks: u64| {
        format!(r#"{{"pid":{pid},"start_ticks":{ticks},"boot_id":"{boot}"}}"#).into_bytes()
    };
    let stat = b"7 (a) S 1) b) S 1 7 7 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0 4711 13 14".to_vec();
    vec![record(1, 1), record(0, 0), record(-1, 7), record(i32::MAX, u64::MAX), stat]
}
