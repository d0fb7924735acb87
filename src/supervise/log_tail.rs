//! The end of a service's log, for the operator whose start failed.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Lines shown.
const LINES: usize = 6;
/// Octets read for them.
const OCTETS: u64 = 8 * 1024;

/// What was written to the log from this length on, at most its last lines, as one sentence.
pub(super) fn since(path: &Path, length: u64) -> String {
    let text = read(path, length).unwrap_or_default();
    let mut lines: Vec<&str> = text.lines().rev().take(LINES).collect();
    lines.reverse();
    if lines.is_empty() {
        return format!("It wrote nothing to {}.", path.display());
    }
    format!("The end of {}:\n  {}", path.display(), lines.join("\n  "))
}

fn read(path: &Path, length: u64) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let from = length.max(file.metadata()?.len().saturating_sub(OCTETS));
    file.seek(SeekFrom::Start(from))?;
    let mut octets = Vec::new();
    file.take(OCTETS).read_to_end(&mut octets)?;
    Ok(String::from_utf8_lossy(&octets).into_owned())
}
