//! The lock of a plugin, across all hosts.

use super::Cluster;
use crate::{lock_key, reach, try_advisory_lock};
use sqlx::PgConnection;
use std::time::Duration;
use tokio::time::sleep;

/// The pause between two attempts to take the lock.
const PAUSE: Duration = Duration::from_millis(20);

/// The exclusive right to change a plugin, across all hosts. PostgreSQL releases
/// it when the session ends, for any reason.
pub struct PluginLock {
    _session: PgConnection,
}

impl Cluster {
    /// Waits until no other host changes this plugin. Each attempt is a statement that the
    /// server answers at once, so a connection that falls silent ends the wait.
    ///
    /// # Errors
    /// If the database cannot be reached, or no longer answers.
    pub async fn lock_plugin(&self, plugin: &str) -> sqlx::Result<PluginLock> {
        let mut session = reach::connect(&self.url).await?;
        let key = lock_key(&["plugin", plugin]);
        loop {
            if self.database.unless_silent(try_advisory_lock(&mut session, key)).await? {
                return Ok(PluginLock { _session: session });
            }
            sleep(PAUSE).await;
        }
    }
}
