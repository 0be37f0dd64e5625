//! The result of one test, for people and as JSON.

use super::{compare::Difference, fixture::Fixture, play::Failed};
use crate::offline::Happened;
use host_base::{printable::printable, text::truncate};
use serde::Serialize;
use serde_json::Value;
use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

/// The longest line of a difference, and the most lines of one.
const LINE_BYTES: usize = 500;
const MAX_LINES: usize = 30;
/// The most failed calls, and the most log lines.
const MAX_FAILURES: usize = 5;
const MAX_LOG_LINES: usize = 40;

/// The result of one test.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The file.
    test: String,
    pub(super) passed: bool,
    /// The number of steps of the file.
    steps: usize,
    took_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
}

/// Why a test failed.
#[derive(Debug, Default, Serialize)]
struct Failure {
    /// The step, from 1 on. None if no step was played.
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    differences: Vec<Difference>,
    /// The calls of the plugin that failed, the newest first.
    failed_calls: Vec<String>,
    /// The log lines of the plugin in this step.
    log: Vec<String>,
}

impl Report {
    /// The test has played its steps.
    pub(super) fn played(test: String, took: Duration, fixture: &Fixture, failed: Option<Failed>) -> Self {
        let failure = failed.map(|failed| Failure::of(fixture, failed));
        Self { test, passed: failure.is_none(), steps: fixture.steps.len(), took_ms: milliseconds(took), failure }
    }

    /// The test has played no step.
    pub(super) fn not_played(test: String, took: Duration, problem: String) -> Self {
        let failure = Failure { problem: Some(problem), ..Failure::default() };
        Self { test, passed: false, steps: 0, took_ms: milliseconds(took), failure: Some(failure) }
    }
}

