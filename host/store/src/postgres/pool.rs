//! A pool of connections of one component's role.
//!
//! sqlx's own pool pings each connection that comes back, which is one more
//! round trip for each use. It also gives out the connection that was idle
//! longest. This pool gives out the connection that was used last. When that one
//! turns out to be lost, its user closes all idle connections.

use super::errors::Failure;
use crate::Error;
use deadpool::managed::{self, Manager, Metrics, Object, PoolError, QueueMode, RecycleError, RecycleResult};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use std::{io::ErrorKind, time::Duration};
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
    pub(super) fn new(options: PgConnectOptions, most: u32) -> Result<Self, Error> {
        let builder = managed::Pool::builder(Connector(options)).max_size(most as usize);
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
            Ok(connection) => Ok(PooledConnection(Some(connection))),
            Err(PoolError::Backend(error)) => Err(error.into()),
            Err(PoolError::Closed) => Err(Failure::transaction(closed())),
            Err(error) => Err(Failure::transaction(Error::Unavailable(error.to_string()))),
        }
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
pub(super) struct PooledConnection(Option<Object<Connector>>);

impl PooledConnection {
    pub(super) fn connection(&mut self) -> Result<&mut PgConnection, Error> {
        self.0.as_deref_mut().ok_or_else(closed)
    }

    /// Gives the connection back. No statement may run on it.
    pub(super) fn release(mut self) {
        drop(self.0.take());
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(Object::take(connection));
        }
    }
}

/// Connects as the component's role.
struct Connector(PgConnectOptions);

impl Manager for Connector {
    type Type = PgConnection;
    type Error = sqlx::Error;

    async fn create(&self) -> sqlx::Result<PgConnection> {
        let mut pause = FIRST_PAUSE;
        loop {
            match PgConnection::connect_with(&self.0).await {
                Err(error) if is_temporary(&error) => sleep(pause).await,
                connected => return connected,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn recycle(&self, _: &mut PgConnection, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        if metrics.age() < LIFETIME { Ok(()) } else { Err(RecycleError::message("it is too old")) }
    }
}

fn is_temporary(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == ErrorKind::ConnectionRefused,
        error => {
            let code = error.as_database_error().and_then(|error| error.code());
            code.is_some_and(|code| TEMPORARY_ERRORS.contains(&&*code))
        }
    }
}
