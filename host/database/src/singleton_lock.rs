//! The right to be the only host on a database. A host with the embedded event
//! bus needs it, because another host would not receive the events of that bus.

use crate::{connections::is_writable, lock_key, reach, try_advisory_lock};
use host_base::secret::Secret;
use sqlx::PgConnection;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

const CHECK_INTERVAL: Duration = Duration::from_secs(2);
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// Holds the right as long as this value lives.
#[derive(Debug)]
pub struct SingletonLock {
    _task: DropGuard,
}

impl SingletonLock {
    /// Takes the right. Returns `None` if another host has it.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn acquire(url: &Secret) -> sqlx::Result<Option<Self>> {
        let Some(connection) = try_lock(url).await? else { return Ok(None) };
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(keep(url.clone(), connection)));
        Ok(Some(Self { _task: stop.drop_guard() }))
    }
}

/// Takes the lock on a new connection.
async fn try_lock(url: &Secret) -> sqlx::Result<Option<PgConnection>> {
    let mut connection = reach::connect(url).await?;
    let locked = try_advisory_lock(&mut connection, lock_key(&["only host"])).await?;
    Ok(locked.then_some(connection))
}

/// Takes the lock again whenever the connection is lost, or its server only reads:
/// then another server may have taken over, and the lock counts there.
async fn keep(url: Secret, mut connection: PgConnection) {
    loop {
        sleep(CHECK_INTERVAL).await;
        if !matches!(timeout(CHECK_TIMEOUT, is_writable(&mut connection)).await, Ok(Ok(true))) {
            connection = lock_again(&url).await;
        }
    }
}

async fn lock_again(url: &Secret) -> PgConnection {
    loop {
        match try_lock(url).await {
            Ok(Some(connection)) => return connection,
            Ok(None) => tracing::error!(
                "another host has taken over this database while this one still runs: stop one of them, or set TICKETING_NATS_URL for both"
            ),
            Err(error) => tracing::warn!(%error, "the host cannot reach the database"),
        }
        sleep(CHECK_INTERVAL).await;
    }
}
