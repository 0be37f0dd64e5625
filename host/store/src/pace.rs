//! How long the runs of a statement are.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The runs after a long one that get a thread of their own.
const RUNS_AFTER_A_LONG_ONE: u32 = 64;

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
    fn a_run_is_short_after_one_that_was_not_long() {
        assert!(Pace::short().is_short());
        let pace = Pace::unknown();
        assert!(!pace.is_short());
        assert!(pace.is_short() && pace.is_short());
        pace.was_long();
        let long = (0..1_000).filter(|_| !pace.is_short()).count();
        assert_eq!(long, 64);
    }
}
