//! A number of requests in a time, such as `10/h`.

use serde::{Deserialize, Serialize};
use std::{fmt, num::NonZeroU32, str::FromStr, time::Duration};

/// The letters of the times, with their seconds.
const UNITS: [(&str, u32); 4] = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];
const MAX_REQUESTS: u32 = 1_000_000;

/// A number of requests in a time. It is written as `100/s`, `100/m`, `100/h` or
/// `100/d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate {
    /// The most requests in the time.
    pub requests: NonZeroU32,
    seconds: u32,
}

impl Rate {
    /// This number of requests in a minute.
    pub(super) const fn per_minute(requests: NonZeroU32) -> Self {
        Self { requests, seconds: 60 }
    }

    /// The time, in seconds.
    pub fn seconds(&self) -> u32 {
        self.seconds
    }

    /// The time after which one more request is possible.
    pub fn period(&self) -> Duration {
        Duration::from_secs(self.seconds.into()) / self.requests.get()
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is not a rate such as `100/m`: a number up to {MAX_REQUESTS}, `/`, and s, m, h or d");
        let (requests, unit) = text.split_once('/').ok_or_else(wrong)?;
        let requests: NonZeroU32 = requests.trim().parse().map_err(|_| wrong())?;
        let (_, seconds) = UNITS.into_iter().find(|(letter, _)| *letter == unit.trim()).ok_or_else(wrong)?;
        if requests.get() > MAX_REQUESTS {
            return Err(wrong());
        }
        Ok(Self { requests, seconds })
    }
}

impl TryFrom<String> for Rate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.into_iter().find(|(_, seconds)| *seconds == self.seconds).map_or("s", |(letter, _)| letter);
        write!(formatter, "{}/{unit}", self.requests)
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_and_a_time() {
        for (text, seconds, period_ms) in
            [("10/s", 1, 100), ("60/m", 60, 1_000), ("1/h", 3_600, 3_600_000), ("24/d", 86_400, 3_600_000)]
        {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.seconds(), rate.period().as_millis()), (seconds, period_ms), "{text}");
            assert_eq!(rate.to_string(), text);
        }
        assert_eq!(" 5 / m".parse::<Rate>().unwrap().to_string(), "5/m");
        for wrong in
            ["", "10", "/m", "0/m", "-1/m", "1.5/m", "10/", "10/w", "10/mm", "1000001/s", "99999999999/s", "10/m/s"]
        {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
    }
}
