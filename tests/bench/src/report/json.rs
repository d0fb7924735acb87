//! A report for programs: every round, not only the medians.

use serde_json::{Map, Value, json};

use super::{Cell, Report, Table};

pub(super) fn report(report: &Report) -> String {
    let facts: Map<String, Value> =
        report.facts.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let tables: Vec<Value> = report.tables.iter().map(table).collect();
    let value = json!({ "facts": facts, "tables": tables });
    format!("{value:#}\n")
}

fn table(table: &Table) -> Value {
    let rows: Vec<Value> = table
        .rows
        .iter()
        .map(|row| {
            table.columns.iter().zip(row).map(|(name, value)| (name.clone(), cell(value))).collect()
        })
        .collect();
    json!({ "title": table.title, "rows": rows, "notes": table.notes })
}

fn cell(cell: &Cell) -> Value {
    match cell {
        Cell::Text(text) => json!(text),
        Cell::Missing(why) => json!({ "missing": why }),
        Cell::Rounds(values, _) => json!({ "median": cell.median(), "rounds": values }),
    }
}
