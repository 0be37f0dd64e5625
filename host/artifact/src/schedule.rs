//! The schedules of a manifest: the host calls the handler of timers at regular
//! times of day.

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// A time of day that comes again, such as every night at three.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Its name, `[a-z][a-z0-9-]{0,39}`. It is unique in the plugin.
    pub name: String,
    /// Minute, hour, day of the month, month and day of the week, as in POSIX's
    /// crontab, such as `0 3 * * *`.
    pub cron: String,
    /// The zone of the times by its name in the IANA database, such as
    /// `Europe/Berlin`.
    #[serde(default = "utc")]
    pub zone: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

impl Schedule {
    /// # Errors
    /// The value that is wrong.
    pub(crate) fn check(&self) -> Result<(), String> {
        if !crate::manifest::is_name(&self.name) {
            return Err("name must match [a-z][a-z0-9-]{0,39}".to_owned());
        }
        self.pattern()?;
        self.time_zone()?;
        match self.next_after(0) {
            Some(_) => Ok(()),
            None => Err(format!("cron {:?} has no time at all", self.cron)),
        }
    }

    /// The next time after this one, both in milliseconds since the Unix epoch. A time
    /// that the zone skips when its clocks go forward comes right after the gap. None
    /// if there is none.
    pub fn next_after(&self, now_ms: u64) -> Option<u64> {
        let now = Timestamp::from_millisecond(i64::try_from(now_ms).ok()?).ok()?;
        let now = now.to_zoned(self.time_zone().ok()?);
        let next = self.pattern().ok()?.find_next_occurrence(&now, false).ok()?;
        u64::try_from(next.timestamp().as_millisecond()).ok()
    }

    fn pattern(&self) -> Result<Cron, String> {
        // The parser takes an empty entry of a list. A list of such entries has no value,
        // and the search for its next time would take minutes.
        let is_incomplete = |field: &str| field.split(',').any(str::is_empty);
        if self.cron.split_whitespace().any(is_incomplete) {
            return Err(format!("cron {:?} has a list with an empty entry", self.cron));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        parser.parse(&self.cron).map_err(|error| {
            let rule = "must have five fields: minute, hour, day of the month, month, day of the week";
            let cause = error.to_string();
            format!("cron {:?} {rule} ({})", self.cron, cause.trim_end_matches('.'))
        })
    }

    fn time_zone(&self) -> Result<TimeZone, String> {
        // The database in the binary is the same on all hosts.
        let zones = jiff::tz::TimeZoneDatabase::bundled();
        zones.get(&self.zone).map_err(|_| format!("zone {:?} is not in the IANA database", self.zone))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(cron: &str, zone: &str) -> Schedule {
        Schedule { name: "x".to_owned(), cron: cron.to_owned(), zone: zone.to_owned() }
    }

    /// The times after this one, as RFC 3339 writes them.
    fn times(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
        let mut time_ms = u64::try_from(after.parse::<Timestamp>().unwrap().as_millisecond()).unwrap();
        let mut next = || {
            time_ms = schedule.next_after(time_ms).unwrap();
            Timestamp::from_millisecond(time_ms.try_into().unwrap()).unwrap().to_string()
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn times_come_in_order_and_a_time_itself_is_over() {
        let nightly = schedule("0 3 * * *", "UTC");
        let found = times(&nightly, "2026-02-27T03:00:00Z", 3);
        assert_eq!(found, ["2026-02-28T03:00:00Z", "2026-03-01T03:00:00Z", "2026-03-02T03:00:00Z"]);
        let quarters = schedule("*/15 8-9 * * MON", "UTC");
        assert_eq!(times(&quarters, "2026-11-30T09:40:00Z", 2), ["2026-11-30T09:45:00Z", "2026-12-07T08:00:00Z"]);
    }

    #[test]
    fn a_zone_keeps_the_time_of_day_when_its_clocks_change() {
        let nightly = schedule("30 2 * * *", "Europe/Berlin");
        let spring = times(&nightly, "2026-03-28T12:00:00Z", 2);
        assert_eq!(spring, ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"], "half past two is skipped once");
        let autumn = times(&nightly, "2026-10-24T12:00:00Z", 2);
        assert_eq!(autumn, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"], "half past two comes twice");
    }

    #[test]
    fn a_schedule_that_is_not_valid_is_refused_with_the_reason() {
        for (cron, zone, reason) in [
            ("0 3 * *", "UTC", "five fields"),
            ("* * * * * *", "UTC", "five fields"),
            ("61 * * * *", "UTC", "five fields"),
            ("every day", "UTC", "five fields"),
            ("", "UTC", "five fields"),
            ("0 0 30 2 *", "UTC", "no time at all"),
            (", * * * *", "Europe/Berlin", "empty entry"),
            ("* , * * *", "UTC", "empty entry"),
            ("0 0 , * *", "UTC", "empty entry"),
            ("0 0 * ,, *", "UTC", "empty entry"),
            ("0 0 * * ,", "UTC", "empty entry"),
            ("0,,30 * * * *", "UTC", "empty entry"),
            ("0, * * * *", "UTC", "empty entry"),
            ("0 3 * * *", "Berlin", "IANA"),
            ("0 3 * * *", "", "IANA"),
            ("0 3 * * *", "../../etc/passwd", "IANA"),
        ] {
            let problem = schedule(cron, zone).check().unwrap_err();
            assert!(problem.contains(reason), "{cron} {zone}: {problem}");
        }
        assert_eq!(schedule("@daily", "UTC").check(), Ok(()));
        let unnamed = Schedule { name: "Two words".to_owned(), ..schedule("0 3 * * *", "UTC") };
        assert!(unnamed.check().unwrap_err().contains("name"));
    }
}
