//! Changes what is active, one plugin at a time, while everything is in use.
//!
//! An upload is checked and kept (`stage`), and becomes active by one swap
//! of the registry's snapshot (`swap`). What is to be active is durable
//! before it is visible. A new revision is compared with the one before it for
//! a while, and one that traps too often is taken out of service (`watch`).
//! It lives as long as the host.

mod activation;
mod cluster_sync;
mod exchange;
mod locks;
mod peers;
mod prepare;
mod probe;
mod settings;
mod stage;
mod standing;
mod start;
mod subscriptions;
mod swap;
mod watch;

pub use activation::{Activation, ProbeView, SwapReport};
pub use prepare::Preparer;
pub use settings::Change;
pub use stage::Upload;
pub use start::{BuiltIn, PluginsError};
pub use subscriptions::Subscriptions;

use crate::{
    archive::{Archive, ArchiveError, State},
    loader::LoadError,
    registry::{Plugin, Registry, SnapshotError},
};
use host_bus::BusError;
use host_config::rollout::RolloutConfig;
use host_database::{audit::Audit, cluster::Cluster};
use locks::{PluginGuard, PluginLocks};
use peers::Peers;
use std::{sync::Arc, time::Duration};
use watch::Watches;

/// Changes the registry. Each type in it has its own part of a rollout's state.
pub struct Rollout {
    /// Makes revisions that can serve.
    pub preparer: Preparer,
    /// What is active.
    pub registry: Arc<Registry>,
    /// What is kept.
    pub archive: Archive,
    /// Who did what.
    pub audit: Audit,
    subscriptions: Arc<dyn Subscriptions>,
    /// How new revisions are watched.
    config: RolloutConfig,
    locks: PluginLocks,
    watches: Watches,
    peers: Peers,
}

/// Why a change was not made. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum RolloutError {
    /// The file, or what it wants.
    #[error(transparent)]
    Refused(#[from] LoadError),
    /// The old revision, or other plugins, cannot live with it.
    #[error("it does not fit to what is active: {}", .0.join("; "))]
    Incompatible(Vec<String>),
    /// Another plugin has its route.
    #[error(transparent)]
    Route(#[from] SnapshotError),
    /// It was tried before the swap and failed.
    #[error("its probe failed: {0}")]
    Probe(String),
    /// There is no such plugin or revision.
    #[error("there is no {0}")]
    Unknown(String),
    /// Whoever asks may not change this plugin.
    #[error("this token is not for the plugin {0}")]
    Forbidden(String),
    /// It cannot be done in this state.
    #[error("{0}")]
    State(String),
    /// A value of the request.
    #[error("{problem}")]
    Value {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Other hosts cannot do the same.
    #[error("other hosts cannot do it: {}", .0.join("; "))]
    Peers(Vec<String>),
    /// It could not be kept.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The subscriptions could not be changed.
    #[error(transparent)]
    Bus(#[from] BusError),
}

impl Rollout {
    /// Nothing is active yet, see [`Rollout::start`].
    pub fn new(
        preparer: Preparer,
        registry: Arc<Registry>,
        subscriptions: Arc<dyn Subscriptions>,
        audit: Audit,
        config: RolloutConfig,
        cluster: Option<Arc<Cluster>>,
    ) -> Self {
        Self {
            archive: preparer.archive.clone(),
            preparer,
            registry,
            audit,
            subscriptions,
            config,
            locks: PluginLocks::default(),
            watches: Watches::default(),
            peers: Peers::new(cluster),
        }
    }

    /// What is to be active of a plugin.
    ///
    /// # Errors
    /// When there is no such plugin, or the database cannot be read.
    pub async fn state(&self, plugin: &str) -> Result<State, RolloutError> {
        let active = self.active(plugin).map(|plugin| plugin.revision.id.clone());
        match self.archive.state(plugin).await? {
            Some(state) => Ok(State { active: active.or(state.active), ..state }),
            None if active.is_some() => Ok(State { active, ..State::default() }),
            None => Err(RolloutError::Unknown(format!("plugin {plugin}"))),
        }
    }

    /// Waits for the right to change a plugin, here and on all hosts, and
    /// catches up with what the change before has decided.
    async fn lock(self: &Arc<Self>, plugin: &str) -> Result<PluginGuard, RolloutError> {
        let guard = self.locks.everywhere(plugin, self.peers.cluster()).await.map_err(ArchiveError::from)?;
        if guard.is_shared() {
            self.follow(plugin).await?;
        }
        Ok(guard)
    }

    fn active(&self, plugin: &str) -> Option<Plugin> {
        self.registry.snapshot().plugin(plugin).cloned()
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
