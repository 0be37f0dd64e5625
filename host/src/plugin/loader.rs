//! From a file's bytes to a revision that can serve: parse, check, compile,
//! migrate, instantiate once. Nothing of it happens on the path of a request.

use super::{
    artifact::{Artifact, ArtifactError},
    manifest::ManifestError,
    revision::{Counts, Revision},
    world::{self, Grants, WorldError},
};
use crate::{
    capability::store::{Database, Databases, Error as StoreError, MigrationError},
    config::{ConfigError, plugins::Plugins},
    engine::{Admission, CompileCache, ComponentContext, Engine, Failure, Instances, Services},
};
use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};
use tokio::sync::Semaphore;
use wasmtime_wasi_config::WasiConfigVariables;

/// Compilations at the same time; each uses every processor by itself.
static COMPILATIONS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(2));

/// What it takes to load a plugin.
pub struct Loader {
    /// Compiles and links.
    pub engine: Arc<Engine>,
    /// Keeps what was compiled.
    pub cache: Arc<CompileCache>,
    /// Opens a plugin's database, once.
    pub databases: Arc<dyn Databases>,
    /// What components may import.
    pub services: Services,
    /// How long a call may wait for its turn.
    pub queue_wait: Duration,
}

/// Why a plugin was not loaded. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is not a plugin.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// It wants or lacks something.
    #[error(transparent)]
    World(#[from] WorldError),
    /// The compiler or the linker refused it.
    #[error("the component cannot be compiled: {0}")]
    Compile(String),
    /// A setting of it is wrong.
    #[error("a setting is wrong")]
    Config(#[from] ConfigError),
    /// A limit that the operator set is out of its bounds.
    #[error(transparent)]
    Limits(#[from] ManifestError),
    /// Its database cannot be opened.
    #[error("its database cannot be opened: {0:?}")]
    Database(StoreError),
    /// Its tables cannot be brought up to date.
    #[error(transparent)]
    Migration(#[from] MigrationError),
    /// It does not start.
    #[error(transparent)]
    Start(#[from] Failure),
}

impl Loader {
    /// Loads a plugin with what it is granted and set to. It is not active
    /// yet.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub async fn load(&self, bytes: Vec<u8>, grants: &Grants, settings: &Plugins) -> Result<Arc<Revision>, LoadError> {
        let (engine, cache) = (self.engine.clone(), self.cache.clone());
        let _turn = COMPILATIONS.acquire().await;
        let (mut artifact, component) = tokio::task::spawn_blocking(move || {
            let artifact = Artifact::parse(bytes, None)?;
            let component = engine
                .compile(&cache, &artifact.digest, &artifact.bytes)
                .map_err(|error| LoadError::Compile(format!("{error:#}")))?;
            Ok::<_, LoadError>((artifact, component))
        })
        .await
        .map_err(|error| LoadError::Compile(error.to_string()))??;

        world::check_imports(self.engine.wasmtime(), &component, grants)?;
        let program = self.engine.program(&component).map_err(|error| LoadError::Compile(format!("{error:#}")))?;
        world::check_exports(&artifact.manifest, &program)?;
        let name = &artifact.manifest.name;
        let config = settings.settings(name, &artifact.manifest.config)?;
        artifact.manifest.limits.override_with(&settings.limits(name))?;
        let imports = world::imports(self.engine.wasmtime(), &component);
        let database = self.database(&artifact, &imports).await?;
        self.revision(artifact, imports, program, database, config.into_iter().collect()).await
    }

    async fn database(&self, artifact: &Artifact, imports: &[String]) -> Result<Option<Arc<dyn Database>>, LoadError> {
        if !world::uses_store(imports) && artifact.migrations.is_empty() {
            return Ok(None);
        }
        let database = self.databases.open(&artifact.manifest.name).await.map_err(LoadError::Database)?;
        for name in database.migrate(&artifact.migrations).await? {
            tracing::info!(component = %artifact.manifest.name, migration = %name, "migrated");
        }
        Ok(Some(database))
    }

    async fn revision(
        &self,
        artifact: Artifact,
        imports: Vec<String>,
        program: crate::engine::Program,
        database: Option<Arc<dyn Database>>,
        config: WasiConfigVariables,
    ) -> Result<Arc<Revision>, LoadError> {
        let manifest = artifact.manifest;
        let context = Arc::new(ComponentContext {
            name: manifest.name.clone(),
            database: database.clone(),
            publishes: manifest.messaging.publishes.iter().cloned().collect(),
            limits: manifest.limits.clone(),
            config,
            services: self.services.clone(),
        });
        let instances = Instances::new(program, context, manifest.instance.max_requests);
        instances.warm_up().await?;
        let limits = &manifest.limits;
        Ok(Arc::new(Revision {
            id: format!("{}+{}", manifest.version, artifact.digest.get(..8).unwrap_or_default()),
            size_bytes: artifact.bytes.len(),
            digest: artifact.digest,
            imports,
            database,
            instances,
            admission: Admission::new(&manifest.name, limits.concurrency, limits.queue, self.queue_wait),
            counts: Counts::default(),
            manifest,
        }))
    }
}
