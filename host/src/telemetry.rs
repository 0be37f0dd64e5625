//! The log, the metrics, and the trace that a request, its events and its
//! timers share.

use crate::config::log::{Log, LogFormat};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::{
    fmt,
    io::{self, BufWriter, IsTerminal, Stderr, Write},
    str::FromStr,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};
use tokio::task::JoinHandle;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::{EnvFilter, util::SubscriberInitExt};

/// Samples are folded into their buckets this often, so that they do not pile
/// up when nobody scrapes.
const UPKEEP_SECONDS: u64 = 5;

const SECONDS: [f64; 16] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const BYTES: [f64; 9] = [256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0];

/// Why logging or metrics cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not one.
    #[error("the log filter is not valid: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// A log was started before.
    #[error("a log has been started already: {0}")]
    Log(#[from] tracing_subscriber::util::TryInitError),
    /// Metrics of another kind were started before.
    #[error("metrics cannot be recorded: {0}")]
    Metrics(#[from] BuildError),
}

/// Writes lines to standard error from a thread of its own, so that a slow
/// terminal holds no request up; lines that do not fit its buffer are left
/// out. Dropping it writes what is left.
#[derive(Debug)]
pub struct LogGuard(#[expect(dead_code, reason = "held for its drop")] WorkerGuard);

/// Lines are written together this often when there are many, and at once
/// when there are few.
const PORTION_EVERY: Duration = Duration::from_millis(10);
const PORTION_BYTES: usize = 64 << 10;

/// Standard error for a thread that flushes when it finds no more lines. It
/// rests after that, so that a busy host neither wakes it nor makes a system
/// call for each line.
struct Portions(BufWriter<Stderr>);

impl Write for Portions {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        thread::sleep(PORTION_EVERY);
        Ok(())
    }
}

/// Starts the log of the process.
///
/// # Errors
/// When the filter is not valid or a log was started before.
pub fn start_log(settings: &Log) -> Result<LogGuard, TelemetryError> {
    let (writer, guard) =
        tracing_appender::non_blocking(Portions(BufWriter::with_capacity(PORTION_BYTES, io::stderr())));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(&settings.filter)?)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(writer);
    match settings.format {
        LogFormat::Text => builder.finish().try_init()?,
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init()?,
    }
    Ok(LogGuard(guard))
}

/// The metrics of the process. Dropping it stops the upkeep.
#[derive(Debug)]
pub struct Metrics {
    handle: PrometheusHandle,
    upkeep: JoinHandle<()>,
}

impl Metrics {
    /// Starts to record, or goes on with what the process records already.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When a recorder of another kind was installed before.
    pub fn start() -> Result<Self, TelemetryError> {
        let handle = recorder()?;
        let kept = handle.clone();
        let upkeep = tokio::spawn(async move {
            let mut interval = tokio::time::interval(Duration::from_secs(UPKEEP_SECONDS));
            loop {
                interval.tick().await;
                kept.run_upkeep();
            }
        });
        Ok(Self { handle, upkeep })
    }

    /// Everything recorded, in Prometheus' text format.
    pub fn render(&self) -> String {
        self.handle.render()
    }
}

/// The recorder of the process; there can be but one.
fn recorder() -> Result<PrometheusHandle, BuildError> {
    static INSTALLED: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*installed {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), &BYTES)?
        .install_recorder()?;
    Ok(installed.insert(handle).clone())
}

impl Drop for Metrics {
    fn drop(&mut self) {
        self.upkeep.abort();
    }
}

/// A place in a trace: the `traceparent` header of
/// <https://www.w3.org/TR/trace-context/>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace_id: [u8; 16],
    parent_id: [u8; 8],
    flags: u8,
}

/// The text is not a `traceparent`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent")]
pub struct NotATraceParent;

impl TraceParent {
    const SAMPLED: u8 = 1;

    /// The beginning of a trace.
    pub fn root() -> Self {
        // An identifier of zeros is none. Odd is never zero.
        let mut trace_id: [u8; 16] = rand::random();
        trace_id[15] |= 1;
        Self { trace_id, parent_id: new_parent_id(), flags: Self::SAMPLED }
    }

