//! The table at the end.

use crate::load::Comparison;

/// One line of it.
pub(crate) struct Row {
    what: String,
    baseline: String,
    measured: String,
    reached: String,
    target: String,
    passed: bool,
}

impl Row {
    /// Something that is done so often a second, beside the baseline.
    pub(crate) fn ratio(what: &str, unit: &str, comparison: Comparison, target: f64) -> Self {
        Self {
            what: what.to_owned(),
            baseline: format!("{} {unit}", grouped(comparison.baseline)),
            measured: format!("{} {unit}", grouped(comparison.candidate)),
            reached: format!("{:.2}", comparison.ratio()),
            target: format!(">= {target:.2}"),
            passed: comparison.ratio() >= target,
        }
    }

    /// Something of which there must not be more.
    pub(crate) fn at_most(what: &str, measured: String, value: f64, target: f64, unit: &str) -> Self {
        Self {
            what: what.to_owned(),
            baseline: String::new(),
            measured,
            reached: format!("{value:.1} {unit}"),
            target: format!("<= {target} {unit}"),
            passed: value <= target,
        }
    }
}

/// What was measured, as text.
pub(crate) fn table(rows: &[Row]) -> String {
    let head = ["what", "native", "host", "reached", "to reach", ""].map(str::to_owned);
    let lines: Vec<[String; 6]> = std::iter::once(head)
        .chain(rows.iter().map(|row| {
            let verdict = if row.passed { "pass" } else { "below" };
            let Row { what, baseline, measured, reached, target, .. } = row;
            [what.clone(), baseline.clone(), measured.clone(), reached.clone(), target.clone(), verdict.to_owned()]
        }))
        .collect();
    let widths: Vec<usize> = (0..6)
        .map(|column| lines.iter().filter_map(|line| line.get(column)).map(String::len).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
        if number == 0 {
            let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
            text.push_str(&format!("|-{}-|\n", rules.join("-|-")));
        }
    }
    text
}

/// `12345.6` as `12,346`; small numbers keep a digit.
fn grouped(value: f64) -> String {
    if value < 1_000.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
