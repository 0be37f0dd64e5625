//! Identifiers: UUIDs of version 7, so that ids sort in the order in which
//! they were made.

use uuid::{Builder, Uuid};

use crate::bindings::imports::wasi::clocks::wall_clock;
use crate::bindings::imports::wasi::random::random;

/// A new id.
pub fn new() -> String {
    let now = wall_clock::now();
    let random = u128::from(random::get_random_u64());
    from_parts(now.seconds, now.nanoseconds, random).to_string()
}

/// Whether the text can be an id that [`new`] made.
pub fn is_valid(text: &str) -> bool {
    Uuid::try_parse(text).is_ok_and(|id| id.to_string() == text)
}

/// How old an id is at most whose event may still be on its way.
const FRESH_MS: u64 = 5_000;

/// Whether an id was made moments ago, by the time that it carries.
pub fn is_fresh(text: &str, now_ms: i64) -> bool {
    let made = Uuid::try_parse(text).ok().and_then(|id| id.get_timestamp());
    made.is_some_and(|made| {
        let (seconds, nanoseconds) = made.to_unix();
        let made_ms = seconds * 1_000 + u64::from(nanoseconds / 1_000_000);
        u64::try_from(now_ms).is_ok_and(|now_ms| now_ms.abs_diff(made_ms) <= FRESH_MS)
    })
}

/// Method 3 of RFC 9562, section 6.2: the 12 bits after the milliseconds are
/// the fraction of the millisecond, which keeps the order within one.
fn from_parts(seconds: u64, nanoseconds: u32, random: u128) -> Uuid {
    let ms = seconds * 1_000 + u64::from(nanoseconds / 1_000_000);
    let fraction = u128::from(nanoseconds % 1_000_000) * 4_096 / 1_000_000;
    // The builder skips the four bits of the version, then the two of the
    // variant, so the fraction lies below the first four of these 80 bits.
    let tail = (fraction << 64) | (random & u128::from(u64::MAX));
    let mut bytes = [0; 10];
    for (byte, source) in bytes.iter_mut().rev().zip(tail.to_le_bytes()) {
        *byte = source;
    }
    Builder::from_unix_timestamp_millis(ms, &bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_the_moment_they_were_made() {
        let moments = [(1, 0), (1, 999_999), (1, 1_000_000), (1, 1_000_300), (1, 999_999_999), (2, 0)];
        let ids: Vec<String> =
            moments.iter().map(|(seconds, nanos)| from_parts(*seconds, *nanos, u128::MAX).to_string()).collect();
        assert!(ids.is_sorted(), "{ids:?}");
        assert!(ids.iter().all(|id| is_valid(id)));
        assert_eq!(from_parts(2, 0, 7).get_version_num(), 7);
    }

    #[test]
    fn an_id_tells_how_old_it_is() {
        let id = from_parts(1_000, 0, 7).to_string();
        assert!(is_fresh(&id, 1_000_000) && is_fresh(&id, 1_004_000) && is_fresh(&id, 999_000));
        assert!(!is_fresh(&id, 1_006_000) && !is_fresh("no id", 0));
    }

    #[test]
    fn other_spellings_are_no_ids() {
        for text in [
            "",
            "1",
            "018BCFE5-6800-7000-8000-000000000000",
            "{018bcfe5-6800-7000-8000-000000000000}",
            "018bcfe568007000800000000000000000",
        ] {
            assert!(!is_valid(text), "{text}");
        }
    }
}
