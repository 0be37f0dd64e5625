//! The PostgreSQL database with the schemas of all components.

use super::{
    PostgresDatabase,
    accounts::{self, Account},
    errors::Failure,
    lease_locks::LeaseLocks,
    login::{Login, LoginProblems},
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
use host_database::{
    HostDatabase,
    connections::{Connections, HostPool, guarded},
};
use sqlx::{
    ConnectOptions, Executor, PgPool, Postgres,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{collections::HashMap, str::FromStr, sync::Arc, time::Duration};
use tokio::sync::Mutex;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The connections of the host's role, which read outboxes and timers.
const HOST_CONNECTIONS: u32 = 4;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens each component's schema once, and keeps it open until the host stops.
pub struct PostgresDatabases {
    url: PgConnectOptions,
    pub(super) limits: Limits,
    pub(super) host: HostPool<Postgres>,
    pub(super) connections: Arc<Connections>,
    pub(super) channel: Arc<NotifyChannel>,
    pub(super) topic_channel: Arc<TopicChannel>,
    pub(super) lease_locks: Arc<LeaseLocks>,
    /// None after [`Databases::close`].
    open: Mutex<Option<HashMap<String, Arc<PostgresDatabase>>>>,
    problems: Arc<LoginProblems>,
    /// Stops the tasks of the channel and of the logins.
    _tasks: DropGuard,
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
        let connections = host.connections.clone();
        let pool = PgPoolOptions::new()
            .max_connections(HOST_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(|connection, _| Box::pin(async move { connection.execute(HOST_SETTINGS).await.map(drop) }));
        let pool = guarded(pool, &connections).connect_with(options.clone().application_name("ticketing")).await?;
        accounts::prepare(host, &pool).await?;
        let channel = Arc::new(NotifyChannel::new());
        let topic_channel = Arc::new(TopicChannel::new());
        let problems = Arc::new(LoginProblems::default());
        let pool = HostPool::new(pool, connections.clone());
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(channel.clone().listen(url.clone())));
        tokio::spawn(stop.clone().run_until_cancelled_owned(channel.clone().send_queued(pool.clone())));
        tokio::spawn(stop.clone().run_until_cancelled_owned(topic_channel.clone().listen_to_hosts(url.clone())));
        tokio::spawn(stop.clone().run_until_cancelled_owned(topic_channel.clone().send_queued(pool.clone())));
        tokio::spawn(stop.clone().run_until_cancelled_owned(problems.clone().retry()));
        Ok(Self {
            url: options,
            limits,
            host: pool,
            connections,
            lease_locks: LeaseLocks::new(url.clone(), channel.clone()),
            channel,
            topic_channel,
            problems,
            open: Mutex::new(Some(HashMap::new())),
            _tasks: stop.drop_guard(),
        })
    }

    /// The login of a component's role.
    pub(super) fn login(&self, component: &str, account: &Account) -> Arc<Login> {
        let problems = self.problems.clone();
        Login::new(component, self.url.clone(), PgPool::clone(&self.host), account.clone(), problems)
    }

    /// A pool of connections of a component's role. The limits are settings of
    /// each connection.
    pub(super) fn pool(&self, login: &Arc<Login>, schema: &str, connections: u32, writes: bool) -> Result<Pool, Error> {
        let Limits { statement_ms, wait_ms, .. } = &self.limits;
        let reads_only = if writes { "" } else { "SET default_transaction_read_only = on;" };
        // A host that hangs in a transaction blocks all other hosts. A statement
        // ends soon after its connection was closed. Nothing ends the compiler
        // of expressions.
        let settings = format!(
            "SET search_path = {schema}; SET statement_timeout = {statement_ms}; SET lock_timeout = {wait_ms};
             SET idle_in_transaction_session_timeout = '30s'; SET client_connection_check_interval = '500ms';
             SET jit = off; {reads_only}"
        );
        Pool::new(login.clone(), settings, self.connections.clone(), connections)
    }
}

/// The settings of a connection of the host's role.
const HOST_SETTINGS: &str = "SET search_path = ticketing_host; SET statement_timeout = '30s'; SET lock_timeout = '10s'; \
     SET idle_in_transaction_session_timeout = '30s'; SET client_min_messages = warning";

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
        let login = database.check_login().await;
        login.map_err(|error| self.problems.of(component).map_or(error, Error::Unavailable))?;
        open.insert(component.to_owned(), database.clone());
        Ok(database)
    }

    async fn exists(&self, component: &str) -> Result<bool, Error> {
        check_component_name(component)?;
        let sql = "SELECT EXISTS (SELECT FROM store_components WHERE component = $1)";
        sqlx::query_scalar(sql).bind(component).fetch_one(&self.host).await.map_err(Failure::error_of)
    }

    fn problem(&self) -> Option<String> {
        self.problems.first()
    }

    async fn close(&self) {
        for database in self.open.lock().await.take().unwrap_or_default().into_values() {
            database.close().await;
        }
        self.lease_locks.close().await;
        self.host.close().await;
    }
}
