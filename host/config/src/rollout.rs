//! `[rollout]`: how new revisions are watched, and how many old ones are kept.

use super::problem::{Invalid, within};
use serde::Deserialize;
use std::time::Duration;

/// Settings of swaps.
#[derive(Debug, Clone)]
pub struct RolloutConfig {
    /// How long a new revision is compared with the one before it.
    pub watch: Duration,
    /// Calls of a new revision before it is judged.
    pub min_calls: u64,
    /// How many percentage points more of its answers may be errors.
    pub error_margin_percent: u64,
    /// How many percent slower it may be on average.
    pub latency_margin_percent: u64,
    /// How long work under way in the old revision may go on.
    pub drain: Duration,
    /// Traps within the window that quarantine a component, if they are at
    /// least half of its calls; 0 for never.
    pub quarantine_traps: u64,
    /// The window.
    pub quarantine_window: Duration,
    /// Whether the previous revision takes over from a quarantined one.
    pub quarantine_fallback: bool,
    /// Revisions of one plugin that are kept beside those in use.
    pub kept_revisions: usize,
}

/// As in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRolloutConfig {
    watch_seconds: Option<u64>,
    min_calls: Option<u64>,
    error_margin_percent: Option<u64>,
    latency_margin_percent: Option<u64>,
    drain_seconds: Option<u64>,
    quarantine_traps: Option<u64>,
    quarantine_window_seconds: Option<u64>,
    quarantine_fallback: Option<bool>,
    kept_revisions: Option<usize>,
}

impl TryFrom<RawRolloutConfig> for RolloutConfig {
    type Error = Invalid;

    fn try_from(raw: RawRolloutConfig) -> Result<Self, Invalid> {
        let seconds = |name, value, default, high| within(name, value, default, 1..=high).map(Duration::from_secs);
        Ok(Self {
            watch: seconds("rollout.watch_seconds", raw.watch_seconds, 60, 86_400)?,
            min_calls: within("rollout.min_calls", raw.min_calls, 20, 1..=1_000_000)?,
            error_margin_percent: within("rollout.error_margin_percent", raw.error_margin_percent, 5, 0..=100)?,
            latency_margin_percent: within(
                "rollout.latency_margin_percent",
                raw.latency_margin_percent,
                200,
                0..=100_000,
            )?,
            drain: seconds("rollout.drain_seconds", raw.drain_seconds, 30, 600)?,
            quarantine_traps: within("rollout.quarantine_traps", raw.quarantine_traps, 20, 0..=1_000_000)?,
            quarantine_window: seconds("rollout.quarantine_window_seconds", raw.quarantine_window_seconds, 10, 3_600)?,
            quarantine_fallback: raw.quarantine_fallback.unwrap_or(true),
            kept_revisions: within("rollout.kept_revisions", raw.kept_revisions, 5, 0..=1_000)?,
        })
    }
}
