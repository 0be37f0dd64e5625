//! Connections of one component's role.
//!
//! sqlx's own pool asks the server for a sign of life whenever a connection
//! comes back, which is one more round trip for each use, and hands them out in
//! turn, so that each use finds the server's process that has been idle longest.
//! Here the one that was used last is used next, and whoever finds that one is
//! gone lets go of all the others that are idle.

use super::{super::Error, errors::Failure};
use deadpool::managed::{self, Manager, Metrics, Object, PoolError, QueueMode, RecycleError, RecycleResult};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use std::{io::ErrorKind, time::Duration};
use tokio::time::sleep;

/// A connection that is not needed goes.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// What the server's process remembers for a connection only grows.
const LIFETIME: Duration = Duration::from_secs(30 * 60);
/// Between attempts to connect to a server that is starting; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// `too_many_connections`, and `cannot_connect_now`: it is starting.
const SOON_BETTER: [&str; 2] = ["53300", "57P03"];

/// Connections are made as they are needed, up to a number.
pub(super) struct Pool(managed::Pool<Role>);

impl Pool {
    pub(super) fn new(options: PgConnectOptions, most: u32) -> Result<Self, Error> {
        let pool = managed::Pool::builder(Role(options)).max_size(most as usize).queue_mode(QueueMode::Lifo).build();
        let pool = pool.map_err(|error| Error::Unavailable(error.to_string()))?;
        let weak = pool.weak();
        tokio::spawn(async move {
            loop {
                sleep(LOOK_EVERY).await;
                let Some(pool) = weak.upgrade() else { return };
                Self(pool).close_idle(IDLE_TIMEOUT);
            }
        });
        Ok(Self(pool))
    }

    /// Waits for a connection as long as the caller does, those who came first
    /// before others.
    pub(super) async fn acquire(&self) -> Result<Lease, Failure> {
        match self.0.get().await {
            Ok(connection) => Ok(Lease(Some(connection))),
            Err(PoolError::Backend(error)) => Err(error.into()),
            Err(PoolError::Closed) => Err(Failure::transaction(closed())),
            Err(error) => Err(Failure::transaction(Error::Unavailable(error.to_string()))),
        }
    }

    /// Closes those that nobody has used for so long.
    pub(super) fn close_idle(&self, unused: Duration) {
        drop(self.0.retain(|_, metrics| metrics.last_used() < unused));
    }

    /// Waits for those in use. Nobody gets one any more.
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

/// A connection in use. One that is dropped before
/// [`release`](Self::release) is closed: a statement may be under way on it, and
/// the server ends that and rolls back.
pub(super) struct Lease(Option<Object<Role>>);

impl Lease {
    pub(super) fn connection(&mut self) -> Result<&mut PgConnection, Error> {
        self.0.as_deref_mut().ok_or_else(closed)
    }

    /// Gives it to the next: nothing is under way on it.
    pub(super) fn release(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(Object::take(connection));
        }
    }
}

/// Who connects, and how.
struct Role(PgConnectOptions);

impl Manager for Role {
    type Type = PgConnection;
    type Error = sqlx::Error;

    async fn create(&self) -> sqlx::Result<PgConnection> {
        let mut pause = FIRST_PAUSE;
        loop {
            match PgConnection::connect_with(&self.0).await {
                Err(error) if is_soon_better(&error) => sleep(pause).await,
                connected => return connected,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn recycle(&self, _: &mut PgConnection, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        if metrics.age() < LIFETIME { Ok(()) } else { Err(RecycleError::message("it is too old")) }
    }
}

fn is_soon_better(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == ErrorKind::ConnectionRefused,
        error => {
            let code = error.as_database_error().and_then(|error| error.code());
            code.is_some_and(|code| SOON_BETTER.contains(&&*code))
        }
    }
}
