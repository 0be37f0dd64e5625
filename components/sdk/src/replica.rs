//! Copies of rows that another component owns.
//!
//! Events keep a copy up to date. Each event carries the full row and its
//! version, and each change adds 1 to the version.

/// From this delivery on, an event no longer waits for a missing version. With
/// the delays of [`retry_delay_ms`] that is about five seconds after the first
/// delivery.
const LAST_WAIT_ATTEMPT: u32 = 9;
const FIRST_DELAY_MS: u64 = 20;

/// What to do with an event about a copied row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The copy has this version or a newer one: do nothing.
    Ignore,
    /// This is the next version of the copy, or the first one: apply it.
    Apply,
    /// A version before this one is missing and may still arrive: ask for
    /// another delivery after this number of milliseconds.
    Wait(u64),
    /// A version before this one is missing, and the wait for it is over. The
    /// event carries the full row, so apply it, and log that events are missing.
    ApplyDespiteGap,
}

/// Decides about an event with version `incoming` when the copy has version
/// `known`. `delivery_attempt` counts the deliveries of the event from 1. The
/// first version is 0.
pub fn decide(known: Option<i64>, incoming: i64, delivery_attempt: u32) -> Decision {
    let next = known.map_or(0, |version| version.saturating_add(1));
    if incoming < next {
        Decision::Ignore
    } else if incoming == next {
        Decision::Apply
    } else if delivery_attempt < LAST_WAIT_ATTEMPT {
        Decision::Wait(retry_delay_ms(delivery_attempt))
    } else {
        Decision::ApplyDespiteGap
    }
}

/// The delay before the next delivery of an event that waits for another
/// event. It doubles with each delivery.
pub fn retry_delay_ms(delivery_attempt: u32) -> u64 {
    FIRST_DELAY_MS << delivery_attempt.saturating_sub(1).min(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_next_version_is_applied_at_once() {
        assert_eq!(decide(None, 0, 1), Decision::Apply);
        assert_eq!(decide(Some(3), 4, 1), Decision::Apply);
        assert_eq!(decide(Some(3), 3, 1), Decision::Ignore);
        assert_eq!(decide(Some(3), 0, 9), Decision::Ignore);
    }

    #[test]
    fn an_event_waits_for_a_missing_version_but_not_for_ever() {
        let mut waited_ms = 0;
        for attempt in 1.. {
            match decide(Some(1), 5, attempt) {
                Decision::Wait(ms) => waited_ms += ms,
                other => {
                    assert_eq!(other, Decision::ApplyDespiteGap);
                    break;
                }
            }
        }
        assert!((4_000..8_000).contains(&waited_ms), "{waited_ms}");
        assert!(matches!(decide(None, 2, 1), Decision::Wait(_)));
    }
}
