//! The host as a whole: the order in which it opens its parts, and its end.

mod listeners;
mod without_serving;

pub use without_serving::{check, judge};

use anyhow::Context;
use host_api::revisions::Source;
use host_base::{Disk, clock};
use host_bus::{Bus, EmbeddedBus, JetStreamBus};
use host_capabilities::{identity::Identity, payments::Payments};
use host_config::{Config, ConfigError, Secrets, plugins::Bundled};
use host_database::{
    HostDatabase, SingletonLock,
    audit::Audit,
    cluster::{self, Cluster},
};
use host_engine::{Admission, CompileCache, Compiler, Engine, Services};
use host_operator::{Gauges, Operator, Tokens, UploadQueue};
use host_plugin::{
    Loader, Policies, Registry, Rollout,
    archive::Archive,
    call_stats::Alarm,
    disk_quotas,
    rollout::{BuiltIn, PluginsError, Preparer},
    unsent::UnsentBudgets,
};
use host_store::{Databases, PostgresDatabases, SqliteDatabases};
use host_telemetry::{Metrics, OtlpExporter};
use host_triggers::{Redelivery, Triggers, http::Front};
use listeners::{serve_front, serve_operator};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    sync::{Semaphore, mpsc::unbounded_channel},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

/// A running host. It runs until [`Host::stop`].
pub struct Host {
    /// The address of the public listener.
    pub address: SocketAddr,
    /// The address of the operator listener.
    pub operator_address: SocketAddr,
    stop: CancellationToken,
    ready: Arc<AtomicBool>,
    listeners: Vec<JoinHandle<bool>>,
    drain: Duration,
    changes: TaskTracker,
    triggers: Arc<Triggers>,
    databases: Arc<dyn Databases>,
    database: HostDatabase,
    _only_host: Option<SingletonLock>,
    exporter: Option<OtlpExporter>,
}

/// The longest time in which the database server notices that a host has ended.
const ONLY_HOST_WAIT: Duration = Duration::from_secs(5);

/// How long the start of a host waits for plugins that are not its binary's own.
const START_BOUND: Duration = Duration::from_secs(2);

/// The longest time in which databases close after the last work.
const CLOSING: Duration = Duration::from_millis(1_500);

impl Host {
    /// Opens everything, loads the plugins and begins to serve.
    ///
    /// # Errors
    /// Names the part that cannot be opened or loaded.
    pub async fn start(config: &Config, secrets: &Secrets) -> anyhow::Result<Self> {
        let metrics = Metrics::start()?;
        let only_host = only_host(config).await?;
        let database = open_database(config).await?;
        clock::set(database.time().await?);
        let disk = Disk::new(&config.data_dir, config.store.disk_reserve_bytes);
        let bus = bus(config, &database, &disk).await?;
        let services = services(config, secrets, &database, bus.clone()).await?;
        let identity = services.identity.clone();
        let me = cluster::HostIdentity::new(&config.cluster.name);
        let cluster = join(config, &database, &me).await.context("the table of hosts")?;
        let Running { rollout, triggers, databases } =
            rollout(config, services, &database, cluster.clone(), Some(&disk)).await?;
        rollout.start(built_in(config).await?, START_BOUND).await?;
        if let Some(cluster) = &cluster {
            // The other hosts may have decided something since this host read
            // their decisions.
            rollout.catch_up(cluster).await?;
        }
        triggers.start();
        let registry = rollout.registry.clone();

        let ready = Arc::new(AtomicBool::new(true));
        let changes = TaskTracker::new();
        let stop = CancellationToken::new();
        let reference = database.clone();
        tokio::spawn(clock::follow(async move || reference.time().await, stop.clone()));
        let gauges = Arc::new(Gauges {
            registry: registry.clone(),
            admission: rollout.preparer.loader.admission.clone(),
            bus: bus.clone(),
            engine: rollout.preparer.loader.engine.clone(),
            ready: ready.clone(),
            disk,
        });
        tokio::spawn(disk_quotas::watch(registry.clone(), stop.clone()));
        let exporter = exporter(config, metrics, gauges.clone())?;
        let operator = Arc::new(Operator {
            tokens: Tokens::open(database.clone(), &secrets.admin_token).await?,
            audit: rollout.audit.clone(),
            rollout: rollout.clone(),
            uploads: UploadQueue::new(config.uploads.max_pending_uploads),
            upload_limits: config.uploads.clone(),
            redelivery: Redelivery::new(bus.clone(), databases.clone()),
            bus,
            metrics,
            this_host: me,
            cluster: cluster.clone(),
            gauges,
            ready: ready.clone(),
            tasks: changes.clone(),
            host_names: config.operator.hosts.clone().into(),
            log_streams: Arc::new(Semaphore::new(host_operator::MAX_LOG_STREAMS)),
            stopping: stop.clone(),
        });
        if let Some(cluster) = cluster {
            take_part(&cluster, &operator, &identity, &stop);
        }
        let front = Arc::new(Front { registry, identity, config: config.http.clone() });
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
            _only_host: only_host,
            exporter,
        })
    }

    /// Takes no new work, waits for the work in flight for as long as the
    /// settings allow, and closes everything. True if no work was cut off.
    pub async fn stop(self) -> bool {
        self.ready.store(false, Ordering::Release);
        self.stop.cancel();
        let quiet = CancellationToken::new();
        let requests = async {
            let complete = futures::future::join_all(self.listeners).await;
            quiet.cancel();
            complete.into_iter().all(|complete| complete.unwrap_or(false))
        };
        // Requests may need the events of others. Workers end after them, and
        // early enough to finish if a client never reads its answer.
        let others = async {
            let _ = timeout(self.drain * 3 / 4, quiet.cancelled()).await;
            self.changes.close();
            tokio::join!(self.changes.wait(), self.triggers.stop()).1
        };
        let work = async { tokio::join!(requests, others) };
        let complete = timeout(self.drain, work).await.is_ok_and(|(requests, others)| requests && others);
        let closing = async {
            self.databases.close().await;
            self.database.close().await;
            if let Some(exporter) = self.exporter {
                exporter.stop().await;
            }
        };
        if timeout(CLOSING, closing).await.is_err() {
            tracing::warn!("the host ends before a database was closed, a statement may still run");
        }
        complete
    }
}

