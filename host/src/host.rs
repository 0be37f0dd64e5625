//! The host as a whole: what is opened, in which order, and how it ends.

use crate::{
    capability::{
        identity::Identity,
        messaging::{Bus, BusError, EmbeddedBus},
        payments::Payments,
        store::{Databases, SqliteDatabases},
    },
    config::{
        Config, ConfigError, Secrets,
        plugins::{Bundled, ExtraPlugin},
    },
    database::HostDatabase,
    engine::{Admission, CompileCache, Engine, Services},
    operator::{self, Audit, Operator, Tokens},
    plugin::{LoadError, Loader, Registry, Revision, Snapshot, registry::SnapshotError, world::Grants},
    telemetry::Metrics,
    trigger::{self, Bounds, Redelivery, Triggers, http::Front},
};
use anyhow::Context;
use axum::response::IntoResponse;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

/// A running host. It runs until [`Host::stop`].
pub struct Host {
    /// Where the public listener is.
    pub address: SocketAddr,
    /// Where the operator listener is.
    pub operator_address: SocketAddr,
    stop: CancellationToken,
    ready: Arc<AtomicBool>,
    listeners: Vec<JoinHandle<bool>>,
    drain: Duration,
    changes: TaskTracker,
    triggers: Triggers,
    databases: Arc<dyn Databases>,
    database: HostDatabase,
}

/// Connections of operators and their programs.
const OPERATOR_CONNECTIONS: usize = 256;

impl Host {
    /// Opens everything, loads the plugins and begins to serve.
    ///
    /// # Errors
    /// Says what cannot be opened or loaded.
    pub async fn start(config: &Config, secrets: &Secrets) -> anyhow::Result<Self> {
        let metrics = Metrics::start()?;
        let database = HostDatabase::open(&config.data_dir.join("host.db")).await.context("host.db")?;
        let bus: Arc<dyn Bus> = Arc::new(EmbeddedBus::open(database.clone(), &config.messaging).await?);
        let services = services(config, secrets, &database).await?;
        let identity = services.identity.clone();
        let (loader, databases) = loader(config, services)?;
        let plugins = load_all(&loader, config).await?;
        let registry = Arc::new(Registry::default());
        let triggers = Triggers::new(registry.clone(), bus.clone(), config.messaging.clone());
        for revision in &plugins {
            watch(&triggers, revision).await.with_context(|| format!("events of {}", revision.name()))?;
        }
        registry.replace(Snapshot::new(plugins)?);
        triggers.start();

        let ready = Arc::new(AtomicBool::new(true));
        let changes = TaskTracker::new();
        let operator = Arc::new(Operator {
            tokens: Tokens::open(database.clone(), &secrets.admin_token).await?,
            audit: Audit::open(database.clone(), config.operator.audit_rows).await?,
            registry: registry.clone(),
            redelivery: Redelivery::new(bus.clone(), databases.clone()),
            bus,
            metrics,
            ready: ready.clone(),
            work: changes.clone(),
        });
        let limit = config.http.max_in_flight_requests;
        let front = Arc::new(Front {
            registry,
            identity,
            config: config.http.clone(),
            admission: Admission::new("host", limit, limit, config.http.queue_wait),
        });
        let stop = CancellationToken::new();
        let (address, public) = serve_front(config, front, &stop).await?;
        let (operator_address, private) = serve_operator(config, operator, &stop).await?;
        Ok(Self {
            address,
            operator_address,
            stop,
            ready,
            listeners: vec![public, private],
            changes,
            drain: config.http.shutdown_drain,
            triggers,
            databases,
            database,
        })
    }

    /// Stops taking work, lets what runs finish for as long as the settings
    /// allow, and closes everything. True if nothing was cut off.
    pub async fn stop(self) -> bool {
        self.ready.store(false, Ordering::Release);
        self.stop.cancel();
        let mut complete = true;
        for listener in self.listeners {
            complete &= listener.await.unwrap_or(false);
        }
        self.changes.close();
        complete &= tokio::time::timeout(self.drain, self.changes.wait()).await.is_ok();
        complete &= self.triggers.stop().await;
        self.databases.close().await;
        self.database.close().await;
        complete
    }
}

/// A component without a database has neither events nor timers.
async fn watch(triggers: &Triggers, revision: &Revision) -> Result<(), BusError> {
    let Some(database) = &revision.database else { return Ok(()) };
    let subjects: Vec<String> = revision.manifest.messaging.subscribes.iter().cloned().collect();
    triggers.watch(revision.name(), database.clone(), &subjects).await
}

/// Loads every plugin of the settings and activates none: what
/// `ticketing check` does.
///
/// # Errors
/// Says which plugin or setting is wrong.
pub async fn check(config: &Config) -> anyhow::Result<Vec<Arc<Revision>>> {
    let scratch = tempfile::tempdir()?;
    let config = Config { data_dir: scratch.path().to_owned(), ..config.clone() };
    let secrets = config.prepare()?;
    let database = HostDatabase::open(&config.data_dir.join("host.db")).await?;
    let services = services(&config, &secrets, &database).await?;
    let plugins = load_all(&loader(&config, services)?.0, &config).await?;
    Snapshot::new(plugins.iter().cloned())?;
    Ok(plugins)
}

