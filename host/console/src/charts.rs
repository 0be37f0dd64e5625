//! Drawings of the history of a plugin, as SVG in the page. The text beside each
//! drawing says its figures, and the style sheets colour it.

use crate::format::{micros, number};
use host_api::figures::{HistorySlot, TimeRangeView};
use maud::{Markup, html};
use std::fmt::Write;

/// The slots of a drawing: 15 minutes of 10 s each.
const SLOTS: usize = 90;
/// The most ranges of time, and the width of one.
const RANGES: usize = 22;
const RANGE: usize = 4;
/// The width of a whole trace.
const SPAN: u64 = 200;
/// The height of a small drawing.
const SMALL: u64 = 20;
/// The height of a drawing with axes. Its width is a thousand.
const LARGE: u64 = 200;
const LARGE_SLOT: usize = 10;

/// The calls of the last 15 minutes in the height of a line.
pub(crate) fn sparkline(calls: &[u64]) -> Markup {
    let newest = calls.get(calls.len().saturating_sub(SLOTS)..).unwrap_or_default();
    let (all, most) = (sum(newest), newest.iter().copied().max().unwrap_or(0));
    let first = SLOTS - newest.len();
    let label = format!("{} calls in 15 minutes, at most {} in 10 s", number(all), number(most));
    html! {
        svg.spark viewBox={ "0 0 " (SLOTS) " " (SMALL) } preserveAspectRatio="none" role="img" {
            title { (label) }
            path d=(steps(newest, first, 1, most.max(1), SMALL)) {}
        }
    }
}

fn sum(values: &[u64]) -> u64 {
    values.iter().fold(0, |sum, value| sum.saturating_add(*value))
}

/// The outline of columns that begin at the ground. Neighbours of the same height
/// are one column.
fn steps(values: &[u64], first: usize, width: usize, top: u64, height: u64) -> String {
    let mut path = format!("M{} {height}", first * width);
    let (mut run, mut level) = (0, 0);
    for value in values {
        let next = scaled(*value, top, height);
        if next != level {
            horizontal(&mut path, run);
            let _ = write!(path, "v{}", level as i64 - next as i64);
            (run, level) = (0, next);
        }
        run += width;
    }
    horizontal(&mut path, run);
    let _ = write!(path, "V{height}z");
    path
}

fn horizontal(path: &mut String, run: usize) {
    if run > 0 {
        let _ = write!(path, "h{run}");
    }
}

/// A value as a height. A value that is not zero can be seen.
fn scaled(value: u64, top: u64, height: u64) -> u64 {
    match value {
        0 => 0,
        value => u64::try_from(u128::from(value.min(top)) * u128::from(height) / u128::from(top.max(1)))
            .unwrap_or(height)
            .max(1),
    }
}

/// A line through the middles of the slots. It has a gap where there is no value.
fn line(values: &[Option<u64>], first: usize, top: u64) -> String {
    let (mut path, mut pen) = (String::new(), 'M');
    for (place, value) in values.iter().enumerate() {
        let Some(value) = value else {
            pen = 'M';
            continue;
        };
        let (x, y) = ((first + place) * LARGE_SLOT, LARGE - scaled(*value, top, LARGE));
        // A value without neighbours is a short line.
        let _ = write!(path, "{pen}{x} {y}h{LARGE_SLOT}");
        pen = 'L';
    }
    path
}

/// The next round number that is not smaller: 1, 2 or 5 with zeros.
fn round_up(value: u64) -> u64 {
    let mut step = 1_u64;
    loop {
        for factor in [1, 2, 5] {
            let round = step.saturating_mul(factor);
            if round >= value {
                return round;
            }
        }
        step = step.saturating_mul(10);
    }
}

