//! The log, the metrics, and the trace that a request, its events and its
//! timers share.

pub mod endpoint_metrics;
mod log_tail;
pub mod metrics;
pub mod otlp;
pub mod trace;

pub use self::metrics::{Metrics, RevisionSeries};
pub use log_tail::{Follower, Heard};
pub use otlp::Exporting;
pub use trace::{Step, StepKind, TraceParent};

use host_config::log::{LogConfig, LogFormat};
use std::{
    io::{self, BufWriter, IsTerminal, Stderr, Write},
    thread,
    time::Duration,
};
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not one.
    #[error("the log filter is not valid: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// A log was started before.
    #[error("a log has been started already: {0}")]
    Log(#[from] tracing_subscriber::util::TryInitError),
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
pub fn start_log(settings: &LogConfig) -> Result<LogGuard, TelemetryError> {
    let (writer, guard) =
        tracing_appender::non_blocking(Portions(BufWriter::with_capacity(PORTION_BYTES, io::stderr())));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(&settings.filter)?)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(writer);
    match settings.format {
        LogFormat::Text => builder.finish().with(log_tail::Layer).try_init()?,
        LogFormat::Json => builder.json().flatten_event(true).finish().with(log_tail::Layer).try_init()?,
    }
    Ok(LogGuard(guard))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_starts_once() {
        let settings = LogConfig { filter: "off".to_owned(), format: LogFormat::Json };
        let guard = start_log(&settings).unwrap();
        assert!(start_log(&settings).is_err());
        drop(guard);
    }
}