/// Exports to a collector, if the settings name one.
fn exporter(config: &Config, metrics: Metrics, gauges: Arc<Gauges>) -> anyhow::Result<Option<OtlpExporter>> {
    let Some(otlp) = &config.telemetry.otlp else { return Ok(None) };
    Ok(Some(OtlpExporter::start(otlp, metrics, move || gauges.refresh())?))
}

/// The bus that the settings name.
async fn bus(config: &Config, database: &HostDatabase, disk: &Disk) -> anyhow::Result<Arc<dyn Bus>> {
    Ok(match &config.messaging.nats {
        Some(nats) => {
            let installation = host_bus::installation(database).await?;
            let bus = JetStreamBus::open(&config.messaging, nats, installation).await;
            Arc::new(bus.with_context(|| format!("NATS at {}", nats.servers_shown()))?)
        }
        None => {
            let disk = config.store.database_url.is_none().then(|| disk.clone());
            Arc::new(EmbeddedBus::open(database.clone(), &config.messaging, disk).await?)
        }
    })
}

async fn open_database(config: &Config) -> anyhow::Result<HostDatabase> {
    match &config.store.database_url {
        Some(url) => HostDatabase::connect(url).await.context("store.database_url"),
        None => HostDatabase::open(&config.data_dir.join("host.db")).await.context("host.db"),
    }
}

/// The databases of the components.
async fn open_databases(
    config: &Config,
    host: &HostDatabase,
    disk: Option<&Disk>,
) -> anyhow::Result<Arc<dyn Databases>> {
    match &config.store.database_url {
        Some(url) => {
            let databases = PostgresDatabases::connect(url, host, &config.store).await;
            Ok(Arc::new(databases.context("store.database_url")?))
        }
        None => {
            let databases = SqliteDatabases::new(&config.data_dir.join("components"), &config.store);
            let databases = databases.context("the components' folder")?;
            Ok(Arc::new(match disk {
                Some(disk) => databases.on_disk(disk.clone()),
                None => databases,
            }))
        }
    }
}

/// The embedded bus serves one host, so no other host may use the same
/// database.
async fn only_host(config: &Config) -> anyhow::Result<Option<SingletonLock>> {
    let (Some(url), None) = (&config.store.database_url, &config.messaging.nats) else { return Ok(None) };
    let begun = Instant::now();
    loop {
        if let Some(only_host) = SingletonLock::acquire(url).await.context("store.database_url")? {
            return Ok(Some(only_host));
        }
        // The host before this one may have just ended.
        anyhow::ensure!(
            begun.elapsed() < ONLY_HOST_WAIT,
            "another host uses this database: for several, set TICKETING_NATS_URL for each"
        );
        tokio::time::sleep(ONLY_HOST_WAIT / 20).await;
    }
}

