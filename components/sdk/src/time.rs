//! Time, in milliseconds since the Unix epoch.

use std::fmt::{Display, Formatter};
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
    /// The current time. It may step back.
    pub fn now() -> Self {
        Self(now_ms())
    }

    /// The time this many milliseconds later.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// The time as the host's interfaces take it. A time before the epoch
    /// becomes 0.
    pub fn unix_ms(self) -> u64 {
        u64::try_from(self.0).unwrap_or(0)
    }
}

/// As in RFC 3339, in UTC and with milliseconds.
impl Display for Timestamp {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(self.unix_ms());
        humantime::format_rfc3339_millis(time).fmt(formatter)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
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
        assert_eq!(back.plus_ms(58).to_string(), "2023-11-14T22:13:20.100Z");
    }
}
