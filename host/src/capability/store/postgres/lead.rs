//! Which host has a duty for a component: the one whose connection has the lock
//! of that name. One connection of a host holds all that it has. A host asks
//! for a sign of life on it all the time, so the server ends it when the host
//! stands still, and others take over.

use super::{
    super::{Duty, Error, Lead},
    wakes::Wakes,
};
use crate::{config::Secret, database::lock_key};
use async_trait::async_trait;
use sqlx::{Connection, Executor, PgConnection};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How often those that wait ask, and those that lead make sure.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOK_LIMIT: Duration = Duration::from_secs(5);
/// PostgreSQL has it since its version 14.
const ENDED_WHEN_IDLE: &str = "SELECT set_config('idle_session_timeout', '10s', false)
    WHERE current_setting('server_version_num')::integer >= 140000";

/// The connection with the locks.
pub(super) struct Leads {
    url: Secret,
    wakes: Arc<Wakes>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    connection: Option<PgConnection>,
    /// Counts connections: with one that is lost all of its locks are.
    epoch: u64,
}

/// The right to one duty for one component.
struct Leading {
    leads: Arc<Leads>,
    duty: Duty,
    component: String,
    epoch: u64,
    lost: CancellationToken,
    /// Ends the look-out with this value.
    _look_out: DropGuard,
}

impl Leads {
    pub(super) fn new(url: Secret, wakes: Arc<Wakes>) -> Arc<Self> {
        Arc::new(Self { url, wakes, held: Mutex::default() })
    }

    /// Waits until no other host leads.
    pub(super) async fn lead(self: &Arc<Self>, duty: Duty, component: &str) -> Result<Box<dyn Lead>, Error> {
        let key = key(duty, component);
        loop {
            // In a task of its own: a caller that goes away in the middle of
            // it must not take the connection along.
            let leads = self.clone();
            match tokio::spawn(async move { leads.try_lock(key).await }).await {
                Ok(Ok(Some(epoch))) => return Ok(Box::new(self.leading(duty, component, epoch))),
                Ok(Ok(None)) => sleep(LOOK_EVERY).await,
                Ok(Err(error)) => return Err(Error::Unavailable(error.to_string())),
                Err(_) => return Err(Error::Unavailable("the host is shutting down".into())),
            }
        }
    }

    fn leading(self: &Arc<Self>, duty: Duty, component: &str, epoch: u64) -> Leading {
        self.wakes.lead(duty, component);
        let component = component.to_owned();
        let (lost, look_out) = (CancellationToken::new(), CancellationToken::new());
        tokio::spawn(self.clone().watch(epoch, lost.clone(), look_out.clone()));
        Leading { leads: self.clone(), duty, component, epoch, lost, _look_out: look_out.drop_guard() }
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
                let mut connection = PgConnection::connect(self.url.expose()).await?;
                connection.execute(ENDED_WHEN_IDLE).await?;
                connection
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
        self.leads.wakes.leave(self.duty, &self.component);
        let (leads, key, epoch) = (self.leads.clone(), key(self.duty, &self.component), self.epoch);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { leads.unlock(key, epoch).await });
        }
    }
}

fn key(duty: Duty, component: &str) -> i64 {
    match duty {
        Duty::Outbox => lock_key(&["lead", component]),
        Duty::Timers => lock_key(&["timers", component]),
    }
}
