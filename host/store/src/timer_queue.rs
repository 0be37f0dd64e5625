//! The timers of a component, sorted by the time when they are due.

use super::{Error, Timer, TimersSignal};
use async_trait::async_trait;
use std::sync::Arc;

/// The keys of the timers that the host sets for the schedules of a manifest begin
/// with this text. A component cannot use such a key.
pub const SCHEDULE_KEYS: &str = "schedule:";

/// The timers of one component, for the worker that fires them.
#[async_trait]
pub trait TimerQueue: Send + Sync + 'static {
    /// Returns the timers that are due at this time, the longest overdue first,
    /// and the timer that is due next.
    async fn upcoming_timers(&self, now_ms: u64, limit_rows: u32) -> Result<Vec<DueTimer>, Error>;

    /// Returns the timers of schedules in the order of their keys, see [`SCHEDULE_KEYS`].
    async fn schedule_timers(&self) -> Result<Vec<Timer>, Error>;

    /// Counts the timers. Neither count goes beyond `most`, so that counting ends soon.
    async fn count_timers(&self, now_ms: u64, most: u32) -> Result<TimerCounts, Error>;

    /// Sets another time for a timer that was not handled, and counts the
    /// attempt. Does nothing if the timer was replaced or cancelled meanwhile.
    async fn postpone_timer(&self, timer: &DueTimer, due_ms: u64) -> Result<(), Error>;

    /// Wakes the timer worker after a commit.
    fn timers_signal(&self) -> &Arc<TimersSignal>;
}

/// A timer and the attempt to handle it.
#[derive(Debug, Clone)]
pub struct DueTimer {
    /// The timer that the component set.
    pub timer: Timer,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Distinguishes this timer from earlier and later timers with its key.
    pub generation: i64,
    /// The trace in which it was set.
    pub traceparent: Option<String>,
}

/// The timers of a component, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimerCounts {
    /// All timers, those that are due among them.
    pub set: u64,
    /// Those that are due.
    pub due: u64,
    /// When the longest overdue timer was due. None if none is due.
    pub first_due_ms: Option<u64>,
    /// When the next timer will be due. None if none is set for later.
    pub next_due_ms: Option<u64>,
}

/// The columns of a count: all timers, those that are due, the first one, the next one.
pub(crate) type CountRow = (i64, i64, Option<i64>, Option<i64>);

impl From<CountRow> for TimerCounts {
    fn from((set, due, first, next): CountRow) -> Self {
        let time = |ms: Option<i64>| ms.map(i64::cast_unsigned);
        Self { set: set.cast_unsigned(), due: due.cast_unsigned(), first_due_ms: time(first), next_due_ms: time(next) }
    }
}

/// The columns of a timer table: generation, key, time, payload, attempt,
/// traceparent.
pub(crate) type TimerRow = (i64, String, i64, Vec<u8>, i64, Option<String>);

impl From<TimerRow> for DueTimer {
    fn from((generation, key, due_ms, payload, attempt, traceparent): TimerRow) -> Self {
        let timer = Timer { key, due_ms: due_ms.cast_unsigned(), payload };
        Self { timer, attempt: u32::try_from(attempt).unwrap_or(u32::MAX), generation, traceparent }
    }
}
