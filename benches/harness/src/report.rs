//! Rows as a table and as JSON.

use crate::Row;
use anyhow::{Context, Result};
use std::path::Path;

/// Prints the rows to standard output.
pub fn print_table(rows: &[Row]) {
    print!("{}", table(rows));
}

/// Writes the rows as a JSON list, making the folders that are missing.
///
/// # Errors
/// When the file can't be written.
pub fn write_json(rows: &[Row], path: &Path) -> Result<()> {
    let failed = || format!("could not write {}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(failed)?;
    }
    let mut text = serde_json::to_string_pretty(rows)?;
    text.push('\n');
    std::fs::write(path, text).with_context(failed)
}

fn table(rows: &[Row]) -> String {
    let width = |cell: fn(&Row) -> &str, head: &str| {
        rows.iter().map(|row| cell(row).len()).chain([head.len()]).max().unwrap_or_default()
    };
    let (names, units) = (width(|row| &row.name, "stage"), width(|row| &row.unit, "unit"));
    let mut text = format!(
        "{:<names$}  {:<units$}  {:>10}  {:>10}  {:>6}  {:>5}  baseline\n",
        "stage", "unit", "ours", "baseline", "ratio", "n"
    );
    for row in rows {
        let Row { name, unit, ours, baseline, baseline_name, ratio, n, target, met } = row;
        text.push_str(&format!(
            "{name:<names$}  {unit:<units$}  {ours:>10.2}  {baseline:>10.2}  {ratio:>6.3}  {n:>5}  {baseline_name}"
        ));
        if let (Some(target), Some(met)) = (target, met) {
            text.push_str(&format!("; {}: {target}", if *met { "met" } else { "MISSED" }));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limit;

    fn row() -> Row {
        Row {
            name: "a-long-stage".into(),
            unit: "us/frame".into(),
            ours: 1.5,
            baseline: 3.0,
            baseline_name: "the other".into(),
            ratio: 0.5,
            n: 7,
            target: None,
            met: None,
        }
    }

    #[test]
    fn json_has_the_keys_that_readers_count_on() {
        let folder = std::env::temp_dir().join(format!("benches-report-{}", std::process::id()));
        let path = folder.join("new").join("rows.json");
        write_json(&[row(), row().target(&[Limit::Ours(1.0)])], &path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        let rows: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = serde_json::json!([{
            "name": "a-long-stage", "unit": "us/frame", "ours": 1.5, "baseline": 3.0, "baseline_name": "the other",
            "ratio": 0.5, "n": 7,
        }, {
            "name": "a-long-stage", "unit": "us/frame", "ours": 1.5, "baseline": 3.0, "baseline_name": "the other",
            "ratio": 0.5, "n": 7, "target": "<= 1 us/frame", "met": false,
        }]);
        assert_eq!(rows, expected);
    }

    #[test]
    fn columns_line_up_whatever_is_longest() {
        let rows = [row(), Row { name: "b".into(), unit: "us".into(), ours: 12_345.678, ..row() }];
        let text = table(&rows);
        let lines: Vec<&str> = text.lines().collect();
        let column = |line: &str| line.find("the other");
        assert_eq!(lines.len(), 3);
        assert_eq!(column(lines[1]), lines[0].rfind("baseline"));
        assert_eq!(column(lines[1]), column(lines[2]));
        assert!(lines[2].contains("12345.68"));
    }

    #[test]
    fn a_missed_target_stands_out() {
        let text = table(&[row().target(&[Limit::Ratio(0.5)]), row().target(&[Limit::Ratio(0.4)])]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].ends_with("; met: ratio <= 0.5"), "{text}");
        assert!(lines[2].ends_with("; MISSED: ratio <= 0.4"), "{text}");
    }
}
