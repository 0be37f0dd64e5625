//! `[messaging]`: events and timers.

use super::{
    nats::{NatsConfig, RawNatsConfig},
    problem::{Invalid, within},
};
use host_base::secret::Secret;
use serde::Deserialize;
use std::time::Duration;

/// Settings of deliveries.
#[derive(Debug, Clone)]
pub struct MessagingConfig {
    /// Events of one component handled at the same time.
    pub concurrency: usize,
    /// The wait before the second delivery; it doubles with each one after.
    pub backoff: Duration,
    /// The longest wait between two deliveries.
    pub max_backoff: Duration,
    /// How long events and the marks of applied ones are kept.
    pub retention: Duration,
    /// What the bus inside the process keeps of the events of one component.
    pub retained_bytes: u64,
    /// The broker; none: the bus inside the process.
    pub nats: Option<NatsConfig>,
}

/// As in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawMessagingConfig {
    concurrency: Option<usize>,
    backoff_ms: Option<u64>,
    max_backoff_ms: Option<u64>,
    retention_hours: Option<u64>,
    retained_mib: Option<u64>,
    pub(super) nats_url: Option<Secret>,
    nats: RawNatsConfig,
}

impl TryFrom<RawMessagingConfig> for MessagingConfig {
    type Error = Invalid;

    fn try_from(raw: RawMessagingConfig) -> Result<Self, Invalid> {
        let backoff_ms = within("messaging.backoff_ms", raw.backoff_ms, 100, 1..=60_000)?;
        let max_backoff_ms =
            within("messaging.max_backoff_ms", raw.max_backoff_ms, backoff_ms.max(30_000), backoff_ms..=3_600_000)?;
        let retention_hours = within("messaging.retention_hours", raw.retention_hours, 7 * 24, 1..=24 * 365)?;
        Ok(Self {
            concurrency: within("messaging.concurrency", raw.concurrency, 16, 1..=1_000)?,
            backoff: Duration::from_millis(backoff_ms),
            max_backoff: Duration::from_millis(max_backoff_ms),
            retention: Duration::from_secs(retention_hours * 3_600),
            retained_bytes: within("messaging.retained_mib", raw.retained_mib, 512, 1..=1_000_000)? << 20,
            nats: raw.nats_url.map(|url| raw.nats.with_url(url)).transpose()?,
        })
    }
}
