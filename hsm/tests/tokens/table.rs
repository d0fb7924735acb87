//! The table in `docs/TOKENS.md`: compared with each run, and written anew when it is asked for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use token_harness::Kind;

/// With this variable set the table is written instead of compared.
const RECORD: &str = "HSM_TOKENS_RECORD";
const BEGIN: &str = "<!-- Written by scripts/tokens; do not edit by hand. -->\n";
const END: &str = "<!-- End of what is written by scripts/tokens. -->\n";
/// What stands where a token has no such line.
const NOTHING: &str = "-";

/// What one kind of token did.
pub(crate) struct Column {
    kind: Kind,
    lines: Vec<(String, String)>,
}

type Lines = Vec<(String, BTreeMap<&'static str, String>)>;

impl Column {
    pub(crate) const fn new(kind: Kind) -> Self {
        Self { kind, lines: Vec::new() }
    }

    pub(crate) fn extend(&mut self, lines: Vec<(String, String)>) {
        self.lines.extend(lines);
    }

    /// Fails where the table says something else than this run.
    pub(crate) fn compare(&self) {
        // Columns of other kinds are compared at the same time.
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let text = std::fs::read_to_string(document()).unwrap();
        let mut recorded = read(&text);
        if std::env::var_os(RECORD).is_some() {
            self.put_into(&mut recorded);
            let (before, rest) = text.split_once(BEGIN).expect("the table begins somewhere");
            let (_, after) = rest.split_once(END).expect("the table ends somewhere");
            let table = print(&recorded);
            std::fs::write(document(), format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
            return;
        }
        let mut differs = Vec::new();
        let told: BTreeMap<_, _> = self.lines.iter().cloned().collect();
        assert_eq!(told.len(), self.lines.len(), "a line is told twice");
        for (line, cells) in &recorded {
            let recorded = cells.get(self.kind.name()).map_or(NOTHING, String::as_str);
            let found = told.get(line).map_or(NOTHING, String::as_str);
            if found != recorded {
                differs.push(format!("{line}\n    recorded: {recorded}\n    found:    {found}"));
            }
        }
        for (line, found) in &self.lines {
            if !recorded.iter().any(|(known, _)| known == line) {
                differs.push(format!("{line}\n    recorded: nothing\n    found:    {found}"));
            }
        }
        assert!(
            differs.is_empty(),
            "{} does something else than docs/TOKENS.md says. If that is meant, scripts/tokens writes it anew:\n{}",
            self.kind,
            differs.join("\n")
        );
    }

    /// Lines keep their order; a new one comes after the one that it was told after.
    fn put_into(&self, lines: &mut Lines) {
        for (_, cells) in lines.iter_mut() {
            cells.remove(self.kind.name());
        }
        let mut after = 0;
        for (line, found) in &self.lines {
            let at = lines.iter().position(|(known, _)| known == line).unwrap_or_else(|| {
                lines.insert(after, (line.clone(), BTreeMap::new()));
                after
            });
            lines[at].1.insert(self.kind.name(), found.clone());
            after = at + 1;
        }
        lines.retain(|(_, cells)| !cells.is_empty());
    }
}

fn document() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/TOKENS.md")
}

fn read(text: &str) -> Lines {
    let table = text.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END));
    let (table, _) = table.expect("docs/TOKENS.md has the marks of the table");
    let rows = table.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| {
        let mut cells = row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
        let line = cells.next().unwrap_or_default();
        let told = Kind::ALL.into_iter().map(Kind::name).zip(cells);
        (line, told.filter(|(_, cell)| cell != NOTHING).collect())
    })
    .collect()
}

fn print(lines: &Lines) -> String {
    let mut text = format!("\n| | {} |\n", Kind::ALL.map(|kind| kind.to_string()).join(" | "));
    text.push_str(&format!("|{}\n", "---|".repeat(Kind::ALL.len() + 1)));
    for (line, cells) in lines {
        let cell = |kind: Kind| cells.get(kind.name()).map_or(NOTHING, String::as_str);
        text.push_str(&format!("| {line} | {} |\n", Kind::ALL.map(cell).join(" | ")));
    }
    text.push('\n');
    text
}