/// How many calls ended, and how many of them went wrong.
pub(crate) fn calls(slots: &[HistorySlot]) -> Markup {
    let slots = newest(slots);
    let first = SLOTS - slots.len();
    let (calls, errors): (Vec<_>, Vec<_>) = slots.iter().map(|slot| (slot.calls, slot.errors)).unzip();
    let top = round_up(calls.iter().copied().max().unwrap_or(0));
    let told = format!("{} calls in 15 minutes, {} of them errors", number(sum(&calls)), number(sum(&errors)));
    let legend = [("calls", "Calls in 10 s"), ("errors", "Errors among them")];
    let drawing = html! {
        path.calls d=(steps(&calls, first, LARGE_SLOT, top, LARGE)) {}
        path.errors d=(steps(&errors, first, LARGE_SLOT, top, LARGE)) {}
    };
    chart("Calls", &told, &legend, [&number(top), &number(top / 2)], &drawing)
}

/// How long the calls took.
pub(crate) fn times(slots: &[HistorySlot]) -> Markup {
    let slots = newest(slots);
    let first = SLOTS - slots.len();
    let (p50, p99): (Vec<_>, Vec<_>) = slots.iter().map(|slot| (slot.p50_us, slot.p99_us)).unzip();
    let longest = p99.iter().flatten().copied().max();
    let top = round_up(longest.unwrap_or(1_000));
    let told = match longest {
        Some(us) => format!("99 of 100 calls took at most {} in the slowest 10 s of 15 minutes", micros(us)),
        None => "No call ended in 15 minutes".to_owned(),
    };
    let legend = [("p50", "p50: half of the calls took less"), ("p99", "p99: 99 of 100 took less")];
    let drawing = html! {
        path.p99 d=(line(&p99, first, top)) {}
        path.p50 d=(line(&p50, first, top)) {}
    };
    chart("Time of a call", &told, &legend, [&micros(top), &micros(top / 2)], &drawing)
}

/// How many calls took how long, as columns in the height of a line.
pub(crate) fn ranges(ranges: &[TimeRangeView]) -> Markup {
    let Some(last) = ranges.last() else { return html! { span.quiet { "no calls" } } };
    let calls: Vec<_> = ranges.iter().map(|range| range.calls).collect();
    let most = calls.iter().copied().max().unwrap_or(0);
    let fullest = ranges.iter().max_by_key(|range| range.calls).and_then(|range| range.below_us);
    let below = |us: Option<u64>| us.map_or_else(|| "without a limit".to_owned(), |us| format!("below {}", micros(us)));
    let label = format!("{} calls: most {}, all {}", number(sum(&calls)), below(fullest), below(last.below_us));
    html! {
        svg.spark.ranges viewBox={ "0 0 " (RANGES * RANGE) " " (SMALL) } preserveAspectRatio="none" role="img" {
            title { (label) }
            path d=(steps(&calls, 0, RANGE, most.max(1), SMALL)) {}
        }
    }
}

/// The place of an operation within its trace, as a bar.
pub(crate) fn span(after_us: u64, took_us: u64, whole_us: u64, failed: bool) -> Markup {
    let [begin, length] = [after_us, took_us].map(|us| scaled(us, whole_us.max(1), SPAN));
    let class = if failed { "bar failed" } else { "bar" };
    html! {
        svg.span viewBox={ "0 0 " (SPAN) " " (SMALL) } preserveAspectRatio="none" aria-hidden="true" {
            rect class=(class) x=(begin.min(SPAN - 1)) y="4" width=(length.clamp(1, SPAN - begin.min(SPAN - 1))) height="12" {}
        }
    }
}

fn newest(slots: &[HistorySlot]) -> &[HistorySlot] {
    slots.get(slots.len().saturating_sub(SLOTS)..).unwrap_or_default()
}

