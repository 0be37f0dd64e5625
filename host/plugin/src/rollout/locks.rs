//! Changes of one plugin happen one after the other, on all hosts.

use host_database::cluster::{Cluster, PluginLock};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::OwnedMutexGuard;

/// A lock for each plugin that was ever changed.
#[derive(Default)]
pub(super) struct PluginLocks(Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>);

/// The right to change a plugin, until it is dropped.
pub(super) struct PluginGuard {
    _here: OwnedMutexGuard<()>,
    everywhere: Option<PluginLock>,
}

impl PluginGuard {
    /// Whether other hosts could have changed the plugin before.
    pub(super) fn is_shared(&self) -> bool {
        self.everywhere.is_some()
    }
}

impl PluginLocks {
    /// Waits for the right on all hosts.
    pub(super) async fn everywhere(&self, plugin: &str, cluster: Option<&Arc<Cluster>>) -> sqlx::Result<PluginGuard> {
        // The other hosts first: a change that waits for them delays nothing here.
        let everywhere = match cluster {
            Some(cluster) => Some(cluster.lock_plugin(plugin).await?),
            None => None,
        };
        Ok(PluginGuard { _here: self.here(plugin).await, everywhere })
    }

    /// Waits for the right on this host, whichever host decides.
    pub(super) async fn here(&self, plugin: &str) -> OwnedMutexGuard<()> {
        let lock = self.0.lock().entry(plugin.to_owned()).or_default().clone();
        lock.lock_owned().await
    }
}
