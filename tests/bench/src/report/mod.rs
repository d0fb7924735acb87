//! What a run found: tables of medians over rounds. Written as text and as JSON, and drawn.

mod json;
mod plot;
mod text;

use std::path::Path;

use crate::fault::{Outcome, While};

/// A run and its machine.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// What must be known to read the tables: names and values.
    pub(crate) facts: Vec<(String, String)>,
    pub(crate) tables: Vec<Table>,
}

/// One table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Cell>>,
    /// What a reader has to know, a sentence each.
    pub(crate) notes: Vec<String>,
}

/// One value.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Text(String),
    /// A value for each round, shown as their median with so many digits behind the point.
    Rounds(Vec<f64>, usize),
    /// What could not be measured, and why.
    Missing(String),
}

impl Cell {
    pub(crate) fn text(text: impl ToString) -> Self {
        Self::Text(text.to_string())
    }

    pub(crate) fn median(&self) -> Option<f64> {
        match self {
            Self::Rounds(values, _) => median(values),
            Self::Text(_) | Self::Missing(_) => None,
        }
    }
}

impl Table {
    pub(crate) fn new(title: impl Into<String>, columns: &[&str]) -> Self {
        Self {
            title: title.into(),
            columns: columns.iter().map(ToString::to_string).collect(),
            rows: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

/// The middle one; of an even number the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => sorted.get(middle).copied(),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

impl Report {
    /// Adds a table and shows it: a run takes long.
    pub(crate) fn add(&mut self, table: Table) {
        println!("\n{}", text::table(&table));
        self.tables.push(table);
    }

    /// Writes `NAME.txt`, `NAME.json` and `NAME.svg` into a folder.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> Outcome<()> {
        for (end, content) in
            [("txt", text::report(self)), ("json", json::report(self)), ("svg", plot::report(self))]
        {
            let path = folder.join(format!("{name}.{end}"));
            std::fs::write(&path, content).when(path.display())?;
            println!("written: {}", path.display());
        }
        Ok(())
    }
}
