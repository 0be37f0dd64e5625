//! Which host has a duty for a component: the one whose connection has the lock
//! of that name. One connection of a host holds all that it has. Once a second
//! the host asks on it for all that it waits for, and for a sign of life with
//! that: the server ends it when the host stands still, and others take over.

use super::{
    super::{Error, LeaderRole, Leadership},
    pg_notify::PgNotify,
};
use async_trait::async_trait;
use host_base::secret::Secret;
use host_database::lock_key;
use sqlx::{Connection, Executor, PgConnection};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Mutex, Notify},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How often it is asked for what others have, and made sure of the rest.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOK_LIMIT: Duration = Duration::from_secs(5);
/// Who waits asks this often at least.
const GIVEN_UP_AFTER: Duration = LOOK_EVERY.saturating_mul(2);
const LOCK: &str = "SELECT key FROM unnest($1::bigint[]) AS key WHERE pg_try_advisory_lock(key)";
const UNLOCK: &str = "SELECT pg_advisory_unlock(key) FROM unnest($1::bigint[]) AS key";
/// PostgreSQL has it since its version 14.
const ENDED_WHEN_IDLE: &str = "SELECT set_config('idle_session_timeout', '10s', false)
    WHERE current_setting('server_version_num')::integer >= 140000";

/// The connection with the locks.
pub(super) struct Leaderships {
    url: Secret,
    wakes: Arc<PgNotify>,
    held: Mutex<Held>,
    /// Something was found for those who wait.
    found: Notify,
}

#[derive(Default)]
struct Held {
    connection: Option<PgConnection>,
    /// Counts connections: with one that is lost all of its locks are.
    epoch: u64,
    looked: Option<Instant>,
    /// What others have, and when it was last asked for.
    waited_for: BTreeMap<i64, Instant>,
    /// What the last look has locked for those who wait. If nobody takes it up
    /// the next one unlocks it.
    found: BTreeSet<i64>,
}

impl Held {
    /// Whether the last look is not long ago.
    fn has_looked(&self) -> bool {
        self.connection.is_some() && self.looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY)
    }
}

/// The right to one duty for one component.
struct Leading {
    leads: Arc<Leaderships>,
    duty: LeaderRole,
    component: String,
    epoch: u64,
    lost: CancellationToken,
    /// Ends the look-out with this value.
    _look_out: DropGuard,
}

impl Leaderships {
    pub(super) fn new(url: Secret, wakes: Arc<PgNotify>) -> Arc<Self> {
        Arc::new(Self { url, wakes, held: Mutex::default(), found: Notify::new() })
    }

    /// Waits until no other host leads.
    pub(super) async fn lead(
        self: &Arc<Self>,
        duty: LeaderRole,
        component: &str,
    ) -> Result<Box<dyn Leadership>, Error> {
        let key = key(duty, component);
        let mut at_once = true;
        loop {
            let found = self.found.notified();
            // In a task of its own: a caller that goes away in the middle of
            // it must not take the connection along.
            let leads = self.clone();
            match tokio::spawn(async move { leads.try_lock(key, at_once).await }).await {
                Ok(Ok(Some(epoch))) => return Ok(Box::new(self.leading(duty, component, epoch))),
                Ok(Ok(None)) => drop(timeout(LOOK_EVERY, found).await),
                Ok(Err(error)) => return Err(Error::Unavailable(error.to_string())),
                Err(_) => return Err(Error::Unavailable("the host is shutting down".into())),
            }
            at_once = false;
        }
    }

    fn leading(self: &Arc<Self>, duty: LeaderRole, component: &str, epoch: u64) -> Leading {
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

    /// The number of the connection that has the lock. None while another host
    /// has it, as far as the last look or one at once could tell.
    async fn try_lock(&self, key: i64, at_once: bool) -> sqlx::Result<Option<u64>> {
        let mut held = self.held.lock().await;
        held.waited_for.insert(key, Instant::now());
        if at_once || !held.has_looked() {
            self.look(&mut held).await?;
        }
        Ok(held.found.remove(&key).then_some(held.epoch))
    }

    /// Whether the connection with this number is still there.
    async fn is_held(&self, epoch: u64) -> bool {
        let mut held = self.held.lock().await;
        if held.epoch == epoch
            && !held.has_looked()
            && let Err(error) = self.look(&mut held).await
        {
            tracing::debug!(%error, "others may do what this host did for all");
        }
        held.epoch == epoch && held.connection.is_some()
    }

    /// Locks what is free of what is waited for. If that fails the connection
    /// is gone, and all locks with it.
    async fn look(&self, held: &mut Held) -> sqlx::Result<()> {
        let mut connection = match held.connection.take() {
            Some(connection) => connection,
            None => self.connect(held).await?,
        };
        held.waited_for.retain(|_, asked| asked.elapsed() < GIVEN_UP_AFTER);
        let keys: Vec<i64> = held.waited_for.keys().copied().collect();
        let abandoned: Vec<i64> = std::mem::take(&mut held.found).into_iter().collect();
        let looking = async {
            if !abandoned.is_empty() {
                sqlx::query(UNLOCK).bind(abandoned).execute(&mut connection).await?;
            }
            sqlx::query_scalar::<_, i64>(LOCK).bind(keys).fetch_all(&mut connection).await
        };
        let locked = timeout(LOOK_LIMIT, looking).await.map_err(std::io::Error::from)??;
        held.connection = Some(connection);
        held.looked = Some(Instant::now());
        if !locked.is_empty() {
            held.waited_for.retain(|key, _| !locked.contains(key));
            held.found.extend(locked);
            self.found.notify_waiters();
        }
        Ok(())
    }

    async fn connect(&self, held: &mut Held) -> sqlx::Result<PgConnection> {
        held.epoch += 1;
        held.found.clear();
        let mut connection = PgConnection::connect(self.url.expose()).await?;
        connection.execute(ENDED_WHEN_IDLE).await?;
        Ok(connection)
    }

    async fn unlock(&self, key: i64, epoch: u64) {
        let mut held = self.held.lock().await;
        if held.epoch == epoch
            && let Some(mut connection) = held.connection.take()
            && sqlx::query(UNLOCK).bind(vec![key]).execute(&mut connection).await.is_ok()
        {
            held.connection = Some(connection);
        }
    }
}

#[async_trait]
impl Leadership for Leading {
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

fn key(duty: LeaderRole, component: &str) -> i64 {
    match duty {
        LeaderRole::Outbox => lock_key(&["lead", component]),
        LeaderRole::Timers => lock_key(&["timers", component]),
    }
}
