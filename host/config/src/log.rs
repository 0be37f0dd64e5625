//! `[log]`: what is written to standard error, and how.

use super::problem::{Invalid, within};
use serde::Deserialize;
use std::{str::FromStr, time::Duration};
use tracing_subscriber::EnvFilter;

/// The clients of the broker and of Stripe tell every attempt; the host says what matters of it.
const DEFAULT_FILTER: &str = "info,async_nats=warn,stripe=error";

/// Settings of the log.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// Directives of `tracing_subscriber::EnvFilter`.
    pub filter: String,
    /// For people or for machines.
    pub format: LogFormat,
    /// How much a plugin may log in a second, on average.
    pub plugin_kib_per_second: u32,
    /// How much a plugin may log at once.
    pub plugin_burst_kib: u32,
    /// The host keeps the trace of a request, event or timer that takes this time.
    pub slow: Duration,
}

/// How a line looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("it must be text or json"),
        }
    }
}

/// As in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLogConfig {
    pub(super) filter: Option<String>,
    pub(super) format: Option<LogFormat>,
    plugin_kib_per_second: Option<u32>,
    plugin_burst_kib: Option<u32>,
    slow_ms: Option<u64>,
}

impl TryFrom<RawLogConfig> for LogConfig {
    type Error = Invalid;

    fn try_from(raw: RawLogConfig) -> Result<Self, Invalid> {
        let filter = raw.filter.unwrap_or_else(|| DEFAULT_FILTER.to_owned());
        if let Err(error) = EnvFilter::try_new(&filter) {
            return Err(Invalid::new("log.filter", format!("`{filter}` is not a filter: {error}")));
        }
        Ok(Self {
            filter,
            format: raw.format.unwrap_or_default(),
            plugin_kib_per_second: within("log.plugin_kib_per_second", raw.plugin_kib_per_second, 64, 1..=1 << 20)?,
            plugin_burst_kib: within("log.plugin_burst_kib", raw.plugin_burst_kib, 256, 16..=1 << 20)?,
            slow: Duration::from_millis(within("log.slow_ms", raw.slow_ms, 500, 1..=600_000)?),
        })
    }
}