    /// The next step of the same trace.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { parent_id: new_parent_id(), ..*self }
    }

    /// The next step of the trace in the header, or the beginning of one if
    /// there is none that makes sense.
    pub fn continue_or_start(header: Option<&str>) -> Self {
        header.and_then(|text| text.parse::<Self>().ok()).map_or_else(Self::root, |parent| parent.child())
    }

    /// The trace's identifier, in hexadecimal.
    pub fn trace_id(&self) -> impl fmt::Display + use<> {
        let trace_id = u128::from_be_bytes(self.trace_id);
        fmt::from_fn(move |formatter| write!(formatter, "{trace_id:032x}"))
    }
}

fn new_parent_id() -> [u8; 8] {
    (rand::random::<u64>() | 1).to_be_bytes()
}

impl FromStr for TraceParent {
    type Err = NotATraceParent;

    fn from_str(text: &str) -> Result<Self, NotATraceParent> {
        let mut parts = text.split('-');
        let mut part = || parts.next().ok_or(NotATraceParent);
        let version: [u8; 1] = lower_hex(part()?)?;
        let trace_id = lower_hex(part()?)?;
        let parent_id = lower_hex(part()?)?;
        let [flags] = lower_hex(part()?)?;
        // A later version may say more, the first one must not.
        let is_known = match version {
            [0] => parts.next().is_none(),
            [version] => version != 0xff,
        };
        if !is_known || trace_id == [0; 16] || parent_id == [0; 8] {
            return Err(NotATraceParent);
        }
        Ok(Self { trace_id, parent_id, flags: flags & Self::SAMPLED })
    }
}

fn lower_hex<const N: usize>(text: &str) -> Result<[u8; N], NotATraceParent> {
    let mut bytes = [0; N];
    let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    match hex::decode_to_slice(text, &mut bytes) {
        Ok(()) if is_lower => Ok(bytes),
        _ => Err(NotATraceParent),
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace_id, parent_id) = (u128::from_be_bytes(self.trace_id), u64::from_be_bytes(self.parent_id));
        write!(formatter, "00-{trace_id:032x}-{parent_id:016x}-{:02x}", self.flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_is_read_and_written_alike() {
        let parent: TraceParent = EXAMPLE.parse().unwrap();
        assert_eq!(parent.to_string(), EXAMPLE);
        assert_eq!(parent.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        let root = TraceParent::root();
        assert_eq!(root.to_string().parse::<TraceParent>().unwrap(), root);
    }

    #[test]
    fn a_child_stays_in_the_trace_and_has_a_place_of_its_own() {
        let parent: TraceParent = EXAMPLE.parse().unwrap();
        let child = TraceParent::continue_or_start(Some(EXAMPLE));
        assert_eq!(child.trace_id().to_string(), parent.trace_id().to_string());
        assert_ne!(child, parent);
        assert_ne!(child, parent.child());
        assert_ne!(TraceParent::continue_or_start(Some("rubbish")), TraceParent::continue_or_start(None));
    }

    #[test]
    fn what_the_standard_forbids_is_refused() {
        for wrong in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333g-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(wrong.parse::<TraceParent>(), Err(NotATraceParent), "{wrong}");
        }
    }

    #[test]
    fn a_later_version_is_understood_as_far_as_it_is_known() {
        let later = "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more";
        assert_eq!(later.parse::<TraceParent>().unwrap().to_string(), EXAMPLE);
    }

    #[tokio::test]
    async fn durations_are_rendered_in_buckets() {
        let metrics = Metrics::start().unwrap();
        metrics::histogram!("test_seconds").record(0.003);
        metrics::counter!("test_total").increment(2);
        let text = metrics.render();
        assert!(text.contains("test_seconds_bucket{le=\"0.005\"} 1"), "{text}");
        assert!(text.contains("test_seconds_bucket{le=\"0.0025\"} 0"), "{text}");
        assert!(text.contains("test_total 2"), "{text}");
        assert!(Metrics::start().unwrap().render().contains("test_total 2"));
    }

    #[test]
    fn a_log_starts_once() {
        let settings = Log { filter: "off".to_owned(), format: LogFormat::Json };
        let guard = start_log(&settings).unwrap();
        assert!(start_log(&settings).is_err());
        drop(guard);
    }
}
