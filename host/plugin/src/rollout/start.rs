//! The start: the host activates the revisions that were active when it ended,
//! and the plugins of the binary and of the settings.
//!
//! A component can take long to start, because it runs code of its own when it
//! is instantiated. The host waits for the plugins of its binary. It waits for
//! all others only for a while, and then serves without those that are not
//! loaded yet. They begin to serve as soon as they are.

use super::{Rollout, RolloutError, prepare::Origin};
use crate::{
    archive::{ArchiveError, Record, Settings, State, Unknown},
    loader::Compiled,
    registry::{Plugin, SnapshotError, Standing, Starting},
};
use futures::future::try_join_all;
use host_api::{revisions::Source, settings::Grant};
use host_artifact::policy::policy_of;
use host_base::clock::now_ms;
use host_config::ConfigError;
use host_engine::OFFERS;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::{JoinError, JoinHandle};

/// A plugin that needs no upload.
pub struct BuiltIn {
    /// Its name in error messages: the plugin's name or the file.
    pub label: String,
    /// The file.
    pub bytes: Vec<u8>,
    /// Its source.
    pub source: Source,
    /// Its grants. None for all that it imports.
    pub grants: Option<BTreeSet<Grant>>,
}

/// The reason why the plugins cannot run together.
#[derive(Debug, thiserror::Error)]
pub enum PluginsError {
    /// One of them cannot be loaded.
    #[error("{0}")]
    Load(String, #[source] RolloutError),
    /// A file cannot be read.
    #[error("{0}")]
    Read(String, #[source] std::io::Error),
    /// Two have the same name.
    #[error("two plugins are named {0}")]
    Twice(String),
    /// A setting of a plugin is wrong, or no plugin has it.
    #[error("the settings of the plugins are wrong")]
    Config(#[from] ConfigError),
    /// Two want the same route.
    #[error(transparent)]
    Routes(#[from] SnapshotError),
    /// The archive failed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The task that loads one of them panicked.
    #[error("the plugin {0} could not be loaded")]
    Panicked(String, #[source] JoinError),
    /// A subscription failed, or a revision that was active.
    #[error(transparent)]
    Rollout(#[from] RolloutError),
}

/// One plugin that is being loaded.
struct Load {
    name: String,
    task: JoinHandle<Result<Option<Plugin>, PluginsError>>,
    /// The time that the start of the host waits for it.
    bound: Duration,
}

impl Load {
    async fn begin(
        rollout: &Arc<Rollout>,
        name: String,
        state: State,
        fresh: Option<Compiled>,
        bound: Duration,
    ) -> Result<Self, PluginsError> {
        let bound = match rollout.is_of_the_binary(&name, &state).await? {
            true => Duration::MAX,
            false => bound,
        };
        let task = tokio::spawn({
            let (rollout, name) = (rollout.clone(), name.clone());
            async move { rollout.load(name, state, fresh).await }
        });
        Ok(Self { name, task, bound })
    }

    /// The plugin. None if it cannot be loaded, or not within the bound. It is
    /// put in place later then.
    async fn wait(mut self, rollout: &Arc<Rollout>) -> Result<Option<Plugin>, PluginsError> {
        match tokio::time::timeout(self.bound, &mut self.task).await {
            Ok(loaded) => {
                let loaded = match loaded {
                    Ok(loaded) => loaded,
                    Err(error) => Err(PluginsError::Panicked(self.name.clone(), error)),
                };
                if !matches!(loaded, Ok(Some(_))) {
                    rollout.registry.end_start(&self.name);
                }
                loaded
            }
            Err(_) => {
                tracing::warn!(component = self.name, "the component takes long to start, the host serves without it");
                tokio::spawn(self.put_late(rollout.clone()));
                Ok(None)
            }
        }
    }

    async fn put_late(self, rollout: Arc<Rollout>) {
        let component = self.name;
        let put = match self.task.await {
            Ok(Ok(Some(plugin))) => rollout.put_late(&component, plugin).await.map_err(PluginsError::from),
            Ok(Ok(None)) => Ok(()),
            Ok(Err(error)) => Err(error),
            Err(error) => Err(PluginsError::Panicked(component.clone(), error)),
        };
        rollout.registry.end_start(&component);
        if let Err(error) = put {
            host_telemetry::metrics::forget_component(&component);
            let error: &dyn std::error::Error = &error;
            tracing::error!(component, error, "the component that takes long to start cannot be loaded");
        }
    }
}

impl Rollout {
    /// Activates the revisions that were active before, and the built-in
    /// plugins.
    ///
    /// # Errors
    /// A built-in plugin cannot be loaded, or the plugins cannot run together.
    /// If an uploaded revision cannot be loaded, the revision before it takes
    /// over.
    pub async fn start(self: &Arc<Self>, built_in: Vec<BuiltIn>, bound: Duration) -> Result<(), PluginsError> {
        let states = self.archive.states().await?;
        let compiled = try_join_all(built_in.into_iter().map(|plugin| self.read(plugin))).await?;
        let mut fresh: BTreeMap<String, Compiled> = BTreeMap::new();
        for (origin, compiled) in compiled {
            let name = origin.record.plugin.clone();
            self.preparer.add_origin(origin);
            if fresh.insert(name.clone(), compiled).is_some() {
                return Err(PluginsError::Twice(name));
            }
        }
        let declared = fresh.iter().map(|(name, compiled)| (name.as_str(), &compiled.artifact.manifest.config));
        self.preparer.loader.plugins.check_all_used(declared)?;
        self.carry_over(&states).await?;

        let names: BTreeSet<String> = fresh.keys().chain(states.keys()).cloned().collect();
        let mut loads = Vec::new();
        for name in names {
            let state = states.get(&name).cloned().unwrap_or_default();
            let fresh = fresh.remove(&name);
            if !state.removed && (fresh.is_some() || state.active.is_some()) {
                loads.push(Load::begin(self, name, state, fresh, bound).await?);
            }
        }
        let loaded = try_join_all(loads.into_iter().map(|load| load.wait(self))).await?;
        let plugins: BTreeMap<String, Plugin> =
            loaded.into_iter().flatten().map(|plugin| (plugin.revision.name().to_owned(), plugin)).collect();
        for (name, plugin) in &plugins {
            self.subscribe(name, [plugin]).await?;
        }
        self.registry.update(|current| current.extend(plugins.clone()))?;
        for (name, plugin) in plugins.iter().filter(|(_, plugin)| plugin.canary.is_some()) {
            self.begin_watch(name, None, plugin);
        }
        Ok(())
    }

    /// Whether the binary's own revision of a plugin is to serve.
    async fn is_of_the_binary(&self, name: &str, state: &State) -> Result<bool, PluginsError> {
        if self.preparer.origin(name).is_none_or(|origin| origin.record.source != Source::Bundled) {
            return Ok(false);
        }
        let Some(active) = &state.active else { return Ok(true) };
        Ok(self.archive.record(name, active).await?.is_none_or(|record| record.source != Source::Upload))
    }

    /// Puts a plugin in place that was loaded after the start, unless an operator
    /// has decided something else in the meantime.
    async fn put_late(self: &Arc<Self>, name: &str, plugin: Plugin) -> Result<(), RolloutError> {
        let _guard = self.locks.here(name).await;
        let state = self.archive.state(name).await?.unwrap_or_default();
        if state.removed || self.registry.snapshot().starting(name).is_none() {
            tracing::info!(
                component = name,
                "the host drops the started component, an operator has removed or replaced it"
            );
            return Ok(());
        }
        let mut plugin = Plugin { standing: Standing::of(&state), ..plugin };
        let policy = self.preparer.policy(name);
        if plugin.revisions().any(|revision| revision.policy != policy) {
            plugin = self.load_again(&plugin).await?;
        }
        self.subscribe(name, [&plugin]).await?;
        self.registry.update(|plugins| drop(plugins.insert(name.to_owned(), plugin.clone())))?;
        if plugin.canary.is_some() {
            self.begin_watch(name, None, &plugin);
        }
        match self.peers.cluster() {
            Some(_) => self.follow(name).await,
            None => Ok(()),
        }
    }

    async fn read(&self, plugin: BuiltIn) -> Result<(Origin, Compiled), PluginsError> {
        let begun = Instant::now();
        let bytes: Arc<[u8]> = Arc::from(plugin.bytes.as_slice());
        let label = plugin.label;
        let refused = |error| PluginsError::Load(label.clone(), RolloutError::Refused(error));
        let loader = &self.preparer.loader;
        let artifact = loader.read(plugin.bytes, None).await.map_err(refused)?;
        let compiled = loader.compile(artifact, plugin.source).await.map_err(refused)?;
        let (artifact, milliseconds) = (&compiled.artifact, begun.elapsed().as_millis() as u64);
        tracing::debug!(component = artifact.manifest.name, milliseconds, cached = compiled.from_cache, "compiled");
        let version = artifact.manifest.version.to_string();
        let settings = Settings::default();
        let record = Record {
            plugin: artifact.manifest.name.clone(),
            id: Record::id(&version, &artifact.digest, None, &settings),
            digest: artifact.digest.clone(),
            size_bytes: bytes.len(),
            version,
            source: plugin.source,
            manifest: None,
            settings,
            uploaded_ms: now_ms(),
            uploaded_by: String::new(),
            signature: None,
            unknown: Unknown::new(),
        };
        let grants = plugin.grants.unwrap_or_else(|| OFFERS.grants_of(&compiled.imports));
        self.preparer.policies.add_built_in(&record.plugin, policy_of(&compiled.artifact.manifest, grants));
        // An administrator may have narrowed the policy later. The settings file, though, names its grants on purpose.
        if !self.preparer.policies.is_set(&record.plugin) {
            let allowed = self.preparer.require_allowed(&compiled, &record);
            allowed.map_err(|error| PluginsError::Load(label.clone(), error))?;
        }
        Ok((Origin { label, record, bytes }, compiled))
    }

    /// The plugin with its active revisions. None if its uploads cannot be
    /// loaded and it is not built in.
    async fn load(
        self: &Arc<Self>,
        name: String,
        state: State,
        fresh: Option<Compiled>,
    ) -> Result<Option<Plugin>, PluginsError> {
        let standing = Standing::of(&state);
        let candidates = [state.active.as_ref(), state.previous.as_ref()];
        for id in candidates.into_iter().flatten() {
            match self.load_kept(&name, id, standing).await {
                Ok(Some(revision)) => {
                    let canary = match &state.canary {
                        Some(trial) => {
                            let revision = self.load_kept(&name, &trial.revision, standing).await.ok().flatten();
                            revision.map(|revision| trial.of(revision))
                        }
                        None => None,
                    };
                    return Ok(Some(Plugin { revision, canary, standing }));
                }
                // The revision is built in, perhaps in another version.
                Ok(None) => break,
                Err(error) => {
                    tracing::error!(component = name, revision = id, %error, "the uploaded revision cannot be loaded, the revision before it takes over")
                }
            }
        }
        let (Some(compiled), Some(origin)) = (fresh, self.preparer.origin(&name)) else {
            tracing::error!(component = name, "no revision of the component can be loaded");
            return Ok(None);
        };
        let id = Record::id(&origin.record.version, &origin.record.digest, None, &state.settings);
        let record = Record { id, settings: state.settings.clone(), ..origin.record };
        let manifest = compiled.artifact.manifest.clone();
        self.registry.begin_start(Starting { record: record.clone(), manifest });
        let prepared = self.preparer.prepare(compiled, &record, standing).await;
        let revision = prepared.map_err(|error| PluginsError::Load(origin.label, error))?.revision;
        self.archive.add(&record).await?;
        if state.active.is_some() && state.active.as_ref() != Some(&record.id) {
            let state = State { active: Some(record.id), previous: None, canary: None, ..state };
            self.archive.set_state(&name, &state).await?;
        }
        tracing::info!(component = name, revision = revision.id, "loaded");
        Ok(Some(Plugin { revision, canary: None, standing }))
    }

    /// A revision that was uploaded. None if the id belongs to a built-in
    /// revision.
    async fn load_kept(
        &self,
        name: &str,
        id: &str,
        standing: Standing,
    ) -> Result<Option<Arc<crate::Revision>>, RolloutError> {
        let record = self.preparer.record(name, id).await?;
        if record.source != Source::Upload && self.preparer.origin(name).is_some() {
            return Ok(None);
        }
        let artifact = self.preparer.read(&record).await?;
        self.registry.begin_start(Starting { record: record.clone(), manifest: artifact.manifest.clone() });
        let compiled = self.preparer.loader.compile(artifact, record.source).await?;
        let revision = self.preparer.prepare(compiled, &record, standing).await?.revision;
        tracing::info!(component = name, revision = id, "loaded");
        Ok(Some(revision))
    }
}
