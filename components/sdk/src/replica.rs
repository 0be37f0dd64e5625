//! Keeping a copy of what another component owns, from events that carry its
//! full state and a version that grows by one.

/// Deliveries after which a gap is no longer waited for: with
/// [`wait_ms`]'s pauses about five seconds after the first.
const LAST_WAIT_DELIVERY: u32 = 9;
const FIRST_WAIT_MS: u64 = 20;

/// What to do with an event about a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Older than the copy or the same: nothing to do.
    Ignore,
    /// The copy's next version, or the first.
    Apply,
    /// Newer than the next: its predecessor may be on the way. Deliver it
    /// again after so many milliseconds.
    Wait(u64),
    /// Newer than the next, and waited for long enough. As it carries the full
    /// state it can be applied, but something was lost on the way.
    ApplyOverGap,
}

/// What to do with version `incoming`, delivered for the `delivery`-th time,
/// when the copy is at `known`. The first version is 0.
pub fn step(known: Option<i64>, incoming: i64, delivery: u32) -> Step {
    let next = known.map_or(0, |version| version.saturating_add(1));
    if incoming < next {
        Step::Ignore
    } else if incoming == next {
        Step::Apply
    } else if delivery < LAST_WAIT_DELIVERY {
        Step::Wait(wait_ms(delivery))
    } else {
        Step::ApplyOverGap
    }
}

/// A pause that doubles with each delivery, for an event that waits for
/// another one.
pub fn wait_ms(delivery: u32) -> u64 {
    FIRST_WAIT_MS << delivery.saturating_sub(1).min(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_next_version_is_applied_at_once() {
        assert_eq!(step(None, 0, 1), Step::Apply);
        assert_eq!(step(Some(3), 4, 1), Step::Apply);
        assert_eq!(step(Some(3), 3, 1), Step::Ignore);
        assert_eq!(step(Some(3), 0, 9), Step::Ignore);
    }

    #[test]
    fn a_gap_is_waited_for_but_not_for_ever() {
        let mut waited_ms = 0;
        for delivery in 1.. {
            match step(Some(1), 5, delivery) {
                Step::Wait(ms) => waited_ms += ms,
                other => {
                    assert_eq!(other, Step::ApplyOverGap);
                    break;
                }
            }
        }
        assert!((4_000..8_000).contains(&waited_ms), "{waited_ms}");
        assert!(matches!(step(None, 2, 1), Step::Wait(_)));
    }
}
