//! The host as a whole: the order in which it opens its parts, and its end.

mod listeners;
mod parts;
mod pooler;
mod progress;
mod public_socket;
mod rehearsal;
mod systemd_sockets;
mod without_serving;

pub use listeners::Listeners;
pub use rehearsal::RehearsalHost;
pub use systemd_sockets::SystemdSockets;
pub use without_serving::{WithoutServing, check};

use anyhow::Context;
use host_api::revisions::Source;
use host_base::{Disk, SharedByName, clock};
use host_bus::Bus;
use host_capabilities::{
    identity::Identity,
    outbound::{Outbound, SystemResolver},
    payments::Payments,
};
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
    budgets::PluginBudgets,
    call_stats::Alarm,
    disk_quotas,
    rollout::{BuiltIn, PluginsError, Preparer},
};
use host_store::Databases;
use host_telemetry::{Metrics, OtlpExporter};
use host_triggers::{
    Redelivery, Triggers,
    http::{Front, LiveAnswers, PluginRoutes, RateLimits},
};
use parts::{bus, bus_name, engine, only_host, open_database, open_databases, wait_for_database};
use progress::Progress;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{
        Semaphore,
        mpsc::{UnboundedReceiver, unbounded_channel},
    },
    task::JoinHandle,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

/// A running host. It runs until [`Host::stop`].
pub struct Host {
    /// The address of the public listener, or `unix:` and its path.
    pub address: String,
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

/// How long the start of a host waits for plugins that are not its binary's own.
const START_BOUND: Duration = Duration::from_secs(2);

/// The longest time in which databases close after the last work.
const CLOSING: Duration = Duration::from_millis(1_500);

impl Host {
    /// Opens everything, loads the plugins and begins to serve.
    ///
    /// # Errors
    /// Names the part that cannot be opened or loaded.
    pub async fn start(config: &Config, secrets: &Secrets, listeners: Listeners) -> anyhow::Result<Self> {
        let (stop, progress) = (CancellationToken::new(), Progress::default());
        let doors = listeners.admit_operators(config, &progress, &stop)?;
        let metrics = Metrics::start()?;
        let engine = Arc::new(engine(config)?);
        let server = wait_for_database(config, &progress).await?;
        progress.step(&server, pooler::refuse_if_sessions_change(config)).await?;
        let only_host = progress.step(&server, only_host(config)).await?;
        let database = progress.step(&server, open_database(config)).await?;
        clock::set(progress.step(&server, database.time()).await?);
        let disk = Disk::new(&config.data_dir, config.store.disk_reserve_bytes);
        let bus = progress.step(&bus_name(config), bus(config, &database, &disk)).await?;
        let services = progress.step(&server, services(config, secrets, &database, bus.clone())).await?;
        let identity = services.identity.clone();
        let me = cluster::HostIdentity::new(&config.cluster.name);
        let cluster = progress.step(&server, join(config, &database, &me)).await.context("the table of hosts")?;
        let parts = rollout(config, engine, services, &database, cluster.clone(), Some(&disk));
        let Running { rollout, triggers, databases, routes, alarms } = progress.step(&server, parts).await?;
        tokio::spawn(rollout.clone().quarantine(alarms));
        let plugins = async { Ok::<_, anyhow::Error>(rollout.start(built_in(config).await?, START_BOUND).await?) };
        progress.step("the plugins", plugins).await?;
        if let Some(cluster) = &cluster {
            // The other hosts may have decided something since this host read
            // their decisions.
            progress.step("the other hosts", rollout.catch_up(cluster)).await?;
        }
        triggers.start();
        let registry = rollout.registry.clone();

        let ready = Arc::new(AtomicBool::new(true));
        let changes = TaskTracker::new();
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
            tokens: progress.step(&server, Tokens::open(database.clone(), &secrets.admin_token)).await?,
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
        let limits = &config.rate_limits;
        let rate_limits = limits.enabled.then(|| Arc::new(RateLimits::new(limits.clone(), cluster.is_some())));
        if let Some(limits) = &rate_limits {
            limits.warn_of_unknown_endpoints(&registry.snapshot());
        }
        if let Some(cluster) = cluster {
            take_part(&cluster, &operator, &identity, &stop);
            if let Some(limits) = &rate_limits {
                tokio::spawn(limits.clone().share(cluster, stop.clone()));
            }
        }
        let live = Arc::new(LiveAnswers::new(registry, &config.http, stop.clone()));
        let front = Arc::new(Front { routes, live, identity, config: config.http.clone(), rate_limits });
        let open = listeners::open(config, doors, front, operator, &stop)?;
        Ok(Self {
            address: open.address,
            operator_address: open.operator_address,
            stop,
            ready,
            listeners: open.tasks,
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

async fn services(
    config: &Config,
    secrets: &Secrets,
    database: &HostDatabase,
    bus: Arc<dyn Bus>,
) -> anyhow::Result<Services> {
    Ok(Services {
        bus,
        identity: Arc::new(Identity::open(&config.identity, &secrets.jwt_key, database.clone()).await?),
        outbound: Outbound::new(Arc::new(SystemResolver)),
        payments: Arc::new(Payments::open(&config.payments, &config.data_dir, database).await.context("payments")?),
    })
}

async fn rollout(
    config: &Config,
    engine: Arc<Engine>,
    services: Services,
    database: &HostDatabase,
    cluster: Option<Arc<Cluster>>,
    disk: Option<&Disk>,
) -> anyhow::Result<Running> {
    let databases = open_databases(config, database, disk).await?;
    let (alarm, alarms) = unbounded_channel();
    let (bus, outbound) = (services.bus.clone(), services.outbound.clone());
    let limit = config.http.max_in_flight_requests;
    let aside = (limit / 2).min(config.engine.max_instances as usize / 2).max(1);
    let loader = Loader {
        admission: Arc::new(Admission::new("host", limit, limit, config.http.queue_wait).waiting_aside(aside)),
        engine,
        cache: CompileCache::open(&config.cache_dir()).context("the compile cache")?,
        compiler: Compiler::child(config.engine.compile).context("the path of this program")?,
        databases: databases.clone(),
        services,
        unsent: PluginBudgets::new(config.http.unsent_mib, config.http.unsent_plugin_mib),
        memory: PluginBudgets::new(config.engine.guest_memory_mib, config.engine.plugin_memory_mib),
        figures: SharedByName::default(),
        queue_wait: config.http.queue_wait,
        quotas: config.quotas,
        plugins: config.plugins.clone(),
        rollout: config.rollout.clone(),
        alarm: Alarm(alarm),
    };
    let registry = Arc::new(Registry::default());
    let routes = Arc::new(PluginRoutes::new(registry.clone(), &config.http));
    outbound.call_plugins_with(routes.clone());
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
    Ok(Running { rollout, triggers, databases, routes, alarms })
}

/// The parts that run components.
struct Running {
    rollout: Arc<Rollout>,
    triggers: Arc<Triggers>,
    databases: Arc<dyn Databases>,
    routes: Arc<PluginRoutes>,
    /// The revisions that fail too often, see [`Rollout::quarantine`].
    alarms: UnboundedReceiver<(String, String)>,
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
