//! Several hosts on one database: which hosts live, what each of them runs, and
//! how a change of a plugin reaches all hosts or none.
//!
//! A host that changes a plugin locks the plugin in the database and asks every
//! live host to prepare the change. The change becomes durable only when all
//! hosts are prepared. All hosts follow the durable state, also a host that was
//! away or is new. So correctness does not depend on messages that can be lost.
//! A message only makes the others look sooner. A host with a database of its
//! own is alone and does none of this.

mod agreement;
mod members;
mod notifications;
mod plugin_lock;

pub use agreement::{Agreement, Proposal};
pub use notifications::{Listener, Messages};
pub use plugin_lock::PluginLock;

use crate::{HostDatabase, connections::no_answer};
use host_api::cluster::{Member, RunningPlugins, Status};
use host_base::{id, secret::Secret};
use members::Members;
use notifications::{MESSAGES, Notifications};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// How often a host renews its row, and looks for changes that it has missed.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(500);
/// A host counts as lost after this time without a heartbeat.
const LOST_AFTER_MS: i64 = 3_000;
/// A host that cannot renew its row for this time asks for no more work.
const DISCONNECTED_AFTER: Duration = Duration::from_millis(2_500);

/// A commit that notifies waits for the disk. This one need not.
const TELL: &str = "SELECT pg_notify($1, $2 || ' ' || message)
    FROM json_array_elements_text($3::json) AS messages(message), set_config('synchronous_commit', 'off', true)";

/// A heartbeat that takes longer has failed.
const HEARTBEAT_TIMEOUT: Duration = DISCONNECTED_AFTER;

/// The identity of a host in the cluster.
#[derive(Debug, Clone)]
pub struct HostIdentity {
    /// A new identifier at each start.
    pub id: String,
    /// The name for people: from the settings, or the machine's name.
    pub name: String,
    /// When the host started, in milliseconds since the Unix epoch.
    pub started_ms: i64,
}

/// This host's membership among the hosts on the same database.
pub struct Cluster {
    /// This host.
    pub me: HostIdentity,
    url: Secret,
    database: HostDatabase,
    members: Members,
    notifications: Notifications,
    heartbeat_requested: Notify,
    is_connected: AtomicBool,
}

impl Cluster {
    /// Joins the hosts on this database. The others see this host as starting
    /// until [`run_heartbeat`](Self::run_heartbeat) reports that it is ready.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn join(database: HostDatabase, url: &Secret, me: HostIdentity) -> sqlx::Result<Self> {
        let members = Members::open(database.clone()).await?;
        let cluster = Self {
            notifications: Notifications::listen(url, &me.id),
            me,
            url: url.clone(),
            heartbeat_requested: Notify::new(),
            is_connected: AtomicBool::new(true),
            database,
            members,
        };
        cluster.heartbeat(false, &RunningPlugins::new()).await?;
        Ok(cluster)
    }

    async fn heartbeat(&self, ready: bool, plugins: &RunningPlugins) -> sqlx::Result<()> {
        self.members.heartbeat(&self.me, ready, plugins).await
    }

    /// Sends heartbeats until the host stops. `state` returns whether the host
    /// serves, and what it runs.
    pub async fn run_heartbeat(&self, state: impl Fn() -> (bool, RunningPlugins), stop: CancellationToken) {
        let mut last_success = None;
        loop {
            let (ready, plugins) = state();
            match timeout(HEARTBEAT_TIMEOUT, self.heartbeat(ready, &plugins)).await.unwrap_or_else(|_| Err(no_answer()))
            {
                Ok(()) => last_success = Some(Instant::now()),
                Err(error) => {
                    self.database.connections.note(&error);
                    tracing::warn!(%error, "the host cannot send its heartbeat to the other hosts");
                }
            }
            let is_connected = last_success.is_some_and(|at| at.elapsed() < DISCONNECTED_AFTER);
            self.is_connected.store(is_connected, Ordering::Release);
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.heartbeat_requested.notified() => {}
                () = sleep(HEARTBEAT_INTERVAL) => {}
            }
        }
        if let Err(error) = self.members.leave(&self.me).await {
            tracing::debug!(%error, "the host cannot report its end: the other hosts will count it as lost");
        }
    }

    /// Sends the next heartbeat at once.
    pub fn request_heartbeat(&self) {
        self.heartbeat_requested.notify_one();
    }

    /// Whether the database has taken a recent heartbeat of this host. If not,
    /// the other hosts decide without this one.
    pub fn is_connected(&self) -> bool {
        self.is_connected.load(Ordering::Acquire)
    }

    /// Why the database takes no heartbeat, in words.
    pub fn problem(&self) -> Option<String> {
        self.database.connections.problem()
    }

    /// All hosts, the oldest first. Recently lost hosts are among them.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn hosts(&self) -> sqlx::Result<Vec<Member>> {
        self.members.all().await
    }

    /// The subjects that the other live hosts subscribe to, by plugin.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn subjects_of_other_hosts(&self) -> sqlx::Result<BTreeMap<String, BTreeSet<String>>> {
        let hosts = self.hosts().await?;
        let others = hosts.into_iter().filter(|host| host.id != self.me.id && host.status != Status::Lost);
        let mut subjects: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (plugin, running) in others.flat_map(|host| host.plugins) {
            subjects.entry(plugin).or_default().extend(running.subscribes);
        }
        Ok(subjects)
    }

    /// Receives the announcements of other hosts from now on.
    pub fn listener(&self) -> Listener {
        self.notifications.listener()
    }

    /// Receives the messages of other hosts from now on.
    pub fn messages(&self) -> Messages {
        self.notifications.messages()
    }

    /// Sends messages of up to 7,900 bytes to the other hosts. They may get lost.
    pub async fn tell(&self, messages: &[String]) {
        let list = serde_json::Value::from(messages).to_string();
        let told = sqlx::query(TELL).bind(MESSAGES).bind(&self.me.id).bind(list).execute(&self.database.write).await;
        if let Err(error) = told {
            tracing::debug!(%error, "the host could not send its messages to the other hosts");
        }
    }

    /// Wakes the other hosts.
    pub async fn announce(&self) {
        self.database.announce().await;
    }
}

impl HostIdentity {
    /// Creates an identity that no host has had before.
    pub fn new(name: &str) -> Self {
        let started_ms = i64::try_from(host_base::clock::now_ms()).unwrap_or(i64::MAX);
        Self { id: id::new().to_string(), name: name.to_owned(), started_ms }
    }
}

#[cfg(test)]
mod tests;
