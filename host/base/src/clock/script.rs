//! A clock that stands still until a script moves it forward.
//!
//! The test of a plugin uses it (`ticketing plugin test`). A host that serves never
//! creates a script, so its clock follows the reference alone.

use super::system_ms;
use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;

/// The time of the script, in milliseconds since the Unix epoch. 0 without a script.
static NOW_MS: AtomicU64 = AtomicU64::new(0);
/// By how much scripts have moved the clock forward since the process started, in
/// milliseconds.
static MOVED_MS: LazyLock<watch::Sender<u64>> = LazyLock::new(|| watch::Sender::new(0));

/// The script of the clock. When it is dropped, the clock runs again.
#[derive(Debug)]
pub struct ClockScript(());

impl ClockScript {
    /// Stops the clock at this time, in milliseconds since the Unix epoch, or at the
    /// machine's time. None if another script has stopped it.
    pub fn begin(start_ms: Option<u64>) -> Option<Self> {
        let start_ms = start_ms.unwrap_or_else(|| system_ms().unsigned_abs()).max(1);
        let begun = NOW_MS.compare_exchange(0, start_ms, Ordering::SeqCst, Ordering::SeqCst);
        // The value must not exist, and be dropped, without success.
        begun.is_ok().then(|| Self(()))
    }

    /// Moves the clock forward, and wakes everything that [`sleep`]s.
    pub fn advance(&self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let _ = NOW_MS.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| Some(now.saturating_add(ms)));
        MOVED_MS.send_modify(|moved| *moved = moved.saturating_add(ms));
    }
}

impl Drop for ClockScript {
    fn drop(&mut self) {
        NOW_MS.store(0, Ordering::SeqCst);
    }
}

/// The time of the script, if there is one.
pub(super) fn now() -> Option<Duration> {
    match NOW_MS.load(Ordering::Relaxed) {
        0 => None,
        ms => Some(Duration::from_millis(ms)),
    }
}

/// By how much scripts have moved the clock forward since the process started, in
/// milliseconds. It is 0 on a host that serves. A clock of its own adds it, so that it
/// moves too.
pub fn moved_ms() -> u64 {
    *MOVED_MS.borrow()
}

/// Sleeps for the time that `remaining` returns, or until a script moves the clock. The
/// caller looks at the clock again.
pub async fn sleep(remaining: impl FnOnce() -> Duration) {
    // `remaining` reads the clock. A move after that must not be missed.
    let mut moves = MOVED_MS.subscribe();
    tokio::select! {
        () = tokio::time::sleep(remaining()) => {}
        _ = moves.changed() => {}
    }
}
