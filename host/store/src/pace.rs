//! How long the runs of a statement are.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The runs after a long one that get a thread of their own.
const RUNS_AFTER_A_LONG_ONE: u32 = 64;
/// All further runs.
const ALWAYS: u32 = u32::MAX;

/// Whether the next run of a statement may begin in the thread of its caller. So a statement
/// that is often long delays the other work of that thread seldom.
#[derive(Debug)]
pub(crate) struct Pace(AtomicU32);

impl Pace {
    /// The pace of a statement of the host.
    pub(crate) fn short() -> Self {
        Self(AtomicU32::new(0))
    }

    /// The pace of a component's statement. Its first run shows whether it is short.
    pub(crate) fn unknown() -> Self {
        Self(AtomicU32::new(1))
    }

    /// Counts a run. Returns whether it is probably short.
    pub(crate) fn is_short(&self) -> bool {
        let count = |left: u32| (left != ALWAYS).then_some(left.saturating_sub(1));
        self.0.fetch_update(Relaxed, Relaxed, count) == Ok(0)
    }

    /// A run was long.
    pub(crate) fn was_long(&self) {
        self.0.fetch_max(RUNS_AFTER_A_LONG_ONE, Relaxed);
    }

    /// A run was so long that its transaction was lost. No other one of this statement shall be.
    pub(crate) fn has_ended_a_transaction(&self) {
        self.0.store(ALWAYS, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_short_after_one_that_was_not_long() {
        assert!(Pace::short().is_short());
        let pace = Pace::unknown();
        assert!(!pace.is_short());
        assert!(pace.is_short() && pace.is_short());
        pace.was_long();
        let long = (0..1_000).filter(|_| !pace.is_short()).count();
        assert_eq!(long, 64);
        pace.has_ended_a_transaction();
        pace.was_long();
        assert!((0..1_000).all(|_| !pace.is_short()));
    }
}
