//! Printing: the host's JSON for programs, or lines for people.

pub(super) use crate::output::{complain, is_closed, line, raw};

use super::{client::Answer, failure::Failure};
use comfy_table::{Table, presets};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fmt::{Display, Write},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The form in which answers are printed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// As the JSON that the host sent.
    pub(crate) json: bool,
}

impl Output {
    /// Prints an answer: its JSON, or the text of `T` for people.
    pub(super) fn answer<T: DeserializeOwned + Display>(self, answer: &Answer) -> Result<(), Failure> {
        if self.json {
            line(&answer.text.trim_end());
            return Ok(());
        }
        line(&answer.read::<T>()?);
        Ok(())
    }

    /// Prints a value of this program in the same forms.
    pub(crate) fn value<T: Serialize + Display>(self, value: &T) -> Result<(), Failure> {
        if self.json {
            let json = serde_json::to_string(value).map_err(|error| Failure::Failed(error.to_string()))?;
            line(&json);
            return Ok(());
        }
        line(value);
        Ok(())
    }
}

/// A table without lines around it.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// The table's text, without spaces at the ends of lines.
pub(super) fn text_of(table: &Table) -> String {
    table.trim_fmt()
}

/// A size for people.
pub(super) fn size(bytes: usize) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{} KiB", bytes.div_ceil(1_024)),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// A length of time in milliseconds.
pub(super) fn span(ms: u64) -> String {
    match ms / 1_000 {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// A moment, which is in milliseconds since the Unix epoch, as RFC 3339 writes it.
pub(super) fn timestamp(time_ms: u64) -> String {
    let mut text = String::new();
    // The calendar ends with the year 9999.
    let known = UNIX_EPOCH.checked_add(Duration::from_millis(time_ms));
    match known.map(|time| write!(text, "{}", humantime::format_rfc3339_millis(time))) {
        Some(Ok(())) => text,
        _ => format!("{time_ms} ms"),
    }
}

/// The time since a moment, which is in milliseconds since the Unix epoch.
pub(super) fn ago(time_ms: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = now.as_secs().saturating_sub(time_ms / 1_000);
    format!("{} ago", span(seconds.saturating_mul(1_000)))
}

/// The time until a moment, which is in milliseconds since the Unix epoch.
pub(super) fn until(time_ms: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    match (time_ms / 1_000).saturating_sub(now.as_secs()) {
        0 => "now".to_owned(),
        seconds @ 1..120 => format!("in {seconds} s"),
        seconds @ 120..7_200 => format!("in {} min", seconds / 60),
        seconds => format!("in {} h", seconds / 3_600),
    }
}

/// A list as one text, or a dash if the list is empty.
pub(super) fn joined<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() { "-".to_owned() } else { items.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_for_people() {
        assert_eq!([size(512), size(45_000), size(5 << 20)], ["512 B", "44 KiB", "5.0 MiB"]);
        assert!(ago(0).ends_with("days ago"));
        assert_eq!(ago(u64::MAX), "0 s ago");
        assert_eq!(timestamp(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
        assert!(timestamp(u64::MAX).ends_with(" ms"));
        assert_eq!(until(0), "now");
        assert!(until(u64::MAX).ends_with(" h"));
    }

    #[test]
    fn a_table_has_no_lines_around_it_and_no_trailing_spaces() {
        let mut table = table(&["NAME", "STATE"]);
        table.add_row(["hello", "active"]);
        assert_eq!(text_of(&table), "NAME   STATE\nhello  active");
    }
}
