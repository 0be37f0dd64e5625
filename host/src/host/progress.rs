//! The causes for which a start waits, in the log and at `/readyz`.

use host_operator::WaitsFor;
use std::{pin::pin, time::Duration};
use tokio::time::{Instant, timeout};

/// A step that takes longer than this is told in the log.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The pauses between two lines of the log double up to this one.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The step of the start that runs now.
#[derive(Clone, Default)]
pub(super) struct Progress(pub(super) WaitsFor);

impl Progress {
    /// Runs one step, and says so while it takes long. `what` contains no
    /// secrets, such as `the database at 127.0.0.1:5432`.
    pub(super) async fn step<T>(&self, what: &str, work: impl Future<Output = T>) -> T {
        let (begun, mut pause) = (Instant::now(), FIRST_PAUSE);
        self.0.set(what.to_owned());
        let mut work = pin!(work);
        loop {
            let Ok(done) = timeout(pause, &mut work).await else {
                let seconds = begun.elapsed().as_secs();
                match pause == FIRST_PAUSE {
                    true => tracing::info!(seconds, "waiting for {}", self.0.text()),
                    false => tracing::warn!(seconds, "waiting for {}", self.0.text()),
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            };
            if begun.elapsed() >= FIRST_PAUSE {
                tracing::info!(seconds = begun.elapsed().as_secs(), "the host no longer waits for {what}");
            }
            return done;
        }
    }

    /// Adds the reason why the step takes long.
    pub(super) fn set_reason(&self, what: &str, reason: &str) {
        self.0.set(format!("{what}: {reason}"));
    }
}
