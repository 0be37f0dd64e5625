//! The standing of a plugin: pause, resume and removal.

use super::{Rollout, RolloutError, exchange::drain};
use crate::{
    archive::State,
    registry::{Plugin, Standing},
};
use std::{sync::Arc, time::Duration};

/// The longest time for which a removal waits for calls under way. Later the host waits
/// for them without the operator.
const REMOVAL_WAIT: Duration = Duration::from_secs(1);

impl Rollout {
    /// Refuses a plugin's requests and keeps its events and timers, until
    /// [`resume`](Self::resume).
    ///
    /// # Errors
    /// See [`RolloutError`].
    pub async fn pause(self: &Arc<Self>, plugin: &str) -> Result<(), RolloutError> {
        let _guard = self.lock(plugin).await?;
        let state = self.in_use_or_starting(plugin).await?;
        self.set_standing(plugin, Standing::Paused, &State { paused: true, ..state }).await
    }

    /// Lets it serve after a pause or a quarantine.
    ///
    /// # Errors
    /// See [`RolloutError`].
    pub async fn resume(self: &Arc<Self>, plugin: &str) -> Result<(), RolloutError> {
        let _guard = self.lock(plugin).await?;
        let state = self.in_use_or_starting(plugin).await?;
        self.set_standing(plugin, Standing::Serving, &State { paused: false, quarantined: None, ..state }).await
    }

    /// Removes a plugin. Its database and its revisions stay. If it was never
    /// uploaded, its policy is deleted.
    ///
    /// # Errors
    /// See [`RolloutError`].
    pub async fn remove(self: &Arc<Self>, plugin: &str) -> Result<(), RolloutError> {
        let _guard = self.lock(plugin).await?;
        if self.is_expected(plugin).await? {
            self.preparer.policies.forget(plugin).await?;
            return Ok(self.archive.forget_state(plugin).await?);
        }
        self.remove_now(plugin).await
    }

    /// Removes a plugin whose lock the caller holds.
    pub(super) async fn remove_now(self: &Arc<Self>, plugin: &str) -> Result<(), RolloutError> {
        let (before, state) = (self.active(plugin), self.in_use_or_starting(plugin).await?);
        let previous = state.active.clone();
        let state = State { active: None, canary: None, previous, removed: true, ..state };
        self.archive.set_state(plugin, &state).await?;
        self.registry.end_start(plugin);
        let take_away = async {
            match &before {
                Some(before) => self.take_away(plugin, before).await,
                None => {
                    host_telemetry::metrics::forget_component(plugin);
                    Ok(())
                }
            }
        };
        let (gone, _) = tokio::join!(take_away, self.peers.tell(plugin, &state, None));
        gone
    }

    async fn in_use_or_starting(&self, plugin: &str) -> Result<State, RolloutError> {
        match self.registry.snapshot().starting(plugin) {
            Some(_) => self.state(plugin).await,
            None => Ok(self.in_use(plugin).await?.1),
        }
    }

    /// Takes a plugin out of service on this host.
    pub(super) async fn take_away(&self, plugin: &str, before: &Plugin) -> Result<(), RolloutError> {
        self.registry.update(|plugins| drop(plugins.remove(plugin)))?;
        self.watches.end(plugin);
        self.subscriptions.unwatch(plugin).await?;
        let revisions: Vec<_> = before.revisions().cloned().collect();
        let (limit, registry, plugin) = (self.config.drain, self.registry.clone(), plugin.to_owned());
        let drained = tokio::spawn(async move {
            for revision in revisions {
                drain(&revision, revision.call_counts(), limit).await;
                revision.retire();
            }
            // Somebody may have uploaded it again.
            if registry.snapshot().plugin(&plugin).is_none() {
                host_telemetry::metrics::forget_component(&plugin);
            }
        });
        if tokio::time::timeout(REMOVAL_WAIT, drained).await.is_err() {
            tracing::debug!("calls of a removed plugin go on");
        }
        Ok(())
    }

    pub(super) async fn set_standing(
        &self,
        plugin: &str,
        standing: Standing,
        state: &State,
    ) -> Result<(), RolloutError> {
        self.archive.set_state(plugin, state).await?;
        self.registry.update(|plugins| {
            if let Some(plugin) = plugins.get_mut(plugin) {
                plugin.standing = standing;
            }
        })?;
        self.peers.tell(plugin, state, None).await;
        Ok(())
    }

    /// Whether there is nothing of a plugin but its policy.
    async fn is_expected(&self, plugin: &str) -> Result<bool, RolloutError> {
        let there = self.active(plugin).is_some() || !self.archive.records(plugin).await?.is_empty();
        let expected = self.preparer.policies.is_set(plugin) || self.archive.state(plugin).await?.is_some();
        Ok(!there && expected)
    }
}
