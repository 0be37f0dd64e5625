//! The right to be the only host of a database. Whoever keeps the event bus
//! inside the process needs it: another host would not hear of its events.

use crate::lock_key;
use host_base::secret::Secret;
use sqlx::{Connection, PgConnection};
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

const LOOK_EVERY: Duration = Duration::from_secs(5);
const LOOK_LIMIT: Duration = Duration::from_secs(10);

/// Held as long as this value lives.
#[derive(Debug)]
pub struct SingletonLock {
    _held: DropGuard,
}

impl SingletonLock {
    /// Takes the right. None if another host has it.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn take(url: &Secret) -> sqlx::Result<Option<Self>> {
        let Some(connection) = hold(url).await? else { return Ok(None) };
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(keep(url.clone(), connection)));
        Ok(Some(Self { _held: stop.drop_guard() }))
    }
}

/// The lock is the connection's: it is free when the connection ends, however
/// that happens.
async fn hold(url: &Secret) -> sqlx::Result<Option<PgConnection>> {
    let mut connection = PgConnection::connect(url.expose()).await?;
    let held: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
        .bind(lock_key(&["only host"]))
        .fetch_one(&mut connection)
        .await?;
    Ok(held.then_some(connection))
}

/// Takes the right again whenever the connection is lost.
async fn keep(url: Secret, mut connection: PgConnection) {
    loop {
        sleep(LOOK_EVERY).await;
        if matches!(timeout(LOOK_LIMIT, connection.ping()).await, Ok(Ok(()))) {
            continue;
        }
        loop {
            match hold(&url).await {
                Ok(Some(again)) => {
                    connection = again;
                    break;
                }
                Ok(None) => tracing::error!(
                    "another host has taken over this database, and this one still runs: stop one of them, or set TICKETING_NATS_URL for both"
                ),
                Err(error) => tracing::warn!(%error, "the database cannot be reached"),
            }
            sleep(LOOK_EVERY).await;
        }
    }
}
