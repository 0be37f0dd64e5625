//! Which host carries the events of a component: the one whose connection has
//! the lock of that name. One connection of a host holds all that it has.

use super::super::{Error, Lead};
use crate::{config::Secret, database::lock_key};
use async_trait::async_trait;
use sqlx::{Connection, PgConnection};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How often those that wait ask, and those that lead make sure.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOK_LIMIT: Duration = Duration::from_secs(5);

/// The connection with the locks.
pub(super) struct Leads {
    url: Secret,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    connection: Option<PgConnection>,
    /// Counts connections: with one that is lost all of its locks are.
    epoch: u64,
}

/// The right to one component's events.
struct Leading {
    leads: Arc<Leads>,
    key: i64,
    epoch: u64,
    lost: CancellationToken,
    /// Ends the look-out with this value.
    _look_out: DropGuard,
}

impl Leads {
    pub(super) fn new(url: Secret) -> Arc<Self> {
        Arc::new(Self { url, held: Mutex::default() })
    }

    /// Waits until no other host leads.
    pub(super) async fn lead(self: &Arc<Self>, component: &str) -> Result<Box<dyn Lead>, Error> {
        let key = lock_key(&["lead", component]);
        loop {
            // In a task of its own: a caller that goes away in the middle of
            // it must not take the connection along.
            let leads = self.clone();
            match tokio::spawn(async move { leads.try_lock(key).await }).await {
                Ok(Ok(Some(epoch))) => return Ok(Box::new(self.leading(key, epoch))),
                Ok(Ok(None)) => sleep(LOOK_EVERY).await,
                Ok(Err(error)) => return Err(Error::Unavailable(error.to_string())),
                Err(_) => return Err(Error::Unavailable("the host is shutting down".into())),
            }
        }
    }

    fn leading(self: &Arc<Self>, key: i64, epoch: u64) -> Leading {
        let (lost, look_out) = (CancellationToken::new(), CancellationToken::new());
        tokio::spawn(self.clone().watch(epoch, lost.clone(), look_out.clone()));
        Leading { leads: self.clone(), key, epoch, lost, _look_out: look_out.drop_guard() }
    }

    async fn watch(self: Arc<Self>, epoch: u64, lost: CancellationToken, look_out: CancellationToken) {
        while look_out.run_until_cancelled(sleep(LOOK_EVERY)).await.is_some() {
            if !self.is_held(epoch).await {
                lost.cancel();
                return;
            }
        }
    }

    pub(super) async fn close(&self) {
        if let Some(connection) = self.held.lock().await.connection.take() {
            // Whatever this says, the locks are free.
            drop(connection.close().await);
        }
    }

    async fn try_lock(&self, key: i64) -> sqlx::Result<Option<u64>> {
        let mut held = self.held.lock().await;
        let mut connection = match held.connection.take() {
            Some(connection) => connection,
            None => {
                held.epoch += 1;
                PgConnection::connect(self.url.expose()).await?
            }
        };
        let locked: bool =
            sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(key).fetch_one(&mut connection).await?;
        held.connection = Some(connection);
        Ok(locked.then_some(held.epoch))
    }

    /// Whether the connection with this number is still there.
    async fn is_held(&self, epoch: u64) -> bool {
        let mut held = self.held.lock().await;
        if held.epoch != epoch {
            return false;
        }
        let Some(mut connection) = held.connection.take() else { return false };
        let there = matches!(timeout(LOOK_LIMIT, connection.ping()).await, Ok(Ok(())));
        if there {
            held.connection = Some(connection);
        }
        there
    }

    async fn unlock(&self, key: i64, epoch: u64) {
        let mut held = self.held.lock().await;
        if held.epoch == epoch
            && let Some(mut connection) = held.connection.take()
        {
            let query = sqlx::query("SELECT pg_advisory_unlock($1)").bind(key);
            if query.execute(&mut connection).await.is_ok() {
                held.connection = Some(connection);
            }
        }
    }
}

#[async_trait]
impl Lead for Leading {
    async fn lost(&mut self) {
        self.lost.cancelled().await;
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        let (leads, key, epoch) = (self.leads.clone(), self.key, self.epoch);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { leads.unlock(key, epoch).await });
        }
    }
}
