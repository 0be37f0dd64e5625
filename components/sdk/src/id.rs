//! Ids of rows: UUIDs of version 7, which sort by the time of their creation.

use uuid::{Builder, Uuid};

use crate::bindings::imports::wasi::clocks::wall_clock;
use crate::bindings::imports::wasi::random::random;

/// Makes a new id.
pub fn new() -> String {
    let now = wall_clock::now();
    let random = u128::from(random::get_random_u64());
    from_parts(now.seconds, now.nanoseconds, random).to_string()
}

/// Whether the text has the form of an id from [`new`].
pub fn is_valid(text: &str) -> bool {
    Uuid::try_parse(text).is_ok_and(|id| id.to_string() == text)
}

/// The 16 bytes of an id. They sort like the ids, and take less space in a
/// database. A text that is no id has no bytes.
pub fn to_bytes(text: &str) -> Vec<u8> {
    Uuid::try_parse(text).map_or_else(|_| Vec::new(), |id| id.as_bytes().to_vec())
}

/// The id with these bytes. It reverses [`to_bytes`].
pub fn from_bytes(bytes: &[u8]) -> Option<String> {
    Uuid::from_slice(bytes).ok().map(|id| id.to_string())
}

/// The age below which the event about an id may still be under way.
const RECENT_MS: u64 = 5_000;

/// Whether the timestamp in the id is only moments old.
pub fn is_recent(text: &str, now_ms: i64) -> bool {
    let timestamp = Uuid::try_parse(text).ok().and_then(|id| id.get_timestamp());
    timestamp.is_some_and(|timestamp| {
        let (seconds, nanoseconds) = timestamp.to_unix();
        let created_ms = seconds * 1_000 + u64::from(nanoseconds / 1_000_000);
        u64::try_from(now_ms).is_ok_and(|now_ms| now_ms.abs_diff(created_ms) <= RECENT_MS)
    })
}

/// Uses method 3 of RFC 9562, section 6.2: the 12 bits after the milliseconds
/// hold the fraction of the millisecond. So ids of one millisecond sort too.
fn from_parts(seconds: u64, nanoseconds: u32, random: u128) -> Uuid {
    let ms = seconds * 1_000 + u64::from(nanoseconds / 1_000_000);
    let fraction = u128::from(nanoseconds % 1_000_000) * 4_096 / 1_000_000;
    // The builder overwrites the four version bits and the two variant bits,
    // so the fraction lies below the first four of these 80 bits.
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
    fn ids_sort_by_the_time_of_their_creation() {
        let times = [(1, 0), (1, 999_999), (1, 1_000_000), (1, 1_000_300), (1, 999_999_999), (2, 0)];
        let ids: Vec<String> =
            times.iter().map(|(seconds, nanos)| from_parts(*seconds, *nanos, u128::MAX).to_string()).collect();
        assert!(ids.is_sorted(), "{ids:?}");
        assert!(ids.iter().all(|id| is_valid(id)));
        assert_eq!(from_parts(2, 0, 7).get_version_num(), 7);
    }

    #[test]
    fn an_id_knows_its_age() {
        let id = from_parts(1_000, 0, 7).to_string();
        assert!(is_recent(&id, 1_000_000) && is_recent(&id, 1_004_000) && is_recent(&id, 999_000));
        assert!(!is_recent(&id, 1_006_000) && !is_recent("no id", 0));
    }

    #[test]
    fn the_bytes_of_an_id_lead_back_to_it() {
        let id = from_parts(2, 0, 7).to_string();
        assert_eq!(from_bytes(&to_bytes(&id)), Some(id));
        assert_eq!(from_bytes(&to_bytes("no id")), None);
    }

    #[test]
    fn other_spellings_are_not_ids() {
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
