//! A report for people.

use super::{Cell, Report, Table};

pub(super) fn report(report: &Report) -> String {
    let width = report.facts.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let mut text = String::new();
    for (name, value) in &report.facts {
        text.push_str(&format!("{name:<width$}  {value}\n"));
    }
    for part in &report.tables {
        text.push('\n');
        text.push_str(&table(part));
    }
    text
}

pub(super) fn table(table: &Table) -> String {
    let mut lines: Vec<Vec<String>> = vec![table.columns.clone()];
    lines.extend(table.rows.iter().map(|row| row.iter().map(cell).collect()));
    let widths: Vec<usize> = (0..table.columns.len())
        .map(|column| {
            let lengths = lines.iter().filter_map(|line| line.get(column));
            lengths.map(|text| text.chars().count()).max().unwrap_or_default()
        })
        .collect();
    let mut text = format!("{}\n", table.title);
    for line in &lines {
        let cells: Vec<String> = line
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, width))| match is_text(table, column) {
                true => format!("{cell:<width$}"),
                false => format!("{cell:>width$}"),
            })
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    for row in &table.rows {
        let missing = row.iter().find_map(|cell| match cell {
            Cell::Missing(why) => Some(why),
            Cell::Text(_) | Cell::Rounds(..) => None,
        });
        if let (Some(why), Some(first)) = (missing, row.first()) {
            text.push_str(&format!("LOUD: {}: {why}\n", cell(first)));
        }
    }
    for note in &table.notes {
        text.push_str(&format!("- {note}\n"));
    }
    text
}

/// Whether a column holds words; numbers stand to the right.
fn is_text(table: &Table, column: usize) -> bool {
    table.rows.iter().all(|row| matches!(row.get(column), None | Some(Cell::Text(_))))
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => text.clone(),
        Cell::Missing(_) => "missing".to_owned(),
        Cell::Rounds(_, digits) => {
            cell.median().map_or_else(String::new, |median| format!("{median:.digits$}"))
        }
    }
}
