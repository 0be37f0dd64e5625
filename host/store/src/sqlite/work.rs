//! Where the work of a connection runs: in the thread of its caller, because most
//! statements need less time than a change of threads, or in a thread that may block.

use super::errors::Failure;
use crate::{Error, database::shutting_down, pace::Pace};
use host_base::thread_stack::on_thread_stack;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::{coop::consume_budget, spawn_blocking};

/// The time after which a statement is long. A guest computes for longer before it
/// gives way.
pub(super) const SHORT: Duration = Duration::from_millis(1);

/// Works in the thread of the caller.
pub(super) async fn here<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    // A guest with many statements gives way to others now and then.
    consume_budget().await;
    on_thread_stack(work).await
}

/// Works in a thread that may block. The work ends even if its caller is dropped.
pub(super) async fn in_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    spawn_blocking(work).await.map_err(|_| shutting_down())
}

/// Runs a statement, and notes whether it was long.
pub(super) fn timed<T>(pace: &Arc<Pace>, statement: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let begun = Instant::now();
    let result = statement();
    if begun.elapsed() >= SHORT {
        pace.was_long();
    }
    result
}
