//! How long the runs of a statement are.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The runs after a long one that get a thread of their own.
const RUNS_AFTER_A_LONG_ONE: u32 = 64;

/// Whether the next run of a statement may begin in the thread of its caller. So a statement
/// that is often long delays the other work of that thread seldom.
#[derive(Debug, Default)]
pub(crate) struct Pace(AtomicU32);

impl Pace {
    /// Counts a run. Returns whether it is probably short.
    pub(crate) fn is_short(&self) -> bool {
        // Two runs at once may both count as one. That is no harm.
        match self.0.load(Relaxed) {
            0 => true,
            left => {
                self.0.store(left - 1, Relaxed);
                false
            }
        }
    }

    /// A run was long.
    pub(crate) fn was_long(&self) {
        self.0.store(RUNS_AFTER_A_LONG_ONE, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_long_run_others_count_as_long_for_a_while() {
        let pace = Pace::default();
        assert!(pace.is_short() && pace.is_short());
        pace.was_long();
        let long = (0..1_000).filter(|_| !pace.is_short()).count();
        assert_eq!(long, 64);
        assert!(pace.is_short());
    }
}
