//! The time of day by which this host and its components live.
//!
//! A machine's clock can be set, by hours and in either direction, while timers
//! wait for their moment and sessions for their expiry. So the host counts
//! on with a clock that nobody sets, from a moment that a reference gave it at
//! the start: the shared database, so that several hosts agree whatever their
//! machines say, or the machine itself for a host alone. From then on it
//! follows the reference no faster than one part in twenty. A restart
//! takes the reference's word at once.

use rustix::time::{ClockId, clock_gettime};
use std::{
    fmt::Display,
    sync::{
        LazyLock,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio_util::sync::CancellationToken;

/// Time passes at most by this part faster or more slowly than it should.
const SLOWNESS: i64 = 20;
/// The reference is asked this often.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// Without its word for longer, no more is made up for at once.
const LONGEST_STRIDE_MS: i64 = 1_000;
/// The machine's clock is spoken of when it is so far from this one.
const WORTH_A_WORD_MS: i64 = 60_000;

/// Goes on while the machine sleeps, where there is such a clock.
#[cfg(target_os = "linux")]
const RUNNING: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const RUNNING: ClockId = ClockId::Monotonic;

static CLOCK: LazyLock<Clock> = LazyLock::new(|| Clock::new(running(), system_ms()));

/// Milliseconds since the Unix epoch.
pub fn now_ms() -> u64 {
    u64::try_from(now().as_millis()).unwrap_or(u64::MAX)
}

/// Since the Unix epoch.
pub fn now() -> Duration {
    CLOCK.read(running())
}

/// What the machine's own clock says, in milliseconds since the Unix epoch.
pub fn system_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// What the reference said, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// The moment.
    pub ms: i64,
    /// It may be wrong by so much, because it took time to arrive.
    pub give_or_take_ms: i64,
}

/// Takes the reference's word.
pub fn set(reading: Reading) {
    CLOCK.set(running(), reading.ms);
}

/// Follows a reference, which `ask` reads, until the host stops.
pub async fn follow<E: Display>(ask: impl AsyncFn() -> Result<Reading, E>, stop: CancellationToken) {
    let mut told_ms = 0;
    while stop.run_until_cancelled(tokio::time::sleep(ASK_EVERY)).await.is_some() {
        match ask().await {
            Ok(reading) => CLOCK.approach(running(), reading),
            Err(error) => tracing::debug!(%error, "the time is not known better"),
        }
        let ahead_ms = system_ms() - i64::try_from(now_ms()).unwrap_or(i64::MAX);
        if (ahead_ms - told_ms).abs() >= WORTH_A_WORD_MS {
            tracing::warn!(ahead_ms, "the machine's clock is not that of the host, which follows slowly if at all");
            told_ms = ahead_ms;
        }
    }
}

/// The time since the machine was started, which nobody sets.
fn running() -> Duration {
    let time = clock_gettime(RUNNING);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// The time of day as a function of another that nobody sets.
struct Clock {
    /// What is added to that.
    offset_ms: AtomicI64,
    /// When that was corrected last.
    corrected_ms: AtomicI64,
}

impl Clock {
    fn new(running: Duration, ms: i64) -> Self {
        let clock = Self { offset_ms: AtomicI64::new(0), corrected_ms: AtomicI64::new(0) };
        clock.set(running, ms);
        clock
    }

    fn set(&self, running: Duration, ms: i64) {
        self.offset_ms.store(ms.saturating_sub(whole_ms(running)), Ordering::Relaxed);
        self.corrected_ms.store(whole_ms(running), Ordering::Relaxed);
    }

    fn read(&self, running: Duration) -> Duration {
        let offset_ms = self.offset_ms.load(Ordering::Relaxed);
        let offset = Duration::from_millis(offset_ms.unsigned_abs());
        if offset_ms < 0 { running.saturating_sub(offset) } else { running.saturating_add(offset) }
    }

    /// Goes towards what the reference says, as far as is sure that it is
    /// elsewhere, and no faster than [`SLOWNESS`] allows.
    fn approach(&self, running: Duration, reading: Reading) {
        let running_ms = whole_ms(running);
        let elapsed_ms = running_ms - self.corrected_ms.swap(running_ms, Ordering::Relaxed);
        let stride_ms = (elapsed_ms.clamp(0, LONGEST_STRIDE_MS) / SLOWNESS).max(1);
        let apart_ms = reading.ms.saturating_sub(whole_ms(self.read(running)));
        let sure_ms = (apart_ms.saturating_abs() - reading.give_or_take_ms).clamp(0, stride_ms);
        self.offset_ms.fetch_add(sure_ms * apart_ms.signum(), Ordering::Relaxed);
    }
}

fn whole_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;
    const START_MS: i64 = 1_700_000_000_000;

    fn after(ms: i64) -> Duration {
        Duration::from_millis(ms.unsigned_abs())
    }

    fn exact(ms: i64) -> Reading {
        Reading { ms, give_or_take_ms: 0 }
    }

    #[test]
    fn a_reference_that_is_set_is_followed_slowly_and_time_goes_on() {
        for step_ms in [5 * HOUR_MS, -5 * HOUR_MS] {
            let clock = Clock::new(after(7_000), START_MS);
            let mut before_ms = START_MS;
            for round in 1..=200 {
                let passed_ms = round * 500;
                clock.approach(after(7_000 + passed_ms), exact(START_MS + passed_ms + step_ms));
                let now_ms = whole_ms(clock.read(after(7_000 + passed_ms)));
                assert!((475..=525).contains(&(now_ms - before_ms)), "{}", now_ms - before_ms);
                before_ms = now_ms;
            }
            assert_eq!((before_ms - START_MS - 100_000).signum(), step_ms.signum(), "it does follow");
        }
    }

    #[test]
    fn a_small_difference_is_made_up_for_and_an_uncertain_one_is_left() {
        let clock = Clock::new(after(0), START_MS);
        clock.approach(after(500), Reading { ms: START_MS + 600, give_or_take_ms: 100 });
        assert_eq!(whole_ms(clock.read(after(500))), START_MS + 500);
        clock.approach(after(1_000), exact(START_MS + 1_020));
        assert_eq!(whole_ms(clock.read(after(1_000))), START_MS + 1_020);
    }

    #[test]
    fn nothing_is_made_up_for_at_once_after_a_long_silence() {
        let clock = Clock::new(after(0), START_MS);
        clock.approach(after(HOUR_MS), exact(START_MS + 2 * HOUR_MS));
        assert_eq!(whole_ms(clock.read(after(HOUR_MS))), START_MS + HOUR_MS + 50);
    }
}
