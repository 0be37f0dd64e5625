//! The table with the results.

use std::thread::available_parallelism;

use crate::load::Comparison;

/// One line of the table.
pub(crate) struct Row {
    what: String,
    baseline: String,
    measured: String,
    processor: String,
    reached: String,
    target: String,
    passed: bool,
    /// Whether the benchmarks fail together with this line.
    is_check: bool,
    limit: &'static str,
}

const COLUMNS: usize = 7;

impl Row {
    /// A rate, compared with the baseline's. The report prints `limit` as the
    /// reason if the ratio stays below the target.
    pub(crate) fn ratio(what: &str, comparison: Comparison, target: f64, limit: &'static str) -> Self {
        let Comparison { baseline, candidate, ratio, spread: (low, high) } = comparison;
        Self {
            what: what.to_owned(),
            baseline: format!("{} /s", grouped(baseline.per_second)),
            measured: format!("{} /s", grouped(candidate.per_second)),
            processor: format!("{} / {} us", grouped(baseline.processor_us), grouped(candidate.processor_us)),
            reached: format!("{ratio:.2} ({low:.2} to {high:.2})"),
            target: format!(">= {target:.2}"),
            passed: ratio >= target,
            is_check: false,
            limit,
        }
    }

    /// A value that must not exceed the target.
    pub(crate) fn at_most(
        what: &str,
        measured: String,
        value: f64,
        target: f64,
        unit: &str,
        limit: &'static str,
    ) -> Self {
        Self {
            what: what.to_owned(),
            baseline: String::new(),
            measured,
            processor: String::new(),
            reached: if unit == "x" { format!("{value:.2} x") } else { format!("{value:.1} {unit}") },
            target: format!("<= {target} {unit}"),
            passed: value <= target,
            is_check: false,
            limit,
        }
    }

    /// A count that must not grow by more than 5 % beyond the recorded one.
    pub(crate) fn count(what: &str, count: f64, recorded: f64) -> Self {
        let measured = format!("{} recorded", grouped(recorded));
        let limit = "the recorded count, which the commit that needs more has to change";
        let row = Self::at_most(what, measured, count, recorded * 1.05, "", limit);
        Self { reached: grouped(count), target: format!("<= {}", grouped(recorded * 1.05)), is_check: true, ..row }
    }

    /// Whether the line is a check that has failed.
    pub(crate) fn is_failure(&self) -> bool {
        self.is_check && !self.passed
    }

    fn cells(&self) -> [String; COLUMNS] {
        let Self { what, baseline, measured, processor, reached, target, passed, .. } = self;
        let verdict = &if *passed { "pass" } else { "below" }.to_owned();
        [what, baseline, measured, processor, reached, target, verdict].map(String::clone)
    }
}

/// The results as text: a table, and the reason for each line that misses its
/// target. The ratio is the median of the rounds, with the lowest and the highest one.
pub(crate) fn report(rows: &[Row], baseline: &str, sync_ms: f64) -> String {
    let head = ["what", baseline, "host", "processor time each", "reached", "to reach", ""].map(str::to_owned);
    let lines: Vec<_> = std::iter::once(head).chain(rows.iter().map(Row::cells)).collect();
    let mut text = table(&lines);
    for row in rows.iter().filter(|row| !row.passed) {
        text.push_str(&format!("\n{} is limited by {}.", row.what, row.limit));
    }
    let processors = available_parallelism().map_or(1, usize::from);
    text.push_str(&format!(
        "\n{processors} processors for the server and the load; the disk takes {sync_ms:.2} ms to make a write durable."
    ));
    text
}

fn table(lines: &[[String; COLUMNS]]) -> String {
    let width = |column| lines.iter().filter_map(|line| line.get(column)).map(String::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..COLUMNS).map(width).collect();
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

/// Writes `12345.6` as `12,346`. Numbers below 1000 keep one decimal.
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
