//! The lines, and the moment to print them.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// What one fault did.
#[derive(Debug, Default)]
pub struct Row {
    /// How often something was broken.
    pub rounds: usize,
    /// Certificates that a client was told it has.
    pub acknowledged: usize,
    /// Of these, in no record of `vmcad`.
    pub lost: usize,
    /// Of these, not verified by OpenSSL with the active CA.
    pub wrong_key: usize,
    /// Of these, with the serial number of another one.
    pub duplicates: usize,
    /// Logins with a wrong PIN, as the module saw them. `None`: nothing counted.
    pub pin_tries: Option<usize>,
    /// From the moment when it was mended to the next certificate; empty: issuing never stopped.
    pub recovery: Vec<Duration>,
}

#[derive(Default)]
struct Table {
    rows: BTreeMap<&'static str, Option<Row>>,
    left: usize,
}

static TABLE: Mutex<Option<Table>> = Mutex::new(None);

/// A test that has entered the table; it has ended when this is dropped, well or not.
pub struct Entry(Option<&'static str>);

impl Entry {
    /// To be called first of all. `fault` names the line.
    pub fn of(fault: &'static str) -> Self {
        Self::enter(Some(fault))
    }

    /// The same for a test that has no line.
    pub fn without_line() -> Self {
        Self::enter(None)
    }

    fn enter(fault: Option<&'static str>) -> Self {
        let expected = expected();
        let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
        let table = table.get_or_insert_with(|| Table { left: expected, ..Table::default() });
        table.rows.extend(fault.map(|fault| (fault, None)));
        Self(fault)
    }

    /// Fills the line.
    pub fn fill(&self, row: Row) {
        let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
        table.as_mut().unwrap().rows.extend(self.0.map(|fault| (fault, Some(row))));
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(table) = table.as_mut() else { return };
        table.left = table.left.saturating_sub(1);
        if table.left > 0 {
            return;
        }
        let text = print(&table.rows);
        // Past the test program's capture: the table is for whoever reads a run that went well.
        let _ = std::io::stderr().lock().write_all(format!("\n{text}\n").as_bytes());
        let _ =
            std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("fault-table.md"), &text);
    }
}

/// How many tests of this folder run in this process: what the test program itself says about the
/// arguments it was given.
fn expected() -> usize {
    static EXPECTED: OnceLock<usize> = OnceLock::new();
    *EXPECTED.get_or_init(|| {
        let listed = Command::new(std::env::current_exe().unwrap())
            .args(std::env::args_os().skip(1))
            .arg("--list")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .unwrap();
        let names = String::from_utf8_lossy(&listed.stdout).into_owned();
        let ours = |line: &&str| line.starts_with("faults::") && line.ends_with(": test");
        names.lines().filter(ours).count()
    })
}

const HEADINGS: [&str; 8] = [
    "Fault",
    "rounds",
    "certificates",
    "lost",
    "wrong key",
    "duplicate serial",
    "PIN tries",
    "recovery, s",
];

fn print(rows: &BTreeMap<&'static str, Option<Row>>) -> String {
    let mut lines: Vec<[String; 8]> = vec![HEADINGS.map(str::to_owned)];
    for (fault, row) in rows {
        let Some(row) = row else {
            lines.push(std::array::from_fn(|at| match at {
                0 => format!("{fault}: NOT JUDGED"),
                _ => "?".to_owned(),
            }));
            continue;
        };
        lines.push([
            (*fault).to_owned(),
            row.rounds.to_string(),
            row.acknowledged.to_string(),
            row.lost.to_string(),
            row.wrong_key.to_string(),
            row.duplicates.to_string(),
            row.pin_tries.map_or_else(|| "not counted".to_owned(), |tries| tries.to_string()),
            recovery(&row.recovery),
        ]);
    }
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let widths: [usize; 8] = std::array::from_fn(width);
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (cell, width) in line.iter().zip(widths) {
            text.push_str(&format!("| {cell:<width$} "));
        }
        text.push_str("|\n");
        if number == 0 {
            for width in widths {
                text.push_str(&format!("|{}", "-".repeat(width + 2)));
            }
            text.push_str("|\n");
        }
    }
    text
}

/// Median and longest: one slow round must not hide behind the others, nor be taken for the rule.
fn recovery(times: &[Duration]) -> String {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    match sorted.as_slice() {
        [] => "never stopped".to_owned(),
        [only] => format!("{:.2}", only.as_secs_f64()),
        all => {
            let (median, longest) = (all[all.len() / 2], all[all.len() - 1]);
            format!("{:.2} (longest {:.2})", median.as_secs_f64(), longest.as_secs_f64())
        }
    }
}