async fn services(config: &Config, secrets: &Secrets, database: &HostDatabase) -> anyhow::Result<Services> {
    Ok(Services {
        identity: Arc::new(Identity::open(&config.identity, &secrets.jwt_key, database.clone()).await?),
        payments: Arc::new(Payments::open(&config.payments, &config.data_dir).await.context("payments.db")?),
    })
}

fn loader(config: &Config, services: Services) -> anyhow::Result<(Loader, Arc<SqliteDatabases>)> {
    let databases = Arc::new(
        SqliteDatabases::new(&config.data_dir.join("components"), &config.store).context("the components' folder")?,
    );
    let engine = Engine::new(&config.engine).map_err(|error| anyhow::anyhow!("the engine cannot start: {error:#}"))?;
    let loader = Loader {
        engine: Arc::new(engine),
        cache: Arc::new(CompileCache::open(&config.cache_dir()).context("the compile cache")?),
        databases: databases.clone(),
        services,
        queue_wait: config.http.queue_wait,
    };
    Ok((loader, databases))
}

/// Why the plugins of the settings cannot run together.
#[derive(Debug, thiserror::Error)]
enum PluginsError {
    #[error("{0}")]
    Load(String, #[source] LoadError),
    #[error("{0}")]
    Read(String, #[source] std::io::Error),
    #[error("two plugins are named {0}")]
    Twice(String),
    #[error("the settings of the plugins are wrong")]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Routes(#[from] SnapshotError),
}

async fn load_all(loader: &Loader, config: &Config) -> Result<Vec<Arc<Revision>>, PluginsError> {
    let mut loaded: BTreeMap<String, Arc<Revision>> = BTreeMap::new();
    if let Bundled::Named(names) = &config.plugins.bundled
        && let Some(unknown) = names.iter().find(|name| !BUNDLED.iter().any(|(known, _)| known == name))
    {
        let known = BUNDLED.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        return Err(ConfigError::new(format!(
            "bundled: there is no plugin {unknown} in this binary; there are {known}"
        ))
        .into());
    }
    let bundled = BUNDLED.iter().filter(|(name, _)| config.plugins.bundled.includes(name));
    let bundled = bundled.map(|(name, bytes)| async { load(loader, config, name, bytes.to_vec(), &Grants::All).await });
    let extra = config.plugins.extra.iter().map(|plugin| load_file(loader, config, plugin));
    let mut revisions = futures::future::try_join_all(bundled).await?;
    revisions.extend(futures::future::try_join_all(extra).await?);
    for revision in revisions {
        let name = revision.name().to_owned();
        if loaded.insert(name.clone(), revision).is_some() {
            return Err(PluginsError::Twice(name));
        }
    }
    let declared = loaded.values().map(|revision| (revision.name(), &revision.manifest.config));
    config.plugins.check_all_used(declared)?;
    Ok(loaded.into_values().collect())
}

async fn load_file(loader: &Loader, config: &Config, plugin: &ExtraPlugin) -> Result<Arc<Revision>, PluginsError> {
    let path = plugin.path.display().to_string();
    let bytes = tokio::fs::read(&plugin.path).await.map_err(|error| PluginsError::Read(path.clone(), error))?;
    let grants = Grants::Named(plugin.grants.clone().unwrap_or_default());
    load(loader, config, &path, bytes, &grants).await
}

async fn load(
    loader: &Loader,
    config: &Config,
    from: &str,
    bytes: Vec<u8>,
    grants: &Grants,
) -> Result<Arc<Revision>, PluginsError> {
    let begun = std::time::Instant::now();
    let revision = loader
        .load(bytes, grants, &config.plugins)
        .await
        .map_err(|error| PluginsError::Load(from.to_owned(), error))?;
    let milliseconds = begun.elapsed().as_millis() as u64;
    tracing::info!(component = revision.name(), revision = %revision.id, milliseconds, "loaded");
    Ok(revision)
}

async fn serve_front(
    config: &Config,
    front: Arc<Front>,
    stop: &CancellationToken,
) -> anyhow::Result<(SocketAddr, JoinHandle<bool>)> {
    let bounds = bounds(config, config.http.max_in_flight_requests.saturating_mul(8));
    listen(config.http.listen, bounds, stop, move |peer, request| {
        let front = front.clone();
        async move { front.serve(peer, request).await }
    })
    .await
}

async fn serve_operator(
    config: &Config,
    operator: Arc<Operator>,
    stop: &CancellationToken,
) -> anyhow::Result<(SocketAddr, JoinHandle<bool>)> {
    let router = operator::router(operator);
    listen(config.operator.listen, bounds(config, OPERATOR_CONNECTIONS), stop, move |_, request| {
        let router = router.clone();
        async move { router.oneshot(request).await.into_response() }
    })
    .await
}

async fn listen<F, R>(
    address: SocketAddr,
    bounds: Bounds,
    stop: &CancellationToken,
    answer: F,
) -> anyhow::Result<(SocketAddr, JoinHandle<bool>)>
where
    F: Fn(SocketAddr, axum::extract::Request) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = axum::response::Response> + Send + 'static,
{
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let bound = listener.local_addr()?;
    Ok((bound, tokio::spawn(trigger::serve(listener, bounds, stop.clone(), answer))))
}

fn bounds(config: &Config, max_connections: usize) -> Bounds {
    Bounds {
        max_connections,
        header_bytes: config.http.header_bytes,
        header_read_timeout: config.http.header_read_timeout,
        drain: config.http.shutdown_drain.max(Duration::from_millis(1)),
    }
}
