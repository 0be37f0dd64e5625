//! Makes a revision of a file's bytes: it parses, checks, compiles, migrates
//! and instantiates. No request waits for any of this.

mod load_error;

pub use load_error::LoadError;

use super::{
    archive::{Record, Settings},
    budgets::PluginBudgets,
    call_stats::{Alarm, CallCounter},
    disk_quotas::disk_amount,
    figures::Figures,
    revision::{OwnEndpoint, Revision},
};
use host_api::{
    policy::{Excess, Policy},
    revisions::Source,
};
use host_artifact::{
    ComponentKind, Footprint,
    artifact::Artifact,
    compatibility::Interfaces,
    manifest::{Manifest, ManifestError, Requests},
    permissions,
    policy::Rights,
};
use host_base::SharedByName;
use host_capabilities::plugin_calls::CallablePlugins;
use host_config::{
    plugins::{Grant, PluginsConfig, Setting},
    quotas::QuotasConfig,
    rollout::RolloutConfig,
};
use host_engine::{Admission, Code, CompileCache, Compiler, ComponentContext, Engine, Linked, OFFERS, Pool, Services};
use host_sql::Applied;
use host_store::{ComponentSql, Database, Databases, set_memory_limit};
use host_telemetry::RevisionSeries;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock, Once},
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// Files that are read at the same time, and compilations at the same time.
/// Each compilation uses all processors.
static READS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(2));
static COMPILATIONS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(2));

/// Loads plugins.
pub struct Loader {
    /// Compiles and links.
    pub engine: Arc<Engine>,
    /// The compile cache.
    pub cache: CompileCache,
    /// Compiles what operators upload.
    pub compiler: Compiler,
    /// Opens a plugin's database, once.
    pub databases: Arc<dyn Databases>,
    /// The services behind the capabilities.
    pub services: Services,
    /// Turns of all components together.
    pub admission: Arc<Admission>,
    /// The answers that clients have not taken yet.
    pub unsent: PluginBudgets,
    /// The memories of guests.
    pub memory: PluginBudgets,
    /// The figures of plugins.
    pub figures: SharedByName<Figures>,
    /// The longest wait for a turn.
    pub queue_wait: Duration,
    /// What a plugin may occupy on disk, unless its policy says otherwise.
    pub quotas: QuotasConfig,
    /// The settings of plugins in the host's own settings.
    pub plugins: PluginsConfig,
    /// The limits at which a revision raises the alarm.
    pub rollout: RolloutConfig,
    /// Receives the alarm.
    pub alarm: Alarm,
}

/// A compiled file. It has had no effect yet.
pub struct Compiled {
    /// The file.
    pub artifact: Artifact,
    /// The names of its imports.
    pub imports: Vec<String>,
    /// The names of its exports.
    pub exports: Vec<String>,
    /// The time of the compiler, or of reading the cache.
    pub took: Duration,
    /// Whether the compiled code came from the cache.
    pub from_cache: bool,
    code: Code,
}

impl Compiled {
    fn new(artifact: Artifact, code: Code, begun: Instant, from_cache: bool) -> Self {
        let (imports, exports) = (code.imports(), code.exports());
        Self { artifact, imports, exports, took: begun.elapsed(), from_cache, code }
    }
}

/// Runs work that takes long on a thread for such work.
async fn off_the_async_threads<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
) -> Result<T, LoadError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| LoadError::Host(std::io::Error::other(error)))?
}

/// The part of a compiled file that depends on the operator.
struct Fitted {
    program: Linked,
    config: BTreeMap<String, Setting>,
    /// With the operator's limits, and without the requests that the policy does
    /// not allow.
    manifest: Manifest,
}

impl Loader {
    /// Reads a file without compiling it. `manifest` replaces the manifest in the
    /// file.
    ///
    /// # Errors
    /// The reason why it is not a plugin.
    pub async fn read(&self, bytes: Vec<u8>, manifest: Option<&str>) -> Result<Artifact, LoadError> {
        let manifest = manifest.map(str::to_owned);
        let _turn = READS.acquire().await;
        off_the_async_threads(move || Ok(Artifact::parse(bytes, manifest.as_deref())?)).await
    }

