//! The start: the host activates the revisions that were active when it ended,
//! and the plugins of the binary and of the settings.

use super::{Rollout, RolloutError, prepare::Origin};
use crate::{
    archive::{ArchiveError, Record, Settings, State, Unknown},
    loader::Compiled,
    registry::{Plugin, SnapshotError, Standing},
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
    time::Instant,
};

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
    /// A subscription failed, or a revision that was active.
    #[error(transparent)]
    Rollout(#[from] RolloutError),
}

impl Rollout {
    /// Activates the revisions that were active before, and the built-in
    /// plugins.
    ///
    /// # Errors
    /// A built-in plugin cannot be loaded, or the plugins cannot run together.
    /// If an uploaded revision cannot be loaded, the revision before it takes
    /// over.
    pub async fn start(self: &Arc<Self>, built_in: Vec<BuiltIn>) -> Result<(), PluginsError> {
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
        let loading = names.into_iter().filter_map(|name| {
            let state = states.get(&name).cloned().unwrap_or_default();
            let fresh = fresh.remove(&name);
            let wanted = !state.removed && (fresh.is_some() || state.active.is_some());
            wanted.then(|| self.load(name, state, fresh))
        });
        let loaded = try_join_all(loading.collect::<Vec<_>>()).await?;
        let plugins: BTreeMap<String, Plugin> =
            loaded.into_iter().flatten().map(|plugin| (plugin.revision.name().to_owned(), plugin)).collect();
        for (name, plugin) in &plugins {
            self.subscribe(name, [plugin]).await?;
        }
        self.registry.update(|current| *current = plugins.clone())?;
        for (name, plugin) in plugins.iter().filter(|(_, plugin)| plugin.canary.is_some()) {
            self.begin_watch(name, None, plugin);
        }
        Ok(())
    }

    async fn read(&self, plugin: BuiltIn) -> Result<(Origin, Compiled), PluginsError> {
        let begun = Instant::now();
        let bytes: Arc<[u8]> = Arc::from(plugin.bytes.as_slice());
        let label = plugin.label;
        let refused = |error| PluginsError::Load(label.clone(), RolloutError::Refused(error));
        let compiled = self.preparer.loader.compile(plugin.bytes, None).await.map_err(refused)?;
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
        let revision = self.preparer.load(&record, standing).await?.revision;
        tracing::info!(component = name, revision = id, "loaded");
        Ok(Some(revision))
    }
}
