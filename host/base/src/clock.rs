//! The clock of the host and its components.
//!
//! The clock of a machine can be set by hours, forwards or backwards, while
//! timers and sessions wait for their moment. So the host does not use it
//! directly. At the start, a reference gives the time of day, and from then on
//! the host counts with a clock that nobody can set. The reference is the shared
//! database, so that all hosts agree, or the machine's clock for a host without
//! one. The host follows the reference, but its time never runs more than one
//! part in twenty faster or slower. After a restart it takes the reference's
//! time at once.
//!
//! The test of a plugin stops the clock and moves it by a script ([`ClockScript`]).

mod script;

pub use script::{ClockScript, moved_ms, sleep};

use rustix::time::{ClockId, clock_gettime};
use std::{
    fmt::Display,
    sync::{
        LazyLock,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio_util::sync::CancellationToken;

/// Time runs at most one part in this many faster or slower than it should.
const MAX_CORRECTION_PARTS: i64 = 20;
/// How often the host reads the reference.
const READ_INTERVAL: Duration = Duration::from_millis(500);
/// One correction covers at most this much elapsed time, also after a long
/// silence of the reference.
const MAX_ELAPSED_MS: i64 = 1_000;
/// The host warns if the machine's clock differs from its own by this much.
const WARN_DIFFERENCE_MS: i64 = 60_000;

/// A clock that nobody can set. It also runs while the machine sleeps, on the
/// systems that have such a clock.
#[cfg(target_os = "linux")]
const UPTIME_CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const UPTIME_CLOCK: ClockId = ClockId::Monotonic;

static CLOCK: LazyLock<Clock> = LazyLock::new(|| Clock::new(uptime(), system_ms()));

/// The time in milliseconds since the Unix epoch.
pub fn now_ms() -> u64 {
    u64::try_from(now().as_millis()).unwrap_or(u64::MAX)
}

/// The time at an instant of the past, in milliseconds since the Unix epoch. What
/// happened later has this time or a later one, for [`now_ms`] too.
pub fn ms_at(past: Instant) -> u64 {
    // A pause between the two readings makes the result earlier, never later.
    let now = now();
    u64::try_from(now.saturating_sub(past.elapsed()).as_millis()).unwrap_or(u64::MAX)
}

/// The time since the Unix epoch.
pub fn now() -> Duration {
    script::now().unwrap_or_else(|| CLOCK.read(uptime()))
}

/// The time of the machine's clock, in milliseconds since the Unix epoch.
pub fn system_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A reading of the reference clock.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// The time in milliseconds since the Unix epoch.
    pub ms: i64,
    /// The largest error of the time, because the answer took time to arrive.
    pub uncertainty_ms: i64,
}

/// Sets the clock to the time of the reference.
pub fn set(reading: Reading) {
    CLOCK.set(uptime(), reading.ms);
}

/// Follows a reference until the host stops. `read` reads the reference.
pub async fn follow<E: Display>(read: impl AsyncFn() -> Result<Reading, E>, stop: CancellationToken) {
    let mut logged_ms = 0;
    while stop.run_until_cancelled(tokio::time::sleep(READ_INTERVAL)).await.is_some() {
        match read().await {
            Ok(reading) => CLOCK.correct(uptime(), reading),
            Err(error) => tracing::debug!(%error, "the host cannot read the reference clock"),
        }
        let ahead_ms = system_ms() - i64::try_from(now_ms()).unwrap_or(i64::MAX);
        if (ahead_ms - logged_ms).abs() >= WARN_DIFFERENCE_MS {
            tracing::warn!(ahead_ms, "the machine's clock differs from the host's clock");
            logged_ms = ahead_ms;
        }
    }
}

/// The time since the machine started.
fn uptime() -> Duration {
    let time = clock_gettime(UPTIME_CLOCK);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Computes the time of day from the uptime.
struct Clock {
    /// The difference between the time of day and the uptime.
    offset_ms: AtomicI64,
    /// The uptime of the last correction.
    corrected_ms: AtomicI64,
}

impl Clock {
    fn new(uptime: Duration, ms: i64) -> Self {
        let clock = Self { offset_ms: AtomicI64::new(0), corrected_ms: AtomicI64::new(0) };
        clock.set(uptime, ms);
        clock
    }

    fn set(&self, uptime: Duration, ms: i64) {
        self.offset_ms.store(ms.saturating_sub(whole_ms(uptime)), Ordering::Relaxed);
        self.corrected_ms.store(whole_ms(uptime), Ordering::Relaxed);
    }

    fn read(&self, uptime: Duration) -> Duration {
        let offset_ms = self.offset_ms.load(Ordering::Relaxed);
        let offset = Duration::from_millis(offset_ms.unsigned_abs());
        if offset_ms < 0 { uptime.saturating_sub(offset) } else { uptime.saturating_add(offset) }
    }

    /// Moves the clock towards the reference. It moves by the part of the
    /// difference that is certain, and by no more than
    /// [`MAX_CORRECTION_PARTS`] allows.
    fn correct(&self, uptime: Duration, reading: Reading) {
        let uptime_ms = whole_ms(uptime);
        let elapsed_ms = uptime_ms - self.corrected_ms.swap(uptime_ms, Ordering::Relaxed);
        let max_correction_ms = (elapsed_ms.clamp(0, MAX_ELAPSED_MS) / MAX_CORRECTION_PARTS).max(1);
        let difference_ms = reading.ms.saturating_sub(whole_ms(self.read(uptime)));
        let certain_ms = (difference_ms.saturating_abs() - reading.uncertainty_ms).clamp(0, max_correction_ms);
        self.offset_ms.fetch_add(certain_ms * difference_ms.signum(), Ordering::Relaxed);
    }
}

fn whole_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
