//! The lock of a plugin, across all hosts.

use super::Cluster;
use crate::{lock_key, reach};
use sqlx::PgConnection;

/// The exclusive right to change a plugin, across all hosts. PostgreSQL releases
/// it when the session ends, for any reason.
pub struct PluginLock {
    _session: PgConnection,
}

impl Cluster {
    /// Waits until no other host changes this plugin.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn lock_plugin(&self, plugin: &str) -> sqlx::Result<PluginLock> {
        let mut session = reach::connect(&self.url).await?;
        sqlx::query("SELECT pg_advisory_lock($1)").bind(lock_key(&["plugin", plugin])).execute(&mut session).await?;
        Ok(PluginLock { _session: session })
    }
}
