//! The limits on the reservations of one buyer, so that nobody takes the tickets
//! off sale without paying.
//!
//! A buyer has a number of unpaid reservations at a time. Whoever lets a
//! reservation of a ticket go, by cancellation or expiry, may reserve the same
//! ticket once more at once, and then after pauses that grow.
//!
//! The transactions of this component run one after another, on all hosts. So
//! what [`check`] counts does not change before the commit.

use ticketing_sdk::store::Tx;
use ticketing_sdk::{Error, Result};

use crate::domain::Order;
use crate::store;

/// After this time a reservation that was let go no longer counts.
const REMEMBERED_MS: i64 = 24 * 60 * 60 * 1_000;
const MAX_FIRST_PAUSE_MS: i64 = 60_000;
const MAX_PAUSE_MS: i64 = 60 * 60 * 1_000;

/// The settings of the limits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The most unpaid reservations of a buyer. 0 switches all limits off.
    pub(crate) max_unpaid: i64,
    /// The duration of a reservation.
    pub(crate) hold_ms: i64,
}

/// Checks the limits after the order was inserted. The error rolls it back.
pub(crate) fn check(tx: &Tx<'_>, order: &Order, limits: Limits, now_ms: i64) -> Result<()> {
    if limits.max_unpaid == 0 {
        return Ok(());
    }
    let unpaid = store::unpaid_of(tx, &order.user_id)?;
    if unpaid.count > limits.max_unpaid {
        let message = match limits.max_unpaid {
            1 => "You already have an unpaid reservation. Pay or cancel it first".to_owned(),
            most => format!("You already have {most} unpaid reservations. Pay or cancel one of them first"),
        };
        return Err(too_soon(message, unpaid.time_ms.unwrap_or(now_ms), now_ms));
    }
    let let_go = store::let_go_by(tx, order, now_ms - REMEMBERED_MS)?;
    let free_ms = let_go.time_ms.unwrap_or(0).saturating_add(pause_ms(let_go.count, limits.hold_ms));
    if free_ms > now_ms {
        let message = "You have let this ticket go several times. Others may reserve it now, and you a little later";
        return Err(too_soon(message.to_owned(), free_ms, now_ms));
    }
    Ok(())
}

/// The error for a reservation that is possible at a later time.
fn too_soon(message: String, free_ms: i64, now_ms: i64) -> Error {
    let seconds = free_ms.saturating_sub(now_ms).saturating_add(999) / 1_000;
    Error::throttled(message, u32::try_from(seconds.max(1)).unwrap_or(u32::MAX))
}

/// The pause after this number of reservations that were let go. It doubles each
/// time. It begins with the duration of a reservation, so that others have the
/// ticket for as long.
fn pause_ms(let_go: i64, hold_ms: i64) -> i64 {
    match u32::try_from(let_go).unwrap_or(u32::MAX).checked_sub(2) {
        None => 0,
        Some(doublings) => (hold_ms.clamp(1, MAX_FIRST_PAUSE_MS) << doublings.min(20)).min(MAX_PAUSE_MS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_up_to_an_hour() {
        let pauses: Vec<i64> = (0..6).map(|let_go| pause_ms(let_go, 60_000) / 1_000).collect();
        assert_eq!(pauses, [0, 0, 60, 120, 240, 480]);
        assert_eq!(pause_ms(3, 1_000), 2_000, "a short reservation has short pauses");
        assert_eq!(pause_ms(2, 86_400_000), MAX_FIRST_PAUSE_MS);
        assert!([20, 1_000, i64::MAX].into_iter().all(|many| pause_ms(many, 60_000) == MAX_PAUSE_MS));
    }

    #[test]
    fn the_time_to_wait_is_rounded_up() {
        for (free_ms, seconds) in [(1_001, 1), (2_000, 1), (2_001, 2), (500, 1)] {
            match too_soon("wait".to_owned(), free_ms, 1_000) {
                Error::Refused { status: 429, retry_after_seconds, .. } => {
                    assert_eq!(retry_after_seconds, Some(seconds), "{free_ms}");
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
