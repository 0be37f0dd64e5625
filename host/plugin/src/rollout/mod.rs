//! Rollouts: changes of the active revisions, one plugin at a time, while
//! everything is in use.
//!
//! `stage` checks an upload and keeps it. `swap` makes it active by one
//! exchange of the registry's snapshot, after the decision is durable. `watch`
//! compares a new revision with the one before it for a while, and takes a
//! revision that traps or misses its deadline too often out of service.

mod activation;
mod cluster_sync;
mod data;
mod exchange;
mod kept;
mod locks;
mod peers;
mod policy;
mod prepare;
mod probe;
mod settings;
mod stage;
mod standing;
mod start;
mod subscriptions;
mod swap;
mod watch;

pub use prepare::Preparer;
pub use settings::Change;
pub use stage::Upload;
pub use start::{BuiltIn, PluginsError};
pub use subscriptions::Subscriptions;

use crate::{
    archive::{Archive, ArchiveError, State},
    loader::LoadError,
    policies::PolicyError,
    registry::{Plugin, Registry, SnapshotError},
};
use host_api::policy::Excess;
use host_bus::BusError;
use host_config::rollout::RolloutConfig;
use host_database::{audit::Audit, cluster::Cluster};
use host_engine::Failure;
use host_store::describe;
use locks::{PluginGuard, PluginLocks};
use peers::Peers;
use std::{sync::Arc, time::Duration};
use watch::Watches;

/// Changes the registry. Each of its fields has its own part of the state.
pub struct Rollout {
    /// Makes revisions that can serve.
    pub preparer: Preparer,
    /// The active revisions.
    pub registry: Arc<Registry>,
    /// The archive.
    pub archive: Archive,
    /// The audit.
    pub audit: Audit,
    subscriptions: Arc<dyn Subscriptions>,
    /// The settings of rollouts.
    config: RolloutConfig,
    locks: PluginLocks,
    watches: Watches,
    peers: Peers,
}

/// The reason why a change was not made. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum RolloutError {
    /// The file is refused.
    #[error(transparent)]
    Refused(#[from] LoadError),
    /// It asks for more than the policy of its plugin allows.
    #[error("{}", list(.0))]
    NotAllowed(Vec<Excess>),
    /// Its signature or its version is not one that the operator accepts.
    #[error("{0}")]
    NotTrusted(String),
    /// The policy was not changed.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// It does not fit the active revision or other plugins.
    #[error("it does not fit to what is active: {}", .0.join("; "))]
    Incompatible(Vec<String>),
    /// Another plugin has its route.
    #[error(transparent)]
    Route(#[from] SnapshotError),
    /// The probe before the swap failed.
    #[error("its probe failed: {0}")]
    Probe(String),
    /// There is no such plugin or revision.
    #[error("there is no {0}")]
    Unknown(String),
    /// The caller may not change this plugin.
    #[error("this token is not for the plugin {0}")]
    Forbidden(String),
    /// The state does not allow it.
    #[error("{0}")]
    State(String),
    /// A value of the request is wrong.
    #[error("{problem}")]
    Value {
        /// The name of the value.
        field: &'static str,
        /// The problem.
        problem: String,
    },
    /// Other hosts cannot make the change.
    #[error("other hosts cannot do it: {}", .0.join("; "))]
    Peers(Vec<String>),
    /// The plugin's database failed.
    #[error("the database of the plugin: {}", describe(.0))]
    Database(host_store::Error),
    /// The archive failed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The subscriptions could not be changed.
    #[error(transparent)]
    Bus(#[from] BusError),
}

impl RolloutError {
    /// The failure of a host that has no room for an instance now. The file is not to blame.
    pub fn full(&self) -> Option<&Failure> {
        match self {
            Self::Refused(LoadError::Start(failure)) if failure.is_full() => Some(failure),
            _ => None,
        }
    }
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

    /// The decision about a plugin.
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

    /// Whether the plugin is active or an operator has ever decided something
    /// about it.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn knows(&self, plugin: &str) -> Result<bool, RolloutError> {
        Ok(self.active(plugin).is_some() || self.archive.state(plugin).await?.is_some())
    }

    /// Waits for the lock of a plugin on all hosts, and catches up with the
    /// decision of the change before.
    async fn lock(self: &Arc<Self>, plugin: &str) -> Result<PluginGuard, RolloutError> {
        let guard = self.locks.everywhere(plugin, self.peers.cluster()).await.map_err(ArchiveError::from)?;
        if guard.is_shared() {
            self.preparer.policies.refresh().await?;
            self.follow(plugin).await?;
        }
        Ok(guard)
    }

    fn active(&self, plugin: &str) -> Option<Plugin> {
        self.registry.snapshot().plugin(plugin).cloned()
    }
}

fn list(excesses: &[Excess]) -> String {
    excesses.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
