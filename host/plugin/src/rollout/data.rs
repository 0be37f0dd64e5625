//! The data of a plugin: a purge deletes it with all else of a plugin that is out
//! of service, a reset gives a plugin that serves an empty database.

use super::{Rollout, RolloutError, peers::wanted, swap::How};
use crate::archive::State;
use host_api::swap::SwapReport;
use std::sync::Arc;

impl Rollout {
    /// Deletes everything of an uploaded plugin that is out of service: its
    /// database, its revisions, its settings and its policy.
    ///
    /// # Errors
    /// The plugin is in service or built in; see [`RolloutError`].
    pub async fn purge(self: &Arc<Self>, plugin: &str) -> Result<(), RolloutError> {
        let _guard = self.lock(plugin).await?;
        if self.preparer.origin(plugin).is_some() {
            return Err(RolloutError::State(format!(
                "{plugin} comes with the host's program or settings; only an uploaded plugin can be purged"
            )));
        }
        let state = self.archive.state(plugin).await?;
        if self.active(plugin).is_some() || state.as_ref().and_then(wanted).is_some() {
            return Err(RolloutError::State(format!(
                "{plugin} is in service; take it out first: ticketing plugin remove {plugin}"
            )));
        }
        let has_database = self.has_database(plugin).await?;
        let is_kept = !self.archive.records(plugin).await?.is_empty() || self.preparer.policies.is_set(plugin);
        if state.is_none() && !has_database && !is_kept {
            return Err(RolloutError::Unknown(format!("plugin {plugin}")));
        }
        if has_database {
            self.empty_database(plugin).await?;
        }
        for digest in self.archive.forget(plugin).await? {
            self.preparer.loader.forget(&digest);
        }
        self.preparer.policies.forget(plugin).await?;
        self.peers.tell(plugin, &State::default(), None).await;
        tracing::info!(component = plugin, "purged");
        Ok(())
    }

    /// Takes a plugin out of service, deletes all that it has stored, and lets
    /// the same revision serve with an empty database.
    ///
    /// # Errors
    /// The plugin is not active; see [`RolloutError`]. If the revision cannot
    /// serve with an empty database, it stays out of service.
    pub async fn reset(self: &Arc<Self>, plugin: &str) -> Result<SwapReport, RolloutError> {
        let _guard = self.lock(plugin).await?;
        let (before, _) = self.in_use(plugin).await?;
        let record = self.preparer.record(plugin, &before.revision.id).await?;
        self.remove_now(plugin).await?;
        if self.has_database(plugin).await? {
            self.empty_database(plugin).await?;
        }
        let state = self.state(plugin).await?;
        self.swap(&record, state, None, How::Back).await
    }

    async fn has_database(&self, plugin: &str) -> Result<bool, RolloutError> {
        self.preparer.loader.databases.exists(plugin).await.map_err(RolloutError::Database)
    }

    async fn empty_database(&self, plugin: &str) -> Result<(), RolloutError> {
        let database = self.preparer.loader.databases.open(plugin).await.map_err(RolloutError::Database)?;
        database.empty().await.map_err(RolloutError::Database)
    }
}
