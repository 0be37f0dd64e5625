//! The PostgreSQL database with the schemas of all components.

use super::{
    super::{Database, Databases, Error, check_name},
    Limits, PostgresDatabase,
    errors::Failure,
    leadership::Leaderships,
    pg_notify::PgNotify,
    pool::Pool,
    provision,
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

/// Connections of the host's role that look into outboxes and timers.
const HOST_CONNECTIONS: u32 = 4;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens each component's schema once, and keeps it open until the host ends.
pub struct PostgresDatabases {
    pub(super) url: PgConnectOptions,
    pub(super) limits: Limits,
    pub(super) host: PgPool,
    pub(super) wakes: Arc<PgNotify>,
    pub(super) leads: Arc<Leaderships>,
    /// None once closed.
    open: Mutex<Option<HashMap<String, Arc<PostgresDatabase>>>>,
    _listening: DropGuard,
}

impl PostgresDatabases {
    /// Uses the database with this URL, in which the host's own tables are.
    ///
    /// # Errors
    /// When it cannot be reached, or does not let the host make its tables.
    pub async fn connect(url: &Secret, host: &HostDatabase, settings: &StoreConfig) -> sqlx::Result<Self> {
        let limits = Limits {
            readers: settings.readers,
            wait_ms: u64::try_from(settings.queue_wait.as_millis()).unwrap_or(u64::MAX),
            ..Limits::default()
        };
        Self::with_limits(url, host, limits).await
    }

    pub(super) async fn with_limits(url: &Secret, host: &HostDatabase, limits: Limits) -> sqlx::Result<Self> {
        let options = PgConnectOptions::from_str(url.expose())?.disable_statement_logging();
        let own = options.clone().application_name("ticketing").options([
            ("search_path", "ticketing_host"),
            ("statement_timeout", "30s"),
            ("lock_timeout", "10s"),
            ("idle_in_transaction_session_timeout", "30s"),
            ("client_min_messages", "warning"),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(HOST_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(own)
            .await?;
        provision::prepare(host, &pool).await?;
        let wakes = Arc::new(PgNotify::new());
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(wakes.clone().listen(url.clone())));
        tokio::spawn(stop.clone().run_until_cancelled_owned(wakes.clone().tell(pool.clone())));
        Ok(Self {
            url: options,
            limits,
            host: pool,
            leads: Leaderships::new(url.clone(), wakes.clone()),
            wakes,
            open: Mutex::new(Some(HashMap::new())),
            _listening: stop.drop_guard(),
        })
    }

    /// Connections of a component's role, made as they are needed. Limits are
    /// the connection's from its beginning.
    pub(super) fn pool(&self, place: &provision::Place, connections: u32, writes: bool) -> Result<Pool, Error> {
        let (statement_ms, wait_ms) = (self.limits.statement_ms.to_string(), self.limits.wait_ms.to_string());
        let options = self
            .url
            .clone()
            .username(&place.role)
            .password(&place.password)
            .application_name(&place.role)
            .statement_cache_capacity(256)
            .options([
                ("search_path", place.schema.as_str()),
                ("statement_timeout", statement_ms.as_str()),
                ("lock_timeout", wait_ms.as_str()),
                // A host that stands still in a transaction holds up all others.
                ("idle_in_transaction_session_timeout", "30s"),
                // Whose caller is gone is not worked on for much longer.
                ("client_connection_check_interval", "1s"),
                ("default_transaction_read_only", if writes { "off" } else { "on" }),
            ]);
        Pool::new(options, connections)
    }
}

#[async_trait]
impl Databases for PostgresDatabases {
    async fn open(&self, component: &str) -> Result<Arc<dyn Database>, Error> {
        check_name(component)?;
        let mut open = self.open.lock().await;
        let Some(open) = open.as_mut() else {
            return Err(Error::Unavailable("the host is shutting down".into()));
        };
        if let Some(database) = open.get(component) {
            return Ok(database.clone());
        }
        let place = provision::place(&self.host, component).await?;
        let database = Arc::new(PostgresDatabase::new(self, component, &place)?);
        open.insert(component.to_owned(), database.clone());
        Ok(database)
    }

    async fn exists(&self, component: &str) -> Result<bool, Error> {
        check_name(component)?;
        let found = sqlx::query_scalar("SELECT EXISTS (SELECT FROM store_components WHERE component = $1)")
            .bind(component)
            .fetch_one(&self.host)
            .await;
        found.map_err(|error| Failure::from(error).error)
    }

    async fn close(&self) {
        for database in self.open.lock().await.take().unwrap_or_default().into_values() {
            database.close().await;
        }
        self.leads.close().await;
        self.host.close().await;
    }
}