impl Failure {
    fn of(fixture: &Fixture, failed: Failed) -> Self {
        let Failed { index, problem, differences, happened } = failed;
        let step = fixture.steps.get(index);
        let failed_calls = happened.failures.iter().map(|(call, message)| format!("{call}: {message}"));
        Self {
            step: Some(index + 1),
            line: step.map(|step| step.line),
            title: step.map(super::fixture::Step::title),
            problem,
            differences,
            failed_calls: failed_calls.take(MAX_FAILURES).collect(),
            log: happened.log.iter().filter_map(|line| log_line(line, &happened)).take(MAX_LOG_LINES).collect(),
        }
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let result = if self.passed { "ok" } else { "failed" };
        let seconds = self.took_ms as f64 / 1_000.0;
        write!(f, "{result:<7} {}  {seconds:.2} s", printable(&self.test))?;
        match &self.failure {
            Some(failure) => write!(f, "{failure}"),
            None => Ok(()),
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let (Some(step), Some(line), Some(title)) = (self.step, self.line, &self.title) {
            write!(f, "\n  step {step}, line {line}: {}", short(title))?;
        }
        if let Some(problem) = &self.problem {
            write!(f, "\n    {}", short(problem))?;
        }
        for Difference { place, expected, got } in &self.differences {
            write!(f, "\n    {}:  - expected, + got", printable(place))?;
            for line in difference(expected, got) {
                write!(f, "\n      {line}")?;
            }
        }
        for call in &self.failed_calls {
            write!(f, "\n    failed call: {}", printable(call))?;
        }
        for line in &self.log {
            write!(f, "\n    log: {}", short(line))?;
        }
        Ok(())
    }
}

/// The lines of both texts that differ, each with its mark, and a line around them.
fn difference(expected: &str, got: &str) -> Vec<String> {
    let is_line = |text: &str| !text.trim_end_matches('\n').contains('\n');
    if is_line(expected) && is_line(got) {
        return vec![format!("- {}", short(expected)), format!("+ {}", short(got))];
    }
    let (old, new): (Vec<_>, Vec<_>) = (expected.split('\n').collect(), got.split('\n').collect());
    let before = equal_pairs(old.iter().zip(&new));
    let most_after = old.len().min(new.len()) - before;
    let after = equal_pairs(old.iter().rev().zip(new.iter().rev()).take(most_after));
    let changed = |lines: &[&str], mark: char| {
        let lines = lines.get(before..lines.len() - after).unwrap_or_default();
        let mut shown: Vec<_> = lines.iter().take(MAX_LINES).map(|line| format!("{mark} {}", short(line))).collect();
        if lines.len() > MAX_LINES {
            shown.push(format!("{mark} … {} more lines", lines.len() - MAX_LINES));
        }
        shown
    };
    let around = |place: Option<usize>| place.and_then(|place| old.get(place)).map(|line| format!("  {}", short(line)));
    let mut shown: Vec<_> = around(before.checked_sub(1)).into_iter().collect();
    shown.extend(changed(&old, '-'));
    shown.extend(changed(&new, '+'));
    shown.extend(around(Some(old.len() - after).filter(|_| after > 0)));
    shown
}

/// The number of pairs before the first that differs.
fn equal_pairs<T: PartialEq>(pairs: impl Iterator<Item = (T, T)>) -> usize {
    pairs.take_while(|(old, new)| old == new).count()
}

/// The beginning of a text on one line.
fn short(text: &str) -> String {
    let text = printable(text);
    match truncate(&text, LINE_BYTES) {
        whole if whole.len() == text.len() => whole.to_owned(),
        beginning => format!("{beginning}…"),
    }
}

/// A line of the plugin, or a warning of the host about it that tells more than its failures.
fn log_line(json: &str, happened: &Happened) -> Option<String> {
    let line: Value = serde_json::from_str(json).ok()?;
    let text = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or_default();
    let (level, target) = (text("level"), text("target"));
    let is_told = || happened.failures.iter().any(|(_, message)| message == text("message"));
    if target == "request" || (target != "plugin" && (!matches!(level, "WARN" | "ERROR") || is_told())) {
        return None;
    }
    let reason = match text("reason") {
        "" => String::new(),
        reason => format!(": {reason}"),
    };
    Some(format!("{level} {}{reason}", text("message")))
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_shown_like_those_of_files() {
        assert_eq!(difference("a\n", "a"), ["- a\\n", "+ a"]);
        assert_eq!(difference("", "x"), ["- ", "+ x"]);
        assert_eq!(difference("1\n2\n3\n4\n", "1\n2\nx\ny\n4\n"), ["  2", "- 3", "+ x", "+ y", "  4"]);
        assert_eq!(difference("1\n2", "1\n2\n2"), ["  2", "+ 2"]);
        assert_eq!(difference("1\n1", "1"), ["  1", "- 1"]);
        let long = "x\n".repeat(100);
        assert_eq!(difference("y\nz", &long).len(), 2 + MAX_LINES + 1);
        assert_eq!(difference("a", &"b".repeat(9_000))[1].len(), 2 + LINE_BYTES + "…".len());
    }

    #[test]
    fn a_failure_shows_the_step_the_difference_the_cause_and_the_log() {
        let fixture = Fixture::parse("[[step]]\nadvance = '1s'\n[[step]]\nrequest = 'GET /a'").unwrap();
        let line = |target: &str, level: &str, reason: &str| {
            format!(r#"{{"target":"{target}","level":"{level}","message":"m","reason":"{reason}"}}"#).into()
        };
        let happened = Happened {
            failures: vec![("GET /a".to_owned(), "a trapped: \u{1b}[2J".to_owned())],
            log: vec![
                line("request", "ERROR", ""),
                line("plugin", "INFO", ""),
                line("host", "INFO", ""),
                line("host", "WARN", "no"),
                r#"{"target":"host","level":"WARN","message":"a trapped: \u001b[2J"}"#.into(),
                "not JSON".into(),
            ],
            ..Happened::default()
        };
        let difference =
            Difference { place: "answer.status".to_owned(), expected: "200".to_owned(), got: "500".to_owned() };
        let failed = Failed { index: 1, problem: None, differences: vec![difference], happened };
        let report = Report::played("tests/a.toml".to_owned(), Duration::from_millis(1_234), &fixture, Some(failed));
        assert_eq!(
            report.to_string().lines().collect::<Vec<_>>(),
            [
                "failed  tests/a.toml  1.23 s",
                "  step 2, line 3: GET /a",
                "    answer.status:  - expected, + got",
                "      - 200",
                "      + 500",
                "    failed call: GET /a: a trapped: \\u{1b}[2J",
                "    log: INFO m",
                "    log: WARN m: no",
            ]
        );
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((&json["passed"], &json["failure"]["step"]), (&false.into(), &2.into()));
    }

    #[test]
    fn a_test_that_passes_or_cannot_be_played_is_one_or_two_lines() {
        let fixture = Fixture::parse("[[step]]\nadvance = '1s'").unwrap();
        let passed = Report::played("t".to_owned(), Duration::ZERO, &fixture, None);
        assert_eq!(passed.to_string(), "ok      t  0.00 s");
        let wrong = Report::not_played("t".to_owned(), Duration::ZERO, "line 1: x\ny".to_owned());
        assert_eq!(wrong.to_string(), "failed  t  0.00 s\n    line 1: x\\ny");
    }
}