async fn services(
    config: &Config,
    secrets: &Secrets,
    database: &HostDatabase,
    bus: Arc<dyn Bus>,
) -> anyhow::Result<Services> {
    Ok(Services {
        bus,
        identity: Arc::new(Identity::open(&config.identity, &secrets.jwt_key, database.clone()).await?),
        payments: Arc::new(Payments::open(&config.payments, &config.data_dir, database).await.context("payments")?),
    })
}

async fn rollout(
    config: &Config,
    services: Services,
    database: &HostDatabase,
    cluster: Option<Arc<Cluster>>,
    disk: Option<&Disk>,
) -> anyhow::Result<Running> {
    let databases = open_databases(config, database, disk).await?;
    let engine = Engine::new(&config.engine).map_err(|error| anyhow::anyhow!("the engine cannot start: {error:#}"))?;
    let (alarm, alarms) = unbounded_channel();
    let bus = services.bus.clone();
    let limit = config.http.max_in_flight_requests;
    let loader = Loader {
        admission: Arc::new(Admission::new("host", limit, limit, config.http.queue_wait)),
        engine: Arc::new(engine),
        cache: CompileCache::open(&config.cache_dir()).context("the compile cache")?,
        compiler: Compiler::child(config.engine.compile).context("the path of this program")?,
        databases: databases.clone(),
        services,
        unsent: UnsentBudgets::new(&config.http),
        queue_wait: config.http.queue_wait,
        quotas: config.quotas,
        plugins: config.plugins.clone(),
        rollout: config.rollout.clone(),
        alarm: Alarm(alarm),
    };
    let registry = Arc::new(Registry::default());
    let triggers = Arc::new(Triggers::new(registry.clone(), bus, config.messaging.clone()));
    let archive =
        Archive::open(database.clone(), &config.data_dir.join("plugins")).await.context("the plugins' folder")?;
    let policies = Policies::open(database.clone()).await.context("the policies of plugins")?;
    let audit = Audit::open(database.clone(), config.operator.audit_rows).await?;
    let rollout = Arc::new(Rollout::new(
        Preparer::new(loader, archive, policies, config.uploads.clone()),
        registry,
        triggers.clone(),
        audit,
        config.rollout.clone(),
        cluster,
    ));
    tokio::spawn(rollout.clone().quarantine(alarms));
    Ok(Running { rollout, triggers, databases })
}

/// The parts that run components.
struct Running {
    rollout: Arc<Rollout>,
    triggers: Arc<Triggers>,
    databases: Arc<dyn Databases>,
}

/// Joins the hosts on the same database, if the database is shared.
async fn join(
    config: &Config,
    database: &HostDatabase,
    me: &cluster::HostIdentity,
) -> sqlx::Result<Option<Arc<Cluster>>> {
    Ok(match &config.store.database_url {
        Some(url) => Some(Arc::new(Cluster::join(database.clone(), url, me.clone()).await?)),
        None => None,
    })
}

/// Begins to report this host to the others, and to follow their decisions.
fn take_part(cluster: &Arc<Cluster>, operator: &Arc<Operator>, identity: &Arc<Identity>, stop: &CancellationToken) {
    let (living, told) = (cluster.clone(), operator.clone());
    let now = move || (told.is_ready(), told.rollout.runs());
    let until = stop.clone();
    operator.tasks.spawn(async move { living.run_heartbeat(now, until).await });
    tokio::spawn(operator.rollout.clone().take_part(cluster.clone(), stop.clone()));
    let mut news = cluster.listener();
    let (operator, identity, stop) = (operator.clone(), identity.clone(), stop.clone());
    tokio::spawn(async move {
        while news.next(&stop).await {
            if let Err(error) = tokio::try_join!(identity.refresh(), operator.tokens.refresh()) {
                tracing::warn!(%error, "the tokens and sessions that other hosts revoked cannot be read yet");
            }
        }
    });
}

/// The plugins of the binary and of the settings.
async fn built_in(config: &Config) -> Result<Vec<BuiltIn>, PluginsError> {
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
    let mut plugins: Vec<BuiltIn> = bundled
        .map(|(name, bytes)| BuiltIn {
            label: (*name).to_owned(),
            bytes: bytes.to_vec(),
            source: Source::Bundled,
            grants: None,
        })
        .collect();
    for plugin in &config.plugins.extra {
        let label = plugin.path.display().to_string();
        match tokio::fs::read(&plugin.path).await {
            Ok(bytes) => {
                let grants = Some(plugin.grants.clone().unwrap_or_default());
                plugins.push(BuiltIn { label, bytes, source: Source::File, grants });
            }
            Err(error) => return Err(PluginsError::Read(label, error)),
        }
    }
    Ok(plugins)
}
