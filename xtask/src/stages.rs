//! The stages of a task that takes minutes. Each stage prints its number, its
//! name, and its duration at the end.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::process::print_status;

/// The stages of one task.
pub(crate) struct Stages {
    total: usize,
    started: usize,
}

impl Stages {
    pub(crate) fn new(total: usize) -> Self {
        Self { total, started: 0 }
    }

    /// Runs the next stage. `expected_minutes` is its usual duration, if it takes
    /// long.
    pub(crate) fn run(
        &mut self,
        name: &str,
        expected_minutes: Option<u32>,
        work: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let note = expected_minutes.map(|minutes| format!(" (the first time about {minutes} minutes on two cores)"));
        self.announce(&format!("{name}{}", note.unwrap_or_default()));
        let start = Instant::now();
        work()?;
        print_status(&format!("{} finished in {}", self.number(), in_words(start.elapsed())));
        Ok(())
    }

    /// Prints the line of the next stage. Use it for a stage that does not end.
    pub(crate) fn announce(&mut self, name: &str) {
        self.started += 1;
        print_status(&format!("{} {name}", self.number()));
    }

    fn number(&self) -> String {
        format!("[{}/{}]", self.started, self.total)
    }
}

/// A duration for people, such as `7 min 5 s` or `12.3 s`.
fn in_words(duration: Duration) -> String {
    match duration.as_secs() {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_counted_and_a_failure_ends_the_task() {
        let mut stages = Stages::new(2);
        stages.run("first", Some(3), || Ok(())).unwrap();
        assert_eq!(stages.number(), "[1/2]");
        let error = stages.run("second", None, || anyhow::bail!("broken")).unwrap_err();
        assert_eq!((stages.number().as_str(), error.to_string().as_str()), ("[2/2]", "broken"));
    }

    #[test]
    fn a_long_duration_is_in_minutes_and_seconds() {
        assert_eq!(in_words(Duration::from_millis(12_340)), "12.3 s");
        assert_eq!(in_words(Duration::from_secs(425)), "7 min 5 s");
    }
}