    /// Compiles a file, or takes its code from the cache. A file that an operator
    /// has uploaded is compiled within limits. The plugins of the binary and of
    /// the settings are compiled in this process, on all processors, because
    /// whoever chose them also chose the limits.
    ///
    /// # Errors
    /// The reason why it cannot be compiled.
    pub async fn compile(&self, artifact: Artifact, source: Source) -> Result<Compiled, LoadError> {
        let begun = Instant::now();
        let kind = ComponentKind::of(&artifact.bytes);
        let (engine, cache, digest) = (self.engine.clone(), self.cache.clone(), artifact.digest.clone());
        if let Some(code) = off_the_async_threads(move || Ok(engine.cached(&cache, &digest, kind))).await? {
            return Ok(Compiled::new(artifact, code, begun, true));
        }
        let _turn = COMPILATIONS.acquire().await;
        let artifact = off_the_async_threads(move || {
            // The linker would refuse interfaces that differ from the host's,
            // but would not name the difference.
            Interfaces::read_and_check(&artifact.bytes)?;
            Ok(artifact)
        })
        .await?;
        match &self.compiler {
            Compiler::Child(compiler) if source == Source::Upload => {
                let (digest, bytes) = (artifact.digest.as_str(), artifact.bytes.as_slice());
                let code = self.engine.compile_in_child(&self.cache, digest, bytes, kind, compiler).await?;
                Ok(Compiled::new(artifact, code, begun, false))
            }
            _ => {
                let (engine, cache) = (self.engine.clone(), self.cache.clone());
                off_the_async_threads(move || {
                    let code = engine.compile_here(&cache, &artifact.digest, &artifact.bytes, kind)?;
                    Ok(Compiled::new(artifact, code, begun, false))
                })
                .await
            }
        }
    }

    /// Checks that an instance can begin within the limits that these settings
    /// and the policy give.
    ///
    /// # Errors
    /// Names the limit.
    pub fn check_footprint(&self, artifact: &Artifact, policy: &Policy, settings: &Settings) -> Result<(), LoadError> {
        self.fits(&artifact.manifest, artifact.footprint, policy, settings).map(drop)
    }

    /// The manifest as the settings and the policy leave it, if an instance can
    /// begin within its limits.
    fn fits(
        &self,
        manifest: &Manifest,
        footprint: Footprint,
        policy: &Policy,
        settings: &Settings,
    ) -> Result<Manifest, LoadError> {
        let rights = Rights { plugin: &manifest.name, policy };
        let wanted = self.with_limits(manifest, settings)?;
        self.engine.check_footprint(&footprint, &wanted.limits)?;
        let allowed = rights.narrow(&wanted);
        let begins = self.engine.check_footprint(&footprint, &allowed.limits);
        begins.map_err(|error| LoadError::Ceiling {
            command: rights.command_to_raise(error.setting.trim_start_matches("limits."), error.found),
            error,
        })?;
        Ok(allowed)
    }

