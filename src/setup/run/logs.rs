//! The services' logs on one stream, where a container's engine collects them.
//!
//! Whoever reads the stream must keep reading: a pipe that is full holds up the first process, as it would hold up any
//! program. The services themselves write files and go on.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use crate::base::{Layout, Service};

/// Octets of one log that are passed on at a time. A longer line is passed on in pieces.
const AT_ONCE: usize = 64 * 1024;

/// How far each log has been passed on.
#[derive(Debug)]
pub(super) struct Logs(Vec<Log>);

#[derive(Debug)]
struct Log {
    service: Service,
    path: PathBuf,
    done: u64,
}

impl Logs {
    /// What was written before is left out.
    pub(super) fn from_now_on(layout: &Layout) -> Self {
        let log = |service| {
            let path = layout.log_file(service);
            let done = std::fs::metadata(&path).map_or(0, |found| found.len());
            Log { service, path, done }
        };
        Self(Service::ALL.into_iter().map(log).collect())
    }

    /// Whole lines, each with the name of its service. A reader who went away does not stop the services.
    pub(super) fn pass_on(&mut self, to: &mut impl Write) {
        for log in &mut self.0 {
            // It is there once the service has started.
            let _unread = log.pass_on(to);
        }
    }

    /// All that is left, the services having ended; a last line need not be whole.
    pub(super) fn pass_on_the_rest(&mut self, to: &mut impl Write) {
        for log in &mut self.0 {
            while let Ok(true) = log.pass_on(to) {}
            let _unread = log.pass_on_a_part(to);
        }
    }
}

impl Log {
    /// Whole lines. Whether there were any.
    fn pass_on(&mut self, to: &mut impl Write) -> io::Result<bool> {
        let octets = self.next()?;
        let end = match octets.iter().rposition(|octet| *octet == b'\n') {
            Some(end) => end + 1,
            // The end of the line may be far away, or never come.
            None if octets.len() == AT_ONCE => whole_characters(&octets),
            None => return Ok(false),
        };
        self.write(&octets[..end], to)?;
        Ok(true)
    }

    /// The beginning of a line that does not go on.
    fn pass_on_a_part(&mut self, to: &mut impl Write) -> io::Result<()> {
        let octets = self.next()?;
        self.write(&octets, to)
    }

    fn next(&mut self) -> io::Result<Vec<u8>> {
        let mut file = File::open(&self.path)?;
        // Rotated by copying and cutting (docs/OPERATIONS.md).
        if file.metadata()?.len() < self.done {
            self.done = 0;
        }
        file.seek(SeekFrom::Start(self.done))?;
        let mut octets = Vec::new();
        file.take(AT_ONCE as u64).read_to_end(&mut octets)?;
        Ok(octets)
    }

    fn write(&mut self, octets: &[u8], to: &mut impl Write) -> io::Result<()> {
        self.done += octets.len() as u64;
        for line in String::from_utf8_lossy(octets).lines() {
            writeln!(to, "{}: {line}", self.service)?;
        }
        Ok(())
    }
}

/// How much of it can be cut off without cutting a character in two.
fn whole_characters(octets: &[u8]) -> usize {
    octets.len() - octets.utf8_chunks().last().map_or(0, |chunk| chunk.invalid().len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{AT_ONCE, Logs};
    use crate::base::{Layout, Service};
    use std::fs::OpenOptions;
    use std::io::Write;

    #[test]
    fn whole_lines_are_passed_on_once_and_a_log_that_was_cut_begins_again() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::under(root.path());
        let path = layout.log_file(Service::Vmcad);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "from before\n").unwrap();
        let mut logs = Logs::from_now_on(&layout);
        let mut passed_on = |text: &str| {
            let mut file = OpenOptions::new().append(true).open(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let mut to = Vec::new();
            logs.pass_on(&mut to);
            String::from_utf8(to).unwrap()
        };
        assert_eq!(passed_on("one\ntw"), "vmcad: one\n");
        assert_eq!(passed_on(""), "");
        assert_eq!(passed_on("o\n"), "vmcad: two\n");
        std::fs::write(&path, "").unwrap();
        assert_eq!(passed_on("new\n"), "vmcad: new\n");
    }

    #[test]
    fn a_long_line_comes_in_pieces_and_at_the_end_all_is_passed_on() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::under(root.path());
        let path = layout.log_file(Service::Vmcad);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut logs = Logs::from_now_on(&layout);
        // The first piece would end in the middle of a character.
        let long = format!("x{}", "\u{e9}".repeat(AT_ONCE));
        let short = "short\n".repeat(AT_ONCE);
        std::fs::write(&path, format!("{long}\n{short}cut off")).unwrap();
        let mut to = Vec::new();
        logs.pass_on(&mut to);
        let first = to.len();
        assert!(first > AT_ONCE / 2, "{first}");
        logs.pass_on_the_rest(&mut to);
        let said = String::from_utf8(to).unwrap();
        let mut lines = said.lines().map(|line| line.strip_prefix("vmcad: ").unwrap());
        let mut pieces = String::new();
        while pieces.len() < long.len() {
            pieces.push_str(lines.next().unwrap());
        }
        assert!(pieces == long, "the line is not the same");
        assert_eq!(lines.by_ref().filter(|line| *line == "short").count(), AT_ONCE);
        assert!(said.ends_with("vmcad: cut off\n"));
    }
}
