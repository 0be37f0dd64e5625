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
mod probe;
mod settings;
mod stage;
mod start;
mod subscriptions;
mod swap;
mod watch;

pub use activation::{Activation, ProbeView, SwapReport};
pub use settings::Change;
pub use stage::Upload;
pub use start::{BuiltIn, PluginsError};
pub use subscriptions::Subscriptions;

use super::{
    Revision,
    archive::{Archive, ArchiveError, Record, Settings, State},
    loader::{LoadError, Loader},
    registry::{Plugin, Registry, SnapshotError},
};
use host_artifact::{Artifact, permissions::Grants};
use host_bus::BusError;
use host_config::{plugins::Grant, rollout::Rollout as Rules};
use host_database::{
    audit::Audit,
    cluster::{self, Cluster},
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::OwnedMutexGuard, task::AbortHandle};

/// What changes the registry.
pub struct Rollout {
    /// Makes revisions of files.
    pub loader: Loader,
    /// What is active.
    pub registry: Arc<Registry>,
    /// Delivers events and timers.
    subscriptions: Arc<dyn Subscriptions>,
    /// What is kept.
    pub archive: Archive,
    /// How new revisions are watched.
    pub rules: Rules,
    /// Who did what.
    pub audit: Audit,
    /// What the binary and the settings bring, by name; filled at the start.
    built_in: Mutex<BTreeMap<String, Origin>>,
    turns: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
    watches: Mutex<BTreeMap<String, AbortHandle>>,
    /// The other hosts, if the database is shared.
    cluster: Option<Arc<Cluster>>,
    /// Revisions that another host is about to activate.
    prepared: Mutex<BTreeMap<String, Vec<Arc<Revision>>>>,
    /// Why this host does not run what was decided, by plugin.
    behind: Mutex<BTreeMap<String, String>>,
    /// The revisions decided on in whose place this host runs its own.
    instead_of: Mutex<BTreeMap<String, String>>,
}

/// The right to change a plugin.
struct Turn {
    _here: OwnedMutexGuard<()>,
    _everywhere: Option<cluster::Turn>,
}

/// A built-in plugin, once its file has been read.
#[derive(Clone)]
struct Origin {
    /// What to call it when it is wrong.
    label: String,
    record: Record,
    bytes: Arc<[u8]>,
    grants: BTreeSet<Grant>,
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
        loader: Loader,
        registry: Arc<Registry>,
        subscriptions: Arc<dyn Subscriptions>,
        archive: Archive,
        rules: Rules,
        audit: Audit,
        cluster: Option<Arc<Cluster>>,
    ) -> Self {
        Self {
            loader,
            registry,
            subscriptions,
            archive,
            rules,
            audit,
            built_in: Mutex::default(),
            turns: Mutex::default(),
            watches: Mutex::default(),
            cluster,
            prepared: Mutex::default(),
            behind: Mutex::default(),
            instead_of: Mutex::default(),
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

    /// What a plugin may import.
    pub fn grants(&self, plugin: &str, settings: &Settings) -> BTreeSet<Grant> {
        match &settings.grants {
            Some(grants) => grants.clone(),
            None => self.origin(plugin).map(|origin| origin.grants).unwrap_or_default(),
        }
    }

    /// Changes of one plugin happen one after the other, on all hosts, and each
    /// begins with what the one before it has decided.
    async fn turn(self: &Arc<Self>, plugin: &str) -> Result<Turn, RolloutError> {
        let Some(cluster) = &self.cluster else {
            return Ok(Turn { _here: self.own_turn(plugin).await, _everywhere: None });
        };
        // The other hosts first: who waits for them holds up nobody here.
        let everywhere = cluster.turn(plugin).await.map_err(ArchiveError::from)?;
        let turn = Turn { _here: self.own_turn(plugin).await, _everywhere: Some(everywhere) };
        self.follow(plugin).await?;
        Ok(turn)
    }

    /// On this host, whoever decides.
    async fn own_turn(&self, plugin: &str) -> OwnedMutexGuard<()> {
        let turn = self.turns.lock().entry(plugin.to_owned()).or_default().clone();
        turn.lock_owned().await
    }

    fn active(&self, plugin: &str) -> Option<Plugin> {
        self.registry.snapshot().plugin(plugin).cloned()
    }

    fn origin(&self, plugin: &str) -> Option<Origin> {
        self.built_in.lock().get(plugin).cloned()
    }

    fn granted(&self, record: &Record) -> Grants {
        Grants::Named(self.grants(&record.plugin, &record.settings))
    }

    /// The file of a revision, from the binary or from the archive.
    async fn bytes(&self, record: &Record) -> Result<Vec<u8>, RolloutError> {
        match self.origin(&record.plugin) {
            Some(origin) if origin.record.digest == record.digest => Ok(origin.bytes.to_vec()),
            _ => Ok(self.archive.file(&record.digest).await?),
        }
    }

    /// The file of the active revision, for comparison.
    async fn active_artifact(&self, plugin: &str) -> Result<Option<Artifact>, RolloutError> {
        let Some(active) = self.active(plugin) else { return Ok(None) };
        let Some(record) = self.archive.record(plugin, &active.revision.id).await? else { return Ok(None) };
        let bytes = self.bytes(&record).await?;
        Ok(Some(Artifact::parse(bytes, record.manifest.as_deref()).map_err(LoadError::from)?))
    }

    /// The named revision, or why there is none.
    async fn record(&self, plugin: &str, id: &str) -> Result<Record, RolloutError> {
        let unknown = || RolloutError::Unknown(format!("revision {id} of {plugin}"));
        self.archive.record(plugin, id).await?.ok_or_else(unknown)
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
