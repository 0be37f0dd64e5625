//! Leases by advisory locks. A host holds a lease while its session holds the lock
//! for the role and the component.
//!
//! One session of a host holds all its locks. Three times per second the host uses
//! the session to try the locks that it waits for. That also proves that the host is
//! alive: the server ends the session of a host that hangs, and other hosts get
//! its locks.

use super::{
    lock_session::{CHECK_INTERVAL, LockSession},
    notify_channel::NotifyChannel,
};
use crate::{Error, Lease, LeaseRole, database::shutting_down};
use async_trait::async_trait;
use host_base::secret::Secret;
use host_database::lock_key;
use std::sync::Arc;
use tokio::{
    runtime::Handle,
    sync::{Mutex, Notify},
    time::{sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The leases of this host.
pub(super) struct LeaseLocks {
    channel: Arc<NotifyChannel>,
    session: Mutex<LockSession>,
    /// A check has acquired locks.
    acquired: Notify,
}

impl LeaseLocks {
    pub(super) fn new(url: Secret, channel: Arc<NotifyChannel>) -> Arc<Self> {
        Arc::new(Self { channel, session: Mutex::new(LockSession::new(url)), acquired: Notify::new() })
    }

    /// Waits for the lease.
    pub(super) async fn acquire_lease(
        self: &Arc<Self>,
        role: LeaseRole,
        component: &str,
    ) -> Result<Box<dyn Lease>, Error> {
        let key = key(role, component);
        let mut is_first = true;
        loop {
            let acquired = self.acquired.notified();
            // In its own task: a caller that is dropped must not drop the
            // session with it.
            let locks = self.clone();
            match tokio::spawn(async move { locks.try_lock(key, is_first).await }).await {
                Ok(Ok(Some(session))) => return Ok(Box::new(self.lease(role, component, session))),
                Ok(Ok(None)) => drop(timeout(CHECK_INTERVAL, acquired).await),
                Ok(Err(error)) => return Err(Error::Unavailable(error.to_string())),
                Err(_) => return Err(shutting_down()),
            }
            is_first = false;
        }
    }

    fn lease(self: &Arc<Self>, role: LeaseRole, component: &str, session: u64) -> PostgresLease {
        self.channel.add_lease(role, component);
        let component = component.to_owned();
        let (lost, ended) = (CancellationToken::new(), CancellationToken::new());
        tokio::spawn(self.clone().watch(session, lost.clone(), ended.clone()));
        PostgresLease { locks: self.clone(), role, component, session, lost, _ended: ended.drop_guard() }
    }

    /// Cancels `lost` when the session ends.
    async fn watch(self: Arc<Self>, session: u64, lost: CancellationToken, ended: CancellationToken) {
        while ended.run_until_cancelled(sleep(CHECK_INTERVAL)).await.is_some() {
            if !self.is_alive(session).await {
                lost.cancel();
                return;
            }
        }
    }

    /// Returns the number of the session that holds the lock. Returns none if
    /// another host held it at the last check.
    async fn try_lock(&self, key: i64, is_first: bool) -> sqlx::Result<Option<u64>> {
        let mut session = self.session.lock().await;
        session.want(key);
        if is_first || !session.is_checked() {
            self.check(&mut session).await?;
        }
        Ok(session.take(key))
    }

    async fn is_alive(&self, number: u64) -> bool {
        let mut session = self.session.lock().await;
        if session.is_open(number)
            && !session.is_checked()
            && let Err(error) = self.check(&mut session).await
        {
            tracing::debug!(%error, "this host has lost its leases");
        }
        session.is_open(number)
    }

    async fn check(&self, session: &mut LockSession) -> sqlx::Result<()> {
        if session.check().await? {
            self.acquired.notify_waiters();
        }
        Ok(())
    }

    async fn unlock(&self, key: i64, session: u64) {
        self.session.lock().await.unlock(key, session).await;
    }

    pub(super) async fn close(&self) {
        self.session.lock().await.close().await;
    }
}

/// A lease that this host holds.
struct PostgresLease {
    locks: Arc<LeaseLocks>,
    role: LeaseRole,
    component: String,
    /// The number of the session that holds the lock.
    session: u64,
    lost: CancellationToken,
    /// Ends [`LeaseLocks::watch`].
    _ended: DropGuard,
}

#[async_trait]
impl Lease for PostgresLease {
    async fn lost(&mut self) {
        self.lost.cancelled().await;
    }
}

impl Drop for PostgresLease {
    fn drop(&mut self) {
        self.locks.channel.remove_lease(self.role, &self.component);
        let (locks, key, session) = (self.locks.clone(), key(self.role, &self.component), self.session);
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { locks.unlock(key, session).await });
        }
    }
}

fn key(role: LeaseRole, component: &str) -> i64 {
    match role {
        LeaseRole::Outbox => lock_key(&["lead", component]),
        LeaseRole::Timers => lock_key(&["timers", component]),
    }
}