    /// Checks a compiled file against the host and the settings.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn check(&self, compiled: &Compiled, policy: &Policy, settings: &Settings) -> Result<(), LoadError> {
        self.fit(compiled, policy, settings).map(drop)
    }

    /// The requests of a file, with these settings, that the policy does not
    /// allow.
    ///
    /// # Errors
    /// A limit of the settings is out of its bounds.
    pub fn excesses(
        &self,
        compiled: &Compiled,
        policy: &Policy,
        settings: &Settings,
    ) -> Result<Vec<Excess>, LoadError> {
        let manifest = self.with_limits(&compiled.artifact.manifest, settings)?;
        let rights = Rights { plugin: &manifest.name, policy };
        Ok(rights.excesses(&manifest, &OFFERS.grants_of(&compiled.imports)))
    }

    /// Runs the plugin's migrations and makes a revision. Returns the names of
    /// the migrations that ran.
    ///
    /// # Errors
    /// An import or setting that does not fit, a migration that failed, or a
    /// component that did not start.
    pub async fn prepare(
        &self,
        compiled: Compiled,
        record: &Record,
        policy: Arc<Policy>,
        quotas: QuotasConfig,
    ) -> Result<(Arc<Revision>, Vec<String>), LoadError> {
        let fitted = self.fit(&compiled, &policy, &record.settings)?;
        let migrations = &compiled.artifact.migrations;
        let uses_database = permissions::uses_store(&compiled.imports) || !migrations.is_empty();
        let may_use_store = policy.grants.contains(&Grant::Store);
        // The host keeps the keys of requests in the component's database.
        let keeps_keys = fitted.manifest.has_idempotent_routes();
        let (database, migrated) = match (may_use_store && uses_database) || keeps_keys {
            true => {
                let database = self.databases.open(&record.plugin).await.map_err(LoadError::Database)?;
                database.set_quota(disk_amount(quotas));
                self.services.bus.limit_dead_letters(&record.plugin, quotas.dead_letters);
                let migrated = match may_use_store {
                    true => database.migrate(migrations).await?,
                    false => Vec::new(),
                };
                set_memory_limit(database.memory(), fitted.manifest.limits.memory_mib);
                (Some(database), migrated)
            }
            false => (None, Vec::new()),
        };
        for name in &migrated {
            tracing::info!(component = record.plugin, revision = record.id, migration = name, "migrated");
        }
        Ok((self.revision(compiled, fitted, record, policy, database).await?, migrated))
    }

    fn fit(&self, compiled: &Compiled, policy: &Policy, settings: &Settings) -> Result<Fitted, LoadError> {
        let manifest = &compiled.artifact.manifest;
        let footprint = compiled.artifact.footprint.max(compiled.code.footprint());
        let narrowed = self.fits(manifest, footprint, policy, settings)?;
        OFFERS.check_imports(&compiled.imports)?;
        let denied: BTreeSet<Grant> = OFFERS.grants_of(&compiled.imports).difference(&policy.grants).copied().collect();
        let linked = self.engine.program(&compiled.code, &denied);
        let program = linked.map_err(|error| LoadError::Link(format!("{error:#}")))?;
        permissions::check_idempotent_routes(manifest, compiled.code.kind())?;
        permissions::check_exports(
            manifest,
            program.handles_http(),
            program.handles_events(),
            program.handles_timers(),
        )?;
        let config =
            self.plugins.settings_with(&manifest.name, &manifest.config, &settings.values(&manifest.config))?;
        Ok(Fitted { program, config, manifest: narrowed })
    }

    /// The manifest with the limits of the settings file and of the operator.
    fn with_limits(&self, manifest: &Manifest, settings: &Settings) -> Result<Manifest, ManifestError> {
        let mut limits = manifest.limits.clone();
        limits.override_with(&self.plugins.limits(&manifest.name))?;
        limits.override_with(&settings.limits)?;
        Ok(Manifest { limits, ..manifest.clone() })
    }

    /// The applied migrations of a plugin's database, of all revisions, because
    /// a rollback undoes none. Creates no database.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn applied_migrations(&self, plugin: &str) -> Result<Vec<Applied>, LoadError> {
        let applied = async {
            match self.databases.exists(plugin).await? {
                true => self.databases.open(plugin).await?.applied().await,
                false => Ok(Vec::new()),
            }
        };
        applied.await.map_err(LoadError::Database)
    }

    /// Removes the compiled code of a file from the cache.
    pub fn forget(&self, digest: &str) {
        self.engine.forget(&self.cache, digest);
    }

    async fn revision(
        &self,
        compiled: Compiled,
        fitted: Fitted,
        record: &Record,
        policy: Arc<Policy>,
        database: Option<Arc<dyn Database>>,
    ) -> Result<Arc<Revision>, LoadError> {
        // This comes before the first metric of the revision.
        let series = RevisionSeries::of(&record.plugin, &record.id);
        let Fitted { program, config, manifest } = fitted;
        series.begin_requests(&manifest.requests.plugins);
        let Artifact { digest, bytes, api, events, manifest: Manifest { requests: asked, .. }, .. } = compiled.artifact;
        // Without the grant, an outgoing request finds no allowed host and no allowed plugin.
        let may_use_store = policy.grants.contains(&Grant::Store);
        let http_hosts = policy.http_hosts.iter().filter(|_| policy.grants.contains(&Grant::Http));
        let http_hosts: Vec<String> = http_hosts.cloned().collect();
        let outbound = self.services.outbound.client_for(&manifest.name, &http_hosts, manifest.limits.wall_time_ms);
        let outbound = outbound.map_err(|error| LoadError::Host(std::io::Error::other(error)))?;
        let unsent = self.unsent.of(&manifest.name);
        let memory = self.memory.of_at_least(&manifest.name, manifest.limits.memory_mib << 20);
        let figures = self.figures.get_or_make(&manifest.name, || Arc::new(Figures::new()));
        let context = Arc::new(ComponentContext {
            name: manifest.name.clone(),
            database: database.clone().filter(|_| may_use_store).map(|database| database as Arc<dyn ComponentSql>),
            publishes: manifest.messaging.publishes.iter().cloned().collect(),
            limits: manifest.limits.clone(),
            config: config.iter().map(|(key, setting)| (key.clone(), setting.value.clone())).collect(),
            outbound: outbound.calling(callable_plugins(&asked, &policy)),
            store_wait: metrics::histogram!("store_wait_seconds", "component" => manifest.name.clone()),
            unsent: unsent.clone(),
            memory: memory.clone(),
            services: self.services.clone(),
        });
        let instances = Pool::new(program, context, manifest.instance.max_requests);
        instances.warm_up().await?;
        let limits = &manifest.limits;
        // One plugin leaves turns of the host to the others, also with high limits.
        let share = (self.admission.limit() * 3).div_ceil(4);
        let concurrency = limits.concurrency.min(share);
        let admission = Admission::new(&manifest.name, concurrency, limits.queue, self.queue_wait);
        Ok(Arc::new(Revision {
            id: record.id.clone(),
            endpoints: OwnEndpoint::of(&manifest, &record.id),
            api,
            events,
            policy,
            digest,
            size_bytes: bytes.len(),
            imports: compiled.imports,
            exports: compiled.exports,
            config,
            database,
            instances,
            admission: Arc::new(admission),
            host_admission: self.admission.clone(),
            unsent,
            memory,
            dropped_header: Once::new(),
            call_counter: Arc::new(CallCounter::new(&self.rollout, self.alarm.clone(), figures)),
            _series: series,
            manifest,
        }))
    }
}

/// The plugins that a plugin asks for in its manifest, and those that it may call.
fn callable_plugins(asked: &Requests, policy: &Policy) -> CallablePlugins {
    let allowed = policy.plugins.iter().filter(|_| policy.grants.contains(&Grant::Http));
    CallablePlugins { asked: asked.plugins.clone(), allowed: allowed.cloned().collect() }
}