/// A drawing with its axes. The labels are texts of the page, so a phone does not
/// shrink them.
fn chart(name: &str, told: &str, legend: &[(&str, &str)], scale: [&str; 2], drawing: &Markup) -> Markup {
    html! {
        figure.chart {
            figcaption {
                h3 { (name) }
                ul.legend { @for (class, text) in legend { li class=(class) { (text) } } }
            }
            div.plot {
                ol.scale aria-hidden="true" { @for label in scale { li { (label) } } li { "0" } }
                svg viewBox={ "0 0 " (SLOTS * LARGE_SLOT) " " (LARGE) } preserveAspectRatio="none" role="img"
                    aria-label=(told) {
                    path.grid d={ "M0 0H900M0 " (LARGE / 2) "H900M0 " (LARGE) "H900" } {}
                    (drawing)
                }
                ol.minutes aria-hidden="true" { li { "15 min ago" } li { "10" } li { "5" } li { "now" } }
            }
            p.hint { (told) "." }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(calls: u64, errors: u64, us: Option<u64>) -> HistorySlot {
        HistorySlot { begin_ms: 0, calls, errors, p50_us: us, p99_us: us }
    }

    #[test]
    fn a_sparkline_says_its_figures_and_stands_at_the_right() {
        let drawn = sparkline(&[5, 5, 10, 0]).into_string();
        assert!(drawn.contains("<title>20 calls in 15 minutes, at most 10 in 10 s</title>"), "{drawn}");
        assert!(drawn.contains("d=\"M86 20v-10h2v-10h1v20h1V20z\""), "{drawn}");
        assert!(sparkline(&[]).into_string().contains("d=\"M90 20V20z\""));
        assert!(sparkline(&[u64::MAX / 8; 200]).into_string().len() < 400, "no more than 15 minutes");
    }

    #[test]
    fn the_ranges_of_times_say_where_most_calls_are() {
        let range = |below_us, calls| TimeRangeView { below_us, calls };
        let drawn = ranges(&[range(Some(64), 5), range(Some(128), 10), range(None, 1)]).into_string();
        assert!(drawn.contains("<title>16 calls: most below 128 µs, all without a limit</title>"), "{drawn}");
        assert!(drawn.contains("d=\"M0 20v-10h4v-10h4v18h4V20z\""), "{drawn}");
        assert!(ranges(&[]).into_string().contains("no calls"));
    }

    #[test]
    fn a_bar_lies_within_its_trace_and_can_be_seen() {
        let drawn = |after, took, whole| {
            let text = span(after, took, whole, true).into_string();
            let number =
                |name: &str| text.split_once(name).unwrap().1.split('"').next().unwrap().parse::<u64>().unwrap();
            (number(" x=\""), number(" width=\""))
        };
        assert_eq!(drawn(0, 100, 100), (0, 200));
        assert_eq!(drawn(50, 25, 100), (100, 50));
        assert_eq!(drawn(100, 0, 100), (199, 1));
        assert_eq!(drawn(u64::MAX, u64::MAX, 0), (199, 1));
    }

    #[test]
    fn a_sparkline_of_a_busy_plugin_is_small() {
        let busy: Vec<u64> = (0..90).map(|slot| slot * 7_919 % 1_000).collect();
        let bytes = sparkline(&busy).into_string().len();
        assert!(bytes < 1_000, "{bytes}");
    }

    #[test]
    fn small_values_are_seen_and_none_is_drawn_over_the_edge() {
        assert_eq!([scaled(0, 9, 20), scaled(1, 1_000_000, 20), scaled(9, 9, 20), scaled(99, 9, 20)], [0, 1, 20, 20]);
        assert_eq!(scaled(u64::MAX, u64::MAX, LARGE), LARGE);
        for (value, round) in [(0, 1), (1, 1), (3, 5), (11, 20), (50, 50), (51, 100), (2_001, 5_000)] {
            assert_eq!(round_up(value), round);
        }
        assert_eq!(round_up(u64::MAX), u64::MAX);
    }

    #[test]
    fn charts_have_axes_and_a_gap_where_nothing_was_called() {
        let slots = [slot(3, 1, Some(900)), slot(0, 0, None), slot(1, 0, Some(1_800))];
        let drawn = calls(&slots).into_string();
        assert!(drawn.contains("aria-label=\"4 calls in 15 minutes, 1 of them errors\""), "{drawn}");
        assert!(drawn.contains("<li>5</li><li>2</li><li>0</li>") && drawn.contains("15 min ago"), "{drawn}");
        let drawn = times(&slots).into_string();
        assert!(drawn.contains("took at most 1.8 ms in the slowest 10 s"), "{drawn}");
        assert!(drawn.contains("class=\"p50\" d=\"M870 110h10M890 20h10\""), "{drawn}");
        assert!(times(&[]).into_string().contains("No call ended in 15 minutes"));
    }
}
