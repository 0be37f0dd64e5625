//! One delivery of an event or a timer, from its transaction to its outcome.

use super::workers::ComponentWorkers;
use futures::FutureExt;
use host_base::{
    clock::{ms_at, now_ms},
    text,
};
use host_bus::{BusError, DeadLetter};
use host_engine::{Handled, Outcome, handler::Handler};
use host_store::{Error, IdempotencyKey, LazyTransaction, NotStarted, Transaction, describe};
use host_telemetry::{
    TraceId,
    recent_traces::{self, Operation, OperationKind},
};
use sha2::{Digest, Sha256};
use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// The longest delay that a component may ask for.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(24 * 3_600);

/// A delivery that has ended.
pub(super) struct Ended<'a> {
    pub(super) kind: OperationKind,
    /// The subject of the event or the key of the timer.
    pub(super) name: &'a str,
    /// The id of the event. Empty for a timer.
    pub(super) id: &'a str,
    pub(super) trace: TraceId,
    pub(super) begun: Instant,
}

impl Ended<'_> {
    /// Tells of the delivery, for the traces that the host keeps.
    pub(super) fn record(&self, component: &str, outcome: &Outcome) {
        recent_traces::record(Operation {
            trace: self.trace,
            kind: self.kind,
            component: component.to_owned(),
            name: self.name.to_owned(),
            id: self.id.to_owned(),
            begun_ms: ms_at(self.begun),
            took: self.begun.elapsed(),
            failure: outcome.reason().map(str::to_owned),
        });
    }
}

/// Makes one attempt. `handle` lets the component work in the transaction. If
/// the transaction cannot begin, the component's work is dropped. An error is
/// the host's: nothing was done, and the attempt does not count.
pub(super) async fn deliver_once(
    handler: &Arc<dyn Handler>,
    attempt: u32,
    mut not_started: oneshot::Receiver<NotStarted>,
    handle: impl Future<Output = Handled>,
) -> Result<Outcome, Error> {
    let (not_started, outcome) = tokio::select! {
        biased;
        Ok(not_started) = &mut not_started => (Some(not_started), Ok(Outcome::Skipped)),
        outcome = handle_and_commit(handle) => (not_started.try_recv().ok(), outcome),
    };
    match not_started {
        None => Ok(limit_attempts(outcome?, attempt, handler.delivery_attempts())),
        Some(NotStarted::NothingToDo) => Ok(Outcome::Skipped),
        Some(NotStarted::Failed(error)) => Err(error),
    }
}

/// Lets the component handle the delivery, and commits its transaction if that
/// succeeds.
async fn handle_and_commit(handle: impl Future<Output = Handled>) -> Result<Outcome, Error> {
    let transaction = match AssertUnwindSafe(handle).catch_unwind().await {
        Ok(Ok(transaction)) => transaction,
        Ok(Err(outcome)) => return Ok(outcome),
        Err(_) => return Ok(Outcome::retry("the host panicked")),
    };
    match transaction.commit().await {
        Ok(()) => Ok(Outcome::Done),
        Err(error @ (Error::Conflict | Error::Unavailable(_))) => Err(error),
        Err(error) => Ok(Outcome::retry(format!("its transaction failed: {}", describe(&error)))),
    }
}

/// Turns the outcome of the last attempt into a dead letter, if that attempt
/// failed.
fn limit_attempts(outcome: Outcome, attempt: u32, max_attempts: u32) -> Outcome {
    match outcome {
        Outcome::Retry { reason, .. } if attempt >= max_attempts => {
            Outcome::DeadLetter(format!("given up after {attempt} attempts: {}", text::failure_reason(&reason)))
        }
        Outcome::Retry { after, reason } => Outcome::Retry { after, reason: text::failure_reason(&reason) },
        outcome => outcome,
    }
}

impl ComponentWorkers {
    /// The delay before the next attempt: the component's, or the host's
    /// backoff.
    pub(super) fn retry_delay(&self, after: Option<Duration>, attempt: u32) -> Duration {
        after.map_or_else(|| self.backoff(attempt), |after| after.min(MAX_RETRY_DELAY))
    }

    /// The delay after a failed attempt. It doubles each time. A random part
    /// keeps deliveries that failed together from coming back together.
    pub(super) fn backoff(&self, attempt: u32) -> Duration {
        let doubled =
            self.settings.backoff.saturating_mul(1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX));
        doubled.min(self.settings.max_backoff).mul_f64(rand::random_range(0.5..=1.0))
    }

    /// Repeats work with a backoff until the host does it without an error. None
    /// when the host stops first. `task` completes the log message.
    pub(super) async fn retry_host_errors<T, F: Future<Output = Result<T, Error>>>(
        &self,
        task: &str,
        mut work: impl FnMut() -> F,
    ) -> Option<T> {
        let mut failures = 0;
        loop {
            match work().await {
                Ok(done) => return Some(done),
                Err(error) => {
                    failures += 1;
                    tracing::warn!(
                        component = self.name,
                        failures,
                        error = describe(&error),
                        "the host failed {task} and tries again"
                    );
                    if !self.pause(self.backoff(failures)).await {
                        return None;
                    }
                }
            }
        }
    }

    /// Stores a dead letter, logs it and counts it.
    pub(super) async fn add_dead_letter(&self, letter: DeadLetter) -> Result<(), BusError> {
        tracing::error!(
            component = letter.component,
            id = letter.id,
            subject_id = letter.subject_id,
            subject = letter.subject,
            attempts = letter.attempts,
            reason = letter.reason,
            "an event or timer became a dead letter"
        );
        metrics::counter!("dead_letters_total", "component" => self.name.clone()).increment(1);
        self.bus.add_dead_letter(DeadLetter { id: dead_letter_id(&letter), set_aside_ms: now_ms(), ..letter }).await
    }

    /// A transaction that claims this key with its first use.
    pub(super) fn lazy_transaction(
        &self,
        key: IdempotencyKey,
        traceparent: Option<&str>,
    ) -> (Box<dyn Transaction>, oneshot::Receiver<NotStarted>) {
        let (transaction, not_started) = LazyTransaction::new(self.inbox.clone(), key, &self.name, traceparent);
        (Box::new(transaction), not_started)
    }
}

/// The id of a dead letter. It is the same for the same event or timer, so that
/// two attempts to store it make one dead letter.
fn dead_letter_id(letter: &DeadLetter) -> String {
    let mut hash = Sha256::new();
    for part in [
        letter.component.as_bytes(),
        letter.subject_id.as_bytes(),
        letter.subject.as_bytes(),
        &letter.time_ms.to_be_bytes(),
    ] {
        hash.update(part);
        hash.update([0]);
    }
    hex::encode(hash.finalize().get(..16).unwrap_or_default())
}
