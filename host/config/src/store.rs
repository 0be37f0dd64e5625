//! `[store]`: the databases of the host and of its components.

use super::problem::{Invalid, within};
use host_base::secret::Secret;
use serde::Deserialize;
use sqlx::postgres::PgConnectOptions;
use std::{str::FromStr, time::Duration};

/// Settings of the host's database and of every component's.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// A PostgreSQL database for everything durable, which several hosts may
    /// share; none for SQLite files in the data directory. It has a password
    /// in it.
    pub database_url: Option<Secret>,
    /// Connections of one component that read, beside the one that writes.
    pub readers: u32,
    /// How long a transaction waits for its turn.
    pub queue_wait: Duration,
    /// What is left to the host on the disk of the data directory. Components
    /// cannot write when less is free.
    pub disk_reserve_bytes: u64,
    /// The memory for parameters, rows, events and timers of all components
    /// together.
    pub memory_bytes: usize,
}

/// As in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawStoreConfig {
    pub(super) database_url: Option<Secret>,
    readers: Option<u32>,
    queue_wait_ms: Option<u64>,
    disk_reserve_mib: Option<u64>,
    memory_mib: Option<usize>,
}

impl TryFrom<RawStoreConfig> for StoreConfig {
    type Error = Invalid;

    fn try_from(raw: RawStoreConfig) -> Result<Self, Invalid> {
        if let Some(url) = &raw.database_url
            && !is_postgres(url.expose())
        {
            return Err(Invalid::new(
                "store.database_url",
                "it is not a URL such as postgres://user:password@host/database",
            ));
        }
        let reserve_mib = within("store.disk_reserve_mib", raw.disk_reserve_mib, 128, 0..=1_000_000_000)?;
        Ok(Self {
            disk_reserve_bytes: reserve_mib << 20,
            database_url: raw.database_url,
            readers: within("store.readers", raw.readers, 4, 1..=64)?,
            queue_wait: Duration::from_millis(within("store.queue_wait_ms", raw.queue_wait_ms, 5_000, 1..=60_000)?),
            memory_bytes: within("store.memory_mib", raw.memory_mib, 256, 32..=65_536)? << 20,
        })
    }
}

fn is_postgres(url: &str) -> bool {
    ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme))
        && PgConnectOptions::from_str(url).is_ok()
}
