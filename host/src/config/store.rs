//! `[store]`: the components' databases.

use super::problem::{Invalid, within};
use serde::Deserialize;
use std::time::Duration;

/// Settings of every component's database.
#[derive(Debug, Clone)]
pub struct Store {
    /// Connections of one component that read, beside the one that writes.
    pub readers: u32,
    /// How long a transaction waits for its turn.
    pub queue_wait: Duration,
}

/// As in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    readers: Option<u32>,
    queue_wait_ms: Option<u64>,
}

impl TryFrom<Raw> for Store {
    type Error = Invalid;

    fn try_from(raw: Raw) -> Result<Self, Invalid> {
        Ok(Self {
            readers: within("store.readers", raw.readers, 4, 1..=64)?,
            queue_wait: Duration::from_millis(within("store.queue_wait_ms", raw.queue_wait_ms, 5_000, 1..=60_000)?),
        })
    }
}
