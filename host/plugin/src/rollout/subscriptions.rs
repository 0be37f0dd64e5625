//! The subscriptions of components, as a rollout changes them.

use super::{Rollout, RolloutError};
use crate::registry::Plugin;
use async_trait::async_trait;
use host_bus::{BusError, Subjects};
use host_store::Database;
use std::{collections::BTreeSet, sync::Arc};

/// Delivers events and timers to components.
#[async_trait]
pub trait Subscriptions: Send + Sync + 'static {
    /// Delivers the events of these subjects, and the component's timers. For a
    /// component that is watched already this changes the subjects only.
    ///
    /// # Errors
    /// The bus cannot be reached. Nothing has changed then.
    async fn watch(&self, component: &str, database: Arc<dyn Database>, subjects: Subjects) -> Result<(), BusError>;

    /// Stops all deliveries to a component.
    ///
    /// # Errors
    /// The bus cannot be reached. The bus would still deliver events to this
    /// component.
    async fn unwatch(&self, component: &str) -> Result<(), BusError>;

    /// Replaces the subjects that other hosts subscribe to for a component.
    async fn set_subjects_of_other_hosts(&self, component: &str, subjects: BTreeSet<String>);
}

impl Rollout {
    /// Subscribes a plugin to the subjects of all these revisions.
    pub(super) async fn subscribe(
        &self,
        name: &str,
        plugins: impl IntoIterator<Item = &Plugin>,
    ) -> Result<(), RolloutError> {
        let (mut this_host, mut retained, mut database) = (BTreeSet::new(), BTreeSet::new(), None);
        for plugin in plugins {
            this_host.append(&mut plugin.subjects());
            retained.append(&mut plugin.retained_subjects());
            database = plugin.revisions().find_map(|revision| revision.database.clone()).or(database);
        }
        // Without a database there are neither events nor timers.
        let Some(database) = database else { return Ok(self.subscriptions.unwatch(name).await?) };
        let from_now = this_host.difference(&retained).cloned().collect();
        let other_hosts = self.peers.subjects_of_other_hosts(name).await?;
        let subjects = Subjects { this_host, other_hosts, from_now };
        Ok(self.subscriptions.watch(name, database, subjects).await?)
    }
}
