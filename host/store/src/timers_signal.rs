//! Wakes the timer worker after a commit that sets an earlier timer.

use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;

/// Knows when the timer worker has to read the timers next, in milliseconds
/// since the Unix epoch.
#[derive(Debug)]
pub struct TimersSignal {
    earlier: Notify,
    next_read_ms: AtomicU64,
}

impl Default for TimersSignal {
    fn default() -> Self {
        Self { earlier: Notify::new(), next_read_ms: AtomicU64::new(u64::MAX) }
    }
}

impl TimersSignal {
    /// Waits until the next read is earlier than it was.
    pub async fn earlier(&self) {
        self.earlier.notified().await;
    }

    /// When the timers have to be read next.
    pub fn next_read_ms(&self) -> u64 {
        self.next_read_ms.load(Ordering::SeqCst)
    }

    /// Requires a read now.
    pub fn read_now(&self) {
        self.next_read_ms.store(0, Ordering::SeqCst);
        self.earlier.notify_one();
    }

    /// Requires a read at this time, because a commit has set a timer for it.
    pub fn read_at(&self, due_ms: u64) {
        if due_ms < self.next_read_ms.fetch_min(due_ms, Ordering::SeqCst) {
            self.earlier.notify_one();
        }
    }

    /// The worker calls this before it reads the timers. A commit after it may
    /// be missing in what the worker reads, so it requires another read.
    pub fn begin_read(&self) {
        self.next_read_ms.store(u64::MAX, Ordering::SeqCst);
    }

    /// The worker calls this after it has read the timers. The next timer is
    /// due at this time.
    pub fn end_read(&self, next_due_ms: u64) {
        self.next_read_ms.fetch_min(next_due_ms, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    async fn is_woken(signal: &TimersSignal) -> bool {
        timeout(Duration::from_millis(50), signal.earlier()).await.is_ok()
    }

    #[tokio::test]
    async fn timers_are_read_when_the_next_one_is_due() {
        let signal = TimersSignal::default();
        signal.read_now();
        assert!(is_woken(&signal).await);
        assert_eq!(signal.next_read_ms(), 0);
        signal.begin_read();
        signal.end_read(100);
        assert!(!is_woken(&signal).await, "the reader itself knows the time");
        signal.read_at(101);
        assert!(!is_woken(&signal).await, "the read at 100 is early enough");
        signal.read_at(99);
        assert!(is_woken(&signal).await);
        assert_eq!(signal.next_read_ms(), 99);
        // A timer that is set during a read may be missing in what was read.
        signal.begin_read();
        signal.read_at(50);
        signal.end_read(200);
        assert_eq!(signal.next_read_ms(), 50);
    }
}
