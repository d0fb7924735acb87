//! A report for a look: bars for the first number of each row, a logarithmic scale for each table.

use super::{Cell, Report, Table};

/// Pixels.
const NAMES: f64 = 260.0;
const BARS: f64 = 560.0;
const LINE: f64 = 20.0;
const MARGIN: f64 = 20.0;

pub(super) fn report(report: &Report) -> String {
    let mut drawn = String::new();
    let mut y = MARGIN;
    drawn.push_str(&format!(
        "<text x=\"{MARGIN}\" y=\"{y}\">Medians. Bars are logarithmic, and each table has its own scale.</text>\n"
    ));
    y += LINE;
    for part in &report.tables {
        y = table(part, y, &mut drawn);
    }
    let width = NAMES + BARS + 6.0 * MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{y}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         {drawn}</svg>\n"
    )
}

/// Draws a table from this height on; the height below it.
fn table(table: &Table, top: f64, drawn: &mut String) -> f64 {
    let bars: Vec<(String, f64, usize)> = table.rows.iter().filter_map(|row| bar(row)).collect();
    let most = bars.iter().map(|(_, value, _)| *value).fold(0.0, f64::max);
    if most <= 0.0 {
        return top;
    }
    // A decade below the smallest one, so that it still has a bar.
    let least = bars.iter().map(|(_, value, _)| *value).fold(most, f64::min) / 10.0;
    let unit = bars.first().and_then(|(.., column)| table.columns.get(*column));
    let unit = unit.map_or("", String::as_str);
    let mut y = top + LINE;
    drawn.push_str(&format!(
        "<text x=\"{MARGIN}\" y=\"{y}\" font-weight=\"bold\">{} ({})</text>\n",
        escaped(&table.title),
        escaped(unit)
    ));
    for (name, value, _) in &bars {
        y += LINE;
        let length = BARS * (value / least).ln() / (most / least).ln();
        let (text, left) = (y - 5.0, NAMES + MARGIN);
        drawn.push_str(&format!(
            "<text x=\"{:.0}\" y=\"{text}\" text-anchor=\"end\">{}</text>\n\
             <rect x=\"{left}\" y=\"{:.0}\" width=\"{length:.0}\" height=\"14\" fill=\"#3b6ea5\"/>\n\
             <text x=\"{:.0}\" y=\"{text}\">{value:.0}</text>\n",
            left - 8.0,
            escaped(name),
            y - LINE + 4.0,
            left + length + 6.0
        ));
    }
    y + LINE
}

/// The words in front of the first number, that number, and its column.
fn bar(row: &[Cell]) -> Option<(String, f64, usize)> {
    let column = row.iter().position(|cell| cell.median().is_some())?;
    let words: Vec<&str> = row
        .iter()
        .take(column)
        .filter_map(|cell| match cell {
            Cell::Text(text) => Some(text.as_str()),
            Cell::Rounds(..) | Cell::Missing(_) => None,
        })
        .collect();
    let value = row.get(column)?.median()?;
    (value > 0.0).then(|| (words.join(", "), value, column))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
