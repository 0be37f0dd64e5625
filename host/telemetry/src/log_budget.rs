//! The amount of log that a component may cause.
//!
//! `Budget` is a part of the log of the process. It drops the lines of a
//! component that logs more than its budget, for the log and for its readers. A
//! budget is a bucket that fills with the allowed bytes per second up to a burst.
//! The lines of requests do not count, because their number is the visitors' and
//! not the component's. The dropped lines are counted, and one line of the host
//! says every few seconds how many they were.

use super::log_tail::component_of;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    fmt,
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{layer::Context, registry::LookupSpan};

/// The time between the first dropped line and the line that tells their number.
const PERIOD: Duration = Duration::from_secs(5);
/// Time stamp, level, target and names of fields, about.
const BYTES_BESIDE_FIELDS: usize = 100;
/// The target of request lines.
const REQUEST: &str = "request";
/// The target of the line about dropped lines.
const DROPPED: &str = "log_budget";

static BUCKETS: LazyLock<Mutex<HashMap<String, Bucket>>> = LazyLock::new(Mutex::default);

/// The budget of each component.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    pub(super) bytes_per_second: u32,
    pub(super) burst_bytes: u32,
}

/// The budget that one component has left.
struct Bucket {
    left_bytes: f64,
    filled_at: Instant,
    /// Lines since the last line that told their number.
    dropped: u64,
}

impl Budget {
    /// Takes the bytes of a line from the component's bucket. A line that is
    /// longer than the burst passes when the bucket is full.
    fn admits(&self, component: &str, bytes: usize, now: Instant) -> bool {
        let burst = f64::from(self.burst_bytes);
        let mut buckets = BUCKETS.lock();
        if !buckets.contains_key(component) {
            // Full buckets say nothing. So the map keeps those of components that log.
            buckets.retain(|_, bucket| bucket.dropped > 0 || bucket.filled(self, now) < burst);
        }
        let bucket = buckets.entry(component.to_owned()).or_insert_with(|| Bucket::full(burst, now));
        bucket.left_bytes = bucket.filled(self, now);
        bucket.filled_at = now;
        let cost = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)).min(burst);
        let admitted = cost <= bucket.left_bytes;
        if admitted {
            bucket.left_bytes -= cost;
        }
        admitted
    }
}

impl Bucket {
    fn full(burst: f64, now: Instant) -> Self {
        Self { left_bytes: burst, filled_at: now, dropped: 0 }
    }

    fn filled(&self, budget: &Budget, now: Instant) -> f64 {
        let new = now.saturating_duration_since(self.filled_at).as_secs_f64() * f64::from(budget.bytes_per_second);
        (self.left_bytes + new).min(f64::from(budget.burst_bytes))
    }
}

/// Counts a line of a component that is not written.
pub fn drop_line(component: &str) {
    metrics::counter!("plugin_log_lines_dropped_total", "component" => component.to_owned()).increment(1);
    let is_first = {
        let mut buckets = BUCKETS.lock();
        let is_first = buckets.values().all(|bucket| bucket.dropped == 0);
        let bucket = buckets.entry(component.to_owned()).or_insert_with(|| Bucket::full(f64::INFINITY, Instant::now()));
        bucket.dropped += 1;
        is_first
    };
    if is_first {
        let telling = thread::Builder::new().name("log-budget".into()).spawn(|| {
            thread::sleep(PERIOD);
            tell();
        });
        if let Err(error) = telling {
            tracing::debug!(%error, "the number of dropped lines is not told");
        }
    }
}

/// Writes one line for each component with dropped lines.
fn tell() {
    let dropped: Vec<(String, u64)> = BUCKETS
        .lock()
        .iter_mut()
        .map(|(component, bucket)| (component.clone(), std::mem::take(&mut bucket.dropped)))
        .filter(|(_, lines)| *lines > 0)
        .collect();
    for (component, lines) in dropped {
        tracing::warn!(target: DROPPED, component, lines, "the component logs too much, lines of it were dropped");
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Budget {
    fn event_enabled(&self, event: &Event<'_>, context: Context<'_, S>) -> bool {
        if [REQUEST, DROPPED].contains(&event.metadata().target()) {
            return true;
        }
        let Some(component) = component_of(event, &context) else { return true };
        let mut size = Size(BYTES_BESIDE_FIELDS);
        event.record(&mut size);
        let admitted = self.admits(&component, size.0, Instant::now());
        if !admitted {
            drop_line(&component);
        }
        admitted
    }
}

/// Sums up the bytes of all fields.
struct Size(usize);

impl fmt::Write for Size {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

impl Visit for Size {
    fn record_str(&mut self, _: &Field, value: &str) {
        self.0 += value.len();
    }

    fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
        // Counting does not fail.
        let _ = fmt::Write::write_fmt(self, format_args!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    const BUDGET: Budget = Budget { bytes_per_second: 1_000, burst_bytes: 4_000 };

    fn dropped(component: &str) -> u64 {
        BUCKETS.lock().get(component).map_or(0, |bucket| bucket.dropped)
    }

    #[test]
    fn a_component_writes_its_burst_and_then_its_bytes_per_second() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!((0..4).all(|_| BUDGET.admits("chatty", 1_000, start)));
        assert!(!BUDGET.admits("chatty", 1_000, start));
        assert!(BUDGET.admits("quiet", 1_000, start), "each component has a bucket of its own");
        assert!(BUDGET.admits("chatty", 1_000, after(1)) && !BUDGET.admits("chatty", 1_000, after(1)));
        assert!(!BUDGET.admits("chatty", 1 << 30, after(2)));
        assert!(BUDGET.admits("chatty", 1 << 30, after(60)), "a line over the burst passes when the bucket is full");
        assert!(!BUDGET.admits("chatty", 1, after(60)));
    }

    #[test]
    fn lines_over_the_budget_are_dropped_whoever_wrote_them() {
        let layers = tracing_subscriber::registry().with(crate::log_tail::Layer).with(BUDGET);
        let long = "x".repeat(2_500);
        tracing::subscriber::with_default(layers, || {
            tracing::info!(target: "plugin", component = "flood", "{long}");
            tracing::warn!(component = "flood", kind = "trap", "{long}");
            tracing::info_span!("event", component = "flood").in_scope(|| tracing::warn!("{long}"));
            assert_eq!(dropped("flood"), 2, "traps and lines within a span count too");
            tracing::info!(target: "request", component = "flood", path = long, "");
            tracing::info!("{long}");
            assert_eq!(dropped("flood"), 2, "lines of requests and of the host do not count");
        });
    }
}
