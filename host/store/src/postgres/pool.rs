//! A pool of connections of one component's role.
//!
//! sqlx's own pool pings each connection that comes back, which is one more
//! round trip for each use. It also gives out the connection that was idle
//! longest. This pool gives out the connection that was used last. When that one
//! turns out to be lost, its user closes all idle connections.

use super::{errors::Failure, login::Login};
use crate::Error;
use deadpool::managed::{self, Manager, Metrics, Object, PoolError, QueueMode, RecycleError, RecycleResult};
use host_database::connections::{Connections, code_of};
use sqlx::PgConnection;
use std::{
    io::ErrorKind,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::sleep;

const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const IDLE_CHECK_INTERVAL: Duration = Duration::from_secs(15);
/// The memory that the server keeps for a connection only grows.
const LIFETIME: Duration = Duration::from_secs(30 * 60);
/// The pause before the second attempt to connect. It doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// `too_many_connections`, and `cannot_connect_now` while the server starts.
const TEMPORARY_ERRORS: [&str; 2] = ["53300", "57P03"];

/// Creates connections as they are needed, up to a number.
pub(super) struct Pool(managed::Pool<Connector>);

impl Pool {
    /// `settings` are the statements that every new connection begins with.
    pub(super) fn new(
        login: Arc<Login>,
        settings: String,
        connections: Arc<Connections>,
        most: u32,
    ) -> Result<Self, Error> {
        let builder = managed::Pool::builder(Connector { login, settings, connections }).max_size(most as usize);
        let pool = builder.queue_mode(QueueMode::Lifo).build();
        let pool = pool.map_err(|error| Error::Unavailable(error.to_string()))?;
        let weak = pool.weak();
        tokio::spawn(async move {
            loop {
                sleep(IDLE_CHECK_INTERVAL).await;
                let Some(pool) = weak.upgrade() else { return };
                Self(pool).close_idle(IDLE_TIMEOUT);
            }
        });
        Ok(Self(pool))
    }

    /// Waits for a connection as long as the caller does. The caller that waits
    /// longest is first.
    pub(super) async fn acquire(&self) -> Result<PooledConnection, Failure> {
        match self.0.get().await {
            Ok(connection) => {
                let made = Object::metrics(&connection).created;
                Ok(PooledConnection { connection: Some(connection), made })
            }
            Err(PoolError::Backend(error)) => Err(error.into()),
            Err(PoolError::Closed) => Err(Failure::transaction(closed())),
            Err(error) => Err(Failure::transaction(Error::Unavailable(error.to_string()))),
        }
    }

    /// The connections of the host, of which these are a part.
    pub(super) fn connections(&self) -> &Arc<Connections> {
        &self.0.manager().connections
    }

    /// Closes the connections that were idle for this time.
    pub(super) fn close_idle(&self, idle: Duration) {
        drop(self.0.retain(|_, metrics| metrics.last_used() < idle));
    }

    /// Closes the pool and waits for the connections that are in use.
    pub(super) async fn close(&self) {
        self.0.close();
        while self.0.status().size > 0 {
            sleep(FIRST_PAUSE).await;
        }
    }
}

pub(super) fn closed() -> Error {
    Error::Unavailable("the database is closed".into())
}

/// A connection in use. Dropping it before [`release`](Self::release) closes it,
/// because a statement may run on it. The server ends the statement and rolls
/// back.
pub(super) struct PooledConnection {
    connection: Option<Object<Connector>>,
    /// When the connection was made.
    pub(super) made: Instant,
}

impl PooledConnection {
    pub(super) fn connection(&mut self) -> Result<&mut PgConnection, Error> {
        self.connection.as_deref_mut().ok_or_else(closed)
    }

    /// Gives the connection back. No statement may run on it.
    pub(super) fn release(mut self) {
        drop(self.connection.take());
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(Object::take(connection));
        }
    }
}

/// Connects as the component's role.
struct Connector {
    login: Arc<Login>,
    settings: String,
    connections: Arc<Connections>,
}

impl Manager for Connector {
    type Type = PgConnection;
    type Error = sqlx::Error;

    async fn create(&self) -> sqlx::Result<PgConnection> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.login.connect(&self.settings).await {
                Err(error) if is_temporary(&error) => sleep(pause).await,
                connected => return connected,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn recycle(&self, _: &mut PgConnection, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        match metrics.age() {
            age if age >= LIFETIME => Err(RecycleError::message("it is too old")),
            age if !self.connections.is_trusted(age) => Err(RecycleError::message("its server is not the same")),
            _ => Ok(()),
        }
    }
}

fn is_temporary(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == ErrorKind::ConnectionRefused,
        error => code_of(error).is_some_and(|code| TEMPORARY_ERRORS.contains(&code)),
    }
}
