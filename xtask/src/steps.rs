//! A sequence of named steps. It ends at the first failure and prints a summary.

use std::fmt::Write;
use std::time::{Duration, Instant};

use anyhow::{Error, Result};

use crate::process::print_status;

/// The outcome of a step.
pub(crate) enum Outcome {
    Passed,
    /// The step was skipped, for this reason.
    Skipped(String),
}

/// The steps so far, and their outcomes.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<Done>,
    failure: Option<Error>,
}

struct Done {
    name: &'static str,
    took: Duration,
    result: String,
}

impl Steps {
    /// Runs a step, unless an earlier step has failed.
    pub(crate) fn step(&mut self, name: &'static str, work: impl FnOnce() -> Result<Outcome>) {
        if self.failure.is_some() {
            return;
        }
        print_status(name);
        let start = Instant::now();
        let result = match work() {
            Ok(Outcome::Passed) => "passed".to_owned(),
            Ok(Outcome::Skipped(reason)) => {
                print_status(&format!("{name}: {reason}"));
                format!("skipped: {reason}")
            }
            Err(error) => {
                self.failure = Some(error);
                "FAILED".to_owned()
            }
        };
        self.done.push(Done { name, took: start.elapsed(), result });
    }

    /// Prints the summary. Returns the failure, if there is one.
    pub(crate) fn finish(self) -> Result<()> {
        print_status("Summary");
        eprint!("{}", summary(&self.done));
        self.failure.map_or(Ok(()), Err)
    }
}

fn summary(done: &[Done]) -> String {
    let mut text = String::new();
    for Done { name, took, result } in done {
        // A write to a string cannot fail.
        let _ = writeln!(text, "    {name:<34} {:>8.1} s  {result}", took.as_secs_f64());
    }
    let total: Duration = done.iter().map(|done| done.took).sum();
    let _ = writeln!(text, "    {:<34} {:>8.1} s", "total", total.as_secs_f64());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_step_runs_after_a_failure() {
        let mut steps = Steps::default();
        let mut reached = false;
        steps.step("first", || Ok(Outcome::Passed));
        steps.step("second", || anyhow::bail!("broken"));
        steps.step("third", || {
            reached = true;
            Ok(Outcome::Passed)
        });
        assert!(!reached);
        assert_eq!(steps.finish().unwrap_err().to_string(), "broken");
    }

    #[test]
    fn the_summary_has_a_line_for_each_step_and_the_total() {
        let done = [
            Done { name: "format", took: Duration::from_millis(1_240), result: "passed".to_owned() },
            Done { name: "cargo deny", took: Duration::ZERO, result: "skipped: not installed".to_owned() },
        ];
        let text = summary(&done);
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "    format                                  1.2 s  passed",
                "    cargo deny                              0.0 s  skipped: not installed",
                "    total                                   1.2 s",
            ]
        );
    }
}
