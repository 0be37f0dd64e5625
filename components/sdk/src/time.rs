//! Time, in milliseconds since the Unix epoch.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::bindings::imports::wasi::clocks::wall_clock;

/// The current time in milliseconds since the Unix epoch. It may step back.
pub fn now_ms() -> i64 {
    let now = wall_clock::now();
    i64::try_from(now.seconds * 1_000).unwrap_or(i64::MAX) + i64::from(now.nanoseconds / 1_000_000)
}

/// A point in time, in milliseconds since the Unix epoch. In JSON it is a
/// string as in RFC 3339, in UTC and with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The time as the host's interfaces take it. A time before the epoch
    /// becomes 0.
    pub fn unix_ms(self) -> u64 {
        u64::try_from(self.0).unwrap_or(0)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(self.unix_ms());
        serializer.collect_str(&humantime::format_rfc3339_millis(time))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = humantime::parse_rfc3339(&text).map_err(de::Error::custom)?;
        let elapsed = time.duration_since(SystemTime::UNIX_EPOCH).map_err(de::Error::custom)?;
        i64::try_from(elapsed.as_millis()).map(Self).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_rfc_3339_with_milliseconds() {
        let json = serde_json::to_string(&Timestamp(1_700_000_000_042)).unwrap();
        assert_eq!(json, r#""2023-11-14T22:13:20.042Z""#);
        let back: Timestamp = serde_json::from_str(&json).unwrap();
        assert_eq!(back, Timestamp(1_700_000_000_042));
    }
}
