//! `[quotas]`: what each plugin may occupy on disk, unless its policy says
//! otherwise.

use super::problem::{Invalid, within};
use serde::Deserialize;

/// What a plugin may occupy on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotasConfig {
    /// Its database.
    pub database_mib: u64,
    /// Events that wait in its outbox.
    pub outbox_events: u64,
    /// Timers that are set.
    pub timers: u64,
    /// Events and timers that it could not handle.
    pub dead_letters: u64,
    /// Revisions that were uploaded and are neither active nor the previous one.
    pub staged_revisions: u64,
}

/// As in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawQuotasConfig {
    database_mib: Option<u64>,
    outbox_events: Option<u64>,
    timers: Option<u64>,
    dead_letters: Option<u64>,
    staged_revisions: Option<u64>,
}

impl QuotasConfig {
    /// The least that the plugins of the binary and of the settings have. The
    /// operator has chosen them.
    pub const OF_CHOSEN_PLUGINS: Self = Self {
        database_mib: 16_384,
        outbox_events: 1_000_000,
        timers: 1_000_000,
        dead_letters: 10_000,
        staged_revisions: 20,
    };

    /// The larger of two, for each quota.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            database_mib: self.database_mib.max(other.database_mib),
            outbox_events: self.outbox_events.max(other.outbox_events),
            timers: self.timers.max(other.timers),
            dead_letters: self.dead_letters.max(other.dead_letters),
            staged_revisions: self.staged_revisions.max(other.staged_revisions),
        }
    }
}

impl TryFrom<RawQuotasConfig> for QuotasConfig {
    type Error = Invalid;

    fn try_from(raw: RawQuotasConfig) -> Result<Self, Invalid> {
        const MOST: u64 = 1_000_000_000;
        Ok(Self {
            database_mib: within("quotas.database_mib", raw.database_mib, 1_024, 1..=MOST)?,
            outbox_events: within("quotas.outbox_events", raw.outbox_events, 10_000, 1..=MOST)?,
            timers: within("quotas.timers", raw.timers, 100_000, 1..=MOST)?,
            dead_letters: within("quotas.dead_letters", raw.dead_letters, 1_000, 1..=MOST)?,
            staged_revisions: within("quotas.staged_revisions", raw.staged_revisions, 10, 1..=1_000)?,
        })
    }
}
