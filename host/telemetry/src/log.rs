//! The log of the process: lines on standard error.

use super::{
    log_budget::Budget,
    log_format::{PrintableFields, PrintableJson, TextLine},
    log_tail, recent_traces,
};
use host_config::log::{LogConfig, LogFormat};
use std::{
    io::{self, BufWriter, IsTerminal, Stderr, Write},
    thread,
    time::Duration,
};
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, reload, util::SubscriberInitExt};

/// The pause of the writing thread after it has written all lines.
const FLUSH_INTERVAL: Duration = Duration::from_millis(10);
const BUFFER_BYTES: usize = 64 << 10;

/// The log cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter of the settings is not valid.
    #[error("the log filter is not valid: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The process has a log already.
    #[error("the process has a log already: {0}")]
    Log(#[from] tracing_subscriber::util::TryInitError),
    /// The log has ended.
    #[error("the log filter cannot be replaced: {0}")]
    Reload(reload::Error),
}

/// Keeps the log running. A thread of its own writes the lines, so a slow
/// terminal does not delay requests. The log drops lines that do not fit into
/// the buffer. When this value is dropped, the thread writes the remaining
/// lines.
pub struct LogGuard {
    _writer: WorkerGuard,
    filter: FilterHandle,
}

/// Replaces the filter of the running log.
type FilterHandle = Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>;

impl LogGuard {
    /// Applies another filter from now on.
    ///
    /// # Errors
    /// If the filter is not valid. The log keeps its filter then.
    pub fn set_filter(&self, filter: &str) -> Result<(), TelemetryError> {
        let filter = EnvFilter::try_new(filter)?;
        (self.filter)(filter).map_err(TelemetryError::Reload)
    }
}

/// Standard error with a buffer. The writing thread flushes it when no more
/// lines wait, and sleeps after each flush. So a busy host neither wakes the
/// thread nor makes a system call for every line.
struct BatchedStderr(BufWriter<Stderr>);

impl Write for BatchedStderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        thread::sleep(FLUSH_INTERVAL);
        Ok(())
    }
}

/// Starts the log of the process.
///
/// # Errors
/// If the filter is not valid, or if the process has a log already.
pub fn start_log(config: &LogConfig) -> Result<LogGuard, TelemetryError> {
    recent_traces::set_slow(config.slow);
    let stderr = BatchedStderr(BufWriter::with_capacity(BUFFER_BYTES, io::stderr()));
    let (writer, guard) = tracing_appender::non_blocking(stderr);
    let budget = budget(config);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(&config.filter)?)
        .with_ansi(io::stderr().is_terminal());
    let filter: FilterHandle = match config.format {
        LogFormat::Text => {
            let builder = builder.fmt_fields(PrintableFields).event_format(TextLine);
            let log = builder.with_writer(writer).with_filter_reloading();
            let filter = log.reload_handle();
            log.finish().with(log_tail::Layer).with(budget).try_init()?;
            Box::new(move |new| filter.reload(new))
        }
        LogFormat::Json => {
            let writer = move || PrintableJson(writer.clone());
            let log = builder.json().flatten_event(true).with_writer(writer).with_filter_reloading();
            let filter = log.reload_handle();
            log.finish().with(log_tail::Layer).with(budget).try_init()?;
            Box::new(move |new| filter.reload(new))
        }
    };
    Ok(LogGuard { _writer: guard, filter })
}

/// Starts a log that writes nothing. [`LogTail`](super::LogTail) reads the lines of one
/// component.
///
/// # Errors
/// If the filter is not valid, or if the process has a log already.
pub fn start_silent_log(config: &LogConfig) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(&config.filter)?;
    tracing_subscriber::registry().with(filter).with(log_tail::Layer).with(budget(config)).try_init()?;
    Ok(())
}

fn budget(config: &LogConfig) -> Budget {
    Budget { bytes_per_second: config.plugin_kib_per_second << 10, burst_bytes: config.plugin_burst_kib << 10 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_starts_once_and_takes_another_filter() {
        let config = LogConfig {
            filter: "off".to_owned(),
            format: LogFormat::Json,
            plugin_kib_per_second: 64,
            plugin_burst_kib: 256,
            slow: Duration::from_millis(500),
        };
        let guard = start_log(&config).unwrap();
        assert!(start_log(&config).is_err());
        assert!(!tracing::enabled!(tracing::Level::ERROR));
        guard.set_filter("error").unwrap();
        assert!(tracing::enabled!(tracing::Level::ERROR));
        assert!(guard.set_filter("a=b=c").is_err(), "the filter is not valid");
        assert!(tracing::enabled!(tracing::Level::ERROR));
        drop(guard);
    }
}
