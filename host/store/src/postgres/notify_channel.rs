//! The PostgreSQL channel on which hosts notify each other of commits.
//!
//! A host that holds a lease listens on one connection and wakes its workers.
//! The other hosts do not listen, because each listener slows every commit.
//!
//! Events that the relay sends to the other host need no notification. Other
//! commits are announced right after they are durable, several together if there
//! are many. They are not announced within the transaction, because PostgreSQL
//! commits transactions that notify one after another, each with its own sync of
//! the disk. If a host dies before it sends the notification, the holder of
//! the lease finds the work when it polls.

use super::notification::Notification;
use crate::{LeaseRole, OutboxBatch, OutboxSignal, TimersSignal};
use host_base::{clock::now_ms, secret::Secret};
use host_database::connections::{HostPool, Listening, Received};
use parking_lot::Mutex;
use sqlx::Postgres;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    mem,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::sleep,
};

pub(super) const CHANNEL: &str = "ticketing_store";
/// A commit that notifies waits for the disk. This one need not, because the
/// holder of the lease polls if a notification is lost.
const NOTIFY: &str = "SELECT pg_notify($1, notification)
    FROM unnest($2::text[]) AS notification, set_config('synchronous_commit', 'off', true)";
/// The work is due now.
pub(super) const NOW: u64 = 0;
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);
/// The interval at which a host with leases reads outboxes and timers without a
/// notification.
pub(super) const POLL_INTERVAL: Duration = Duration::from_secs(3);
/// A timer that is due later than this needs no notification. The holder of the
/// lease finds it when it polls, even if the clocks of the hosts differ a little.
const FOUND_BY_POLLING: Duration = POLL_INTERVAL.saturating_add(Duration::from_secs(1));

/// A role for a component.
type ComponentRole = (LeaseRole, String);

/// Wakes the workers of a component on this host.
#[derive(Debug, Default, Clone)]
pub(super) struct Signals {
    pub(super) outbox: Arc<OutboxSignal>,
    pub(super) timers: Arc<TimersSignal>,
}

/// Sends notifications to the other hosts, and wakes workers of this host.
pub(super) struct NotifyChannel {
    signals: Mutex<HashMap<String, Signals>>,
    /// The leases of this host.
    leases: watch::Sender<BTreeSet<ComponentRole>>,
    /// The notifications to send, each with the time when the work is due.
    queued: Mutex<BTreeMap<ComponentRole, u64>>,
    has_queued: Notify,
    /// Identifies this host, which ignores its own notifications.
    host_id: String,
}

impl NotifyChannel {
    pub(super) fn new() -> Self {
        Self {
            signals: Mutex::default(),
            leases: watch::Sender::default(),
            queued: Mutex::default(),
            has_queued: Notify::new(),
            host_id: host_base::id::new().to_string(),
        }
    }

    pub(super) fn signals(&self, component: &str) -> Signals {
        self.signals.lock().entry(component.to_owned()).or_default().clone()
    }

    /// Announces the events of a commit to the relay of this host. If that relay
    /// takes none, notifies the holder of the lease.
    pub(super) fn announce_events(&self, component: &str, signals: &Signals, batch: OutboxBatch) {
        if !signals.outbox.offer(batch) {
            self.queue(LeaseRole::Outbox, component, NOW);
        }
    }

    /// Announces a timer that a commit has set. If it is due soon, notifies the
    /// holder of the lease.
    pub(super) fn announce_timer(&self, component: &str, signals: &Signals, due_ms: u64) {
        signals.timers.read_at(due_ms);
        if u128::from(due_ms.saturating_sub(now_ms())) <= FOUND_BY_POLLING.as_millis() {
            self.queue(LeaseRole::Timers, component, due_ms);
        }
    }

    /// Queues a notification, unless this host holds the lease.
    pub(super) fn queue(&self, role: LeaseRole, component: &str, due_ms: u64) {
        let component_role = (role, component.to_owned());
        if self.leases.borrow().contains(&component_role) {
            return;
        }
        let mut queued = self.queued.lock();
        let earliest_ms = queued.entry(component_role).or_insert(due_ms);
        *earliest_ms = due_ms.min(*earliest_ms);
        drop(queued);
        self.has_queued.notify_one();
    }

    /// This host holds the lease until [`remove_lease`](Self::remove_lease).
    pub(super) fn add_lease(&self, role: LeaseRole, component: &str) {
        self.leases.send_modify(|leases| {
            leases.insert((role, component.to_owned()));
        });
    }

    pub(super) fn remove_lease(&self, role: LeaseRole, component: &str) {
        self.leases.send_modify(|leases| {
            leases.remove(&(role, component.to_owned()));
        });
    }

    /// Sends the queued notifications until it is dropped.
    pub(super) async fn send_queued(self: Arc<Self>, host: HostPool<Postgres>) {
        loop {
            self.has_queued.notified().await;
            let queued = mem::take(&mut *self.queued.lock());
            let encode = |((role, component), due_ms): (ComponentRole, u64)| {
                Notification { host: &self.host_id, due_ms, role, component: &component }.encode()
            };
            let notifications: Vec<String> = queued.into_iter().map(encode).collect();
            if let Err(error) = sqlx::query(NOTIFY).bind(CHANNEL).bind(notifications).execute(&host).await {
                tracing::debug!(%error, "other hosts were not notified of commits, they poll");
            }
        }
    }

    /// Listens while this host holds leases, until it is dropped.
    pub(super) async fn listen(self: Arc<Self>, url: Secret) {
        let mut leases = self.leases.subscribe();
        while leases.wait_for(|leases| !leases.is_empty()).await.is_ok() {
            let has_no_lease = async { drop(leases.wait_for(BTreeSet::is_empty).await) };
            tokio::select! {
                () = has_no_lease => {}
                received = self.receive(&url) => {
                    if let Err(error) = received {
                        tracing::warn!(%error, "this host does not receive notifications of commits");
                    }
                    sleep(RECONNECT_PAUSE).await;
                }
            }
        }
    }

    /// Receives notifications, and polls at each interval and after each
    /// connection, because notifications may have been missed.
    async fn receive(&self, url: &Secret) -> sqlx::Result<()> {
        let mut listening = Listening::start(url, &[CHANNEL], POLL_INTERVAL).await?;
        loop {
            match listening.next().await? {
                Received::Notification(notification) => self.handle(notification.payload()),
                Received::Gap | Received::Checked => self.wake_all(),
            }
        }
    }

    /// Wakes a worker if this host holds the lease. A relay without the lease
    /// would notify all hosts again, and two such hosts would notify each other
    /// without end.
    fn handle(&self, payload: &str) {
        let Some(Notification { host, due_ms, role, component }) = Notification::decode(payload) else { return };
        if host != self.host_id && self.leases.borrow().contains(&(role, component.to_owned())) {
            self.wake(role, component, due_ms);
        }
    }

    fn wake_all(&self) {
        for (role, component) in &*self.leases.borrow() {
            self.wake(*role, component, NOW);
        }
    }

    fn wake(&self, role: LeaseRole, component: &str, due_ms: u64) {
        let signals = self.signals.lock();
        match (role, signals.get(component)) {
            (LeaseRole::Outbox, Some(signals)) => signals.outbox.require_read(),
            (LeaseRole::Timers, Some(signals)) => signals.timers.read_at(due_ms),
            (_, None) => {}
        }
    }
}
