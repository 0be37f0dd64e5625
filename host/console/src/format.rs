//! Values as people read them: times, numbers, sizes, and the state of things.

use host_api::{cluster::Status, plugins::PluginStatus, revisions::RevisionStatus};
use maud::{Markup, html};
use serde::Serialize;
use std::time::{Duration, UNIX_EPOCH};

/// The latest time that a page can show: the end of the year 9999.
const LAST_MS: u64 = 253_402_300_799_000;
/// Characters of a digest that tell files apart for a person.
const DIGEST_CHARACTERS: usize = 12;

/// A moment in UTC. A script shows it in the local time of the reader.
pub(crate) fn time(ms: u64) -> Markup {
    let moment = UNIX_EPOCH + Duration::from_millis(ms.min(LAST_MS));
    let exact = humantime::format_rfc3339_millis(moment).to_string();
    let seconds = humantime::format_rfc3339_seconds(moment).to_string();
    let short = seconds.replace('T', " ").replace('Z', " UTC");
    html! { time datetime=(exact) title=(exact) { (short) } }
}

/// The same for a moment that a database has as a signed number.
pub(crate) fn signed_time(ms: i64) -> Markup {
    time(u64::try_from(ms).unwrap_or_default())
}

/// A whole number with a thin space between each three digits.
pub(crate) fn number(value: u64) -> String {
    let digits = value.to_string();
    let first = digits.len() % 3;
    let (head, rest) = digits.split_at(first);
    let groups = rest.as_bytes().chunks(3).map(|group| String::from_utf8_lossy(group).into_owned());
    let head = (!head.is_empty()).then(|| head.to_owned());
    head.into_iter().chain(groups).collect::<Vec<_>>().join("\u{202f}")
}

/// A size in bytes.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1_024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// A length of time.
pub(crate) fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{:.1} s", ms as f64 / 1_000.0),
        60_000..3_600_000 => format!("{} min {} s", ms / 60_000, ms / 1_000 % 60),
        3_600_000..86_400_000 => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
        _ => format!("{} d {} h", ms / 86_400_000, ms / 3_600_000 % 24),
    }
}

/// A short time in microseconds.
pub(crate) fn micros(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..100_000 => format!("{:.1} ms", us as f64 / 1_000.0),
        _ => duration(us / 1_000),
    }
}

/// A number of calls in a second.
pub(crate) fn rate(per_second: f64) -> String {
    match per_second {
        rate if rate >= 100.0 => format!("{}/s", number(rate.round() as u64)),
        rate if rate > 0.0 && rate < 0.05 => "< 0.1/s".to_owned(),
        rate => format!("{rate:.1}/s"),
    }
}

/// A share in percent. A small share is not shown as none.
pub(crate) fn percent(percent: f64) -> String {
    match percent {
        percent if percent > 0.0 && percent < 0.05 => "< 0.1 %".to_owned(),
        percent => format!("{percent:.1} %"),
    }
}

/// A part of a whole in percent. None if there is no whole.
pub(crate) fn share(part: u64, whole: u64) -> Option<String> {
    (whole > 0).then(|| format!("{:.1} %", part as f64 * 100.0 / whole as f64))
}

/// The start of a digest. The rest is in the title.
pub(crate) fn digest(digest: &str) -> Markup {
    let start: String = digest.chars().take(DIGEST_CHARACTERS).collect();
    html! { code title=(digest) { (start) } }
}

/// The tone of a badge. The text says the same as the colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Busy,
    Bad,
    Calm,
}

/// A short state.
pub(crate) fn badge(tone: Tone, text: &str) -> Markup {
    let class = match tone {
        Tone::Good => "badge good",
        Tone::Busy => "badge busy",
        Tone::Bad => "badge bad",
        Tone::Calm => "badge",
    };
    html! { span class=(class) { (text) } }
}

/// A word that a program knows, with a tone for the values that are known here.
pub(crate) trait Toned: Serialize {
    fn tone(&self) -> Tone;
}

impl Toned for PluginStatus {
    fn tone(&self) -> Tone {
        match self {
            Self::Active => Tone::Good,
            Self::Canary | Self::Starting | Self::Paused => Tone::Busy,
            Self::Quarantined => Tone::Bad,
        }
    }
}

impl Toned for RevisionStatus {
    fn tone(&self) -> Tone {
        match self {
            Self::Active => Tone::Good,
            Self::Canary => Tone::Busy,
            Self::Previous | Self::Staged => Tone::Calm,
        }
    }
}

impl Toned for Status {
    fn tone(&self) -> Tone {
        match self {
            Self::Ready => Tone::Good,
            Self::Starting => Tone::Busy,
            Self::Lost => Tone::Bad,
        }
    }
}

/// The badge of a word.
pub(crate) fn word<T: Toned>(word: &host_api::Word<T>) -> Markup {
    let tone = match word {
        host_api::Word::Known(known) => known.tone(),
        host_api::Word::Unknown(_) => Tone::Calm,
    };
    badge(tone, &word.to_string())
}

/// The badge of the result of a change.
pub(crate) fn outcome(outcome: &str) -> Markup {
    let tone = match outcome {
        "done" => Tone::Good,
        "refused" => Tone::Busy,
        "failed" => Tone::Bad,
        _ => Tone::Calm,
    };
    badge(tone, outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sizes_and_times_have_units_and_are_short() {
        for (value, text) in [(0, "0"), (999, "999"), (1_000, "1\u{202f}000"), (1_234_567, "1\u{202f}234\u{202f}567")] {
            assert_eq!(number(value), text);
        }
        assert_eq!([size(3), size(2_048), size(5 << 20)], ["3 B", "2.0 KiB", "5.0 MiB"]);
        assert_eq!([duration(5), duration(1_500), duration(61_000)], ["5 ms", "1.5 s", "1 min 1 s"]);
        assert_eq!([duration(3_660_000), duration(90_000_000)], ["1 h 1 min", "1 d 1 h"]);
        assert_eq!(
            [micros(640), micros(1_500), micros(250_000), micros(2_000_000)],
            ["640 µs", "1.5 ms", "250 ms", "2.0 s"]
        );
        assert_eq!(
            [rate(0.0), rate(0.01), rate(12.34), rate(1_234.4)],
            ["0.0/s", "< 0.1/s", "12.3/s", "1\u{202f}234/s"]
        );
        assert_eq!([percent(0.0), percent(0.01), percent(12.34)], ["0.0 %", "< 0.1 %", "12.3 %"]);
        assert_eq!((share(1, 8).as_deref(), share(0, 0)), (Some("12.5 %"), None));
    }

    #[test]
    fn a_time_is_utc_and_exact_for_programs() {
        let shown = time(1_893_456_000_123).into_string();
        assert!(shown.contains("datetime=\"2030-01-01T00:00:00.123Z\"") && shown.contains(">2030-01-01 00:00:00 UTC<"));
        assert!(time(u64::MAX).into_string().contains("9999-12-31") && signed_time(-1).into_string().contains("1970"));
    }
}
