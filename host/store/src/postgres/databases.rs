//! The PostgreSQL database with the schemas of all components.

use super::{
    PostgresDatabase,
    accounts::{self, Account},
    errors::Failure,
    lease_locks::LeaseLocks,
    notify_channel::NotifyChannel,
    pool::Pool,
    topic_channel::TopicChannel,
};
use crate::{
    Database, Databases, Error,
    database::{check_component_name, shutting_down},
    limits::Limits,
};
use async_trait::async_trait;
use host_base::secret::Secret;
use host_config::store::StoreConfig;
use host_database::HostDatabase;
use sqlx::{
    ConnectOptions, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{collections::HashMap, str::FromStr, sync::Arc, time::Duration};
use tokio::sync::Mutex;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The connections of the host's role, which read outboxes and timers.
const HOST_CONNECTIONS: u32 = 4;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens each component's schema once, and keeps it open until the host stops.
pub struct PostgresDatabases {
    url: PgConnectOptions,
    pub(super) limits: Limits,
    pub(super) host: PgPool,
    pub(super) channel: Arc<NotifyChannel>,
    pub(super) topic_channel: Arc<TopicChannel>,
    pub(super) lease_locks: Arc<LeaseLocks>,
    /// None after [`Databases::close`].
    open: Mutex<Option<HashMap<String, Arc<PostgresDatabase>>>>,
    /// Stops the tasks of the channel.
    _channel_tasks: DropGuard,
}

impl PostgresDatabases {
    /// Uses the database with this URL, which contains the host's own tables.
    ///
    /// # Errors
    /// The database cannot be reached, or the host's role may not create tables.
    pub async fn connect(url: &Secret, host: &HostDatabase, settings: &StoreConfig) -> sqlx::Result<Self> {
        Self::with_limits(url, host, settings.into()).await
    }

    pub(super) async fn with_limits(url: &Secret, host: &HostDatabase, limits: Limits) -> sqlx::Result<Self> {
        let options = PgConnectOptions::from_str(url.expose())?.disable_statement_logging();
        let pool = PgPoolOptions::new()
            .max_connections(HOST_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(of_host(options.clone()))
            .await?;
        accounts::prepare(host, &pool).await?;
        let channel = Arc::new(NotifyChannel::new());
        let topic_channel = Arc::new(TopicChannel::new());
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(channel.clone().listen(url.clone())));
        tokio::spawn(stop.clone().run_until_cancelled_owned(channel.clone().send_queued(pool.clone())));
        tokio::spawn(stop.clone().run_until_cancelled_owned(topic_channel.clone().listen_to_hosts(url.clone())));
        tokio::spawn(stop.clone().run_until_cancelled_owned(topic_channel.clone().send_queued(pool.clone())));
        Ok(Self {
            url: options,
            limits,
            host: pool,
            lease_locks: LeaseLocks::new(url.clone(), channel.clone()),
            channel,
            topic_channel,
            open: Mutex::new(Some(HashMap::new())),
            _channel_tasks: stop.drop_guard(),
        })
    }

    /// A pool of connections of a component's role. The limits are settings of
    /// each connection.
    pub(super) fn pool(&self, account: &Account, connections: u32, writes: bool) -> Result<Pool, Error> {
        let (statement_ms, wait_ms) = (self.limits.statement_ms.to_string(), self.limits.wait_ms.to_string());
        let options = self
            .url
            .clone()
            .username(&account.role)
            .password(&account.password)
            .application_name(&account.role)
            .statement_cache_capacity(256)
            .options([
                ("search_path", account.schema.as_str()),
                ("statement_timeout", statement_ms.as_str()),
                ("lock_timeout", wait_ms.as_str()),
                // A host that hangs in a transaction blocks all other hosts.
                ("idle_in_transaction_session_timeout", "30s"),
                // A statement ends soon after its connection was closed.
                ("client_connection_check_interval", "500ms"),
                // Nothing ends the compiler of expressions.
                ("jit", "off"),
                ("default_transaction_read_only", if writes { "off" } else { "on" }),
            ]);
        Pool::new(options, connections)
    }
}

/// The settings of a connection of the host's role.
fn of_host(options: PgConnectOptions) -> PgConnectOptions {
    options.application_name("ticketing").options([
        ("search_path", "ticketing_host"),
        ("statement_timeout", "30s"),
        ("lock_timeout", "10s"),
        ("idle_in_transaction_session_timeout", "30s"),
        ("client_min_messages", "warning"),
    ])
}

#[async_trait]
impl Databases for PostgresDatabases {
    async fn open(&self, component: &str) -> Result<Arc<dyn Database>, Error> {
        check_component_name(component)?;
        let mut open = self.open.lock().await;
        let open = open.as_mut().ok_or_else(shutting_down)?;
        if let Some(database) = open.get(component) {
            return Ok(database.clone());
        }
        let account = accounts::find_or_create(&self.host, component).await?;
        let database = Arc::new(PostgresDatabase::new(self, component, &account)?);
        open.insert(component.to_owned(), database.clone());
        Ok(database)
    }

    async fn exists(&self, component: &str) -> Result<bool, Error> {
        check_component_name(component)?;
        let sql = "SELECT EXISTS (SELECT FROM store_components WHERE component = $1)";
        sqlx::query_scalar(sql).bind(component).fetch_one(&self.host).await.map_err(Failure::error_of)
    }

    async fn close(&self) {
        for database in self.open.lock().await.take().unwrap_or_default().into_values() {
            database.close().await;
        }
        self.lease_locks.close().await;
        self.host.close().await;
    }
}
