//! The parts of a host that reach outside of the process: the engine, the
//! database, the bus.

use super::progress::Progress;
use anyhow::Context;
use host_base::Disk;
use host_bus::{Bus, EmbeddedBus, JetStreamBus};
use host_config::Config;
use host_database::{HostDatabase, SingletonLock, reach};
use host_engine::Engine;
use host_store::{Databases, PostgresDatabases, SqliteDatabases};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The longest time in which the database server notices that a host has ended.
const ONLY_HOST_WAIT: Duration = Duration::from_secs(5);

pub(super) fn engine(config: &Config) -> anyhow::Result<Engine> {
    Engine::new(&config.engine).map_err(|error| anyhow::anyhow!("the engine cannot start: {error:#}"))
}

/// Waits until the server of the shared database accepts connections, if the
/// settings name one. Returns the name of the database for people.
pub(super) async fn wait_for_database(config: &Config, progress: &Progress) -> anyhow::Result<String> {
    let Some(url) = &config.store.database_url else { return Ok("the database in the data directory".to_owned()) };
    let name = format!("the database at {}", reach::address(url));
    let reachable = reach::wait_for_server(url, |error| progress.set_reason(&name, &error.to_string()));
    progress.step(&name, reachable).await.with_context(|| format!("store.database_url: {name}"))?;
    Ok(name)
}

/// The name of the bus for people.
pub(super) fn bus_name(config: &Config) -> String {
    match &config.messaging.nats {
        Some(nats) => format!("NATS at {}", nats.servers_shown()),
        None => "the event bus in the database".to_owned(),
    }
}

/// The bus that the settings name.
pub(super) async fn bus(config: &Config, database: &HostDatabase, disk: &Disk) -> anyhow::Result<Arc<dyn Bus>> {
    Ok(match &config.messaging.nats {
        Some(nats) => {
            let installation = host_bus::installation(database).await?;
            let bus = JetStreamBus::open(&config.messaging, nats, installation, database.clone()).await;
            Arc::new(bus.with_context(|| format!("NATS at {}", nats.servers_shown()))?)
        }
        None => {
            let disk = config.store.database_url.is_none().then(|| disk.clone());
            Arc::new(EmbeddedBus::open(database.clone(), &config.messaging, disk).await?)
        }
    })
}

pub(super) async fn open_database(config: &Config) -> anyhow::Result<HostDatabase> {
    match &config.store.database_url {
        Some(url) => HostDatabase::connect(url).await.context("store.database_url"),
        None => HostDatabase::open(&config.data_dir.join("host.db")).await.context("host.db"),
    }
}

/// The databases of the components.
pub(super) async fn open_databases(
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
pub(super) async fn only_host(config: &Config) -> anyhow::Result<Option<SingletonLock>> {
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
