//! Several hosts on one database: which of them live, what each runs, and how
//! a change of a plugin reaches all of them or none.
//!
//! Whoever changes a plugin holds its lock in the database, asks every live
//! host to prepare the change, and makes it durable only when all have. What
//! is durable is what all follow, also one that was away or is new: nothing
//! depends on a message that could be lost, a message only makes it faster.
//! A host with a database of its own is alone and does none of this.

mod agreement;
mod members;
mod notifications;

pub use agreement::{Agreement, Proposal};
pub use notifications::Listener;

use crate::{HostDatabase, lock_key};
use host_api::cluster::{Member, Runs, Status};
use host_base::{id, secret::Secret};
use members::Members;
use notifications::Notifications;
use sqlx::{Connection, PgConnection};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

/// How often a host says that it lives, and looks for what it has missed.
pub const BEAT: Duration = Duration::from_millis(500);
/// Who has not been heard of for this long takes no part.
const LOST_AFTER_MS: i64 = 3_000;
/// A host that could not say for this long that it lives sends work elsewhere.
const OUT_OF_TOUCH: Duration = Duration::from_millis(2_500);

/// What tells a host from others.
#[derive(Debug, Clone)]
pub struct Identity {
    /// New at each start.
    pub id: String,
    /// For people: what the settings say, or the machine's name.
    pub name: String,
    /// When it started, in milliseconds since the Unix epoch.
    pub started_ms: i64,
}

/// One host's place among those on the same database.
pub struct Cluster {
    /// This host.
    pub me: Identity,
    url: Secret,
    database: HostDatabase,
    members: Members,
    news: Notifications,
    beat_now: Notify,
    in_touch: AtomicBool,
}

/// The right to change a plugin, across all hosts. It ends with its session of
/// the database, however that ends.
pub struct Turn {
    _session: PgConnection,
}

impl Cluster {
    /// Takes a place among the hosts on this database. It is shown as starting
    /// until [`live`](Self::live) says that it is ready.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn join(database: HostDatabase, url: &Secret, me: Identity) -> sqlx::Result<Self> {
        let members = Members::open(database.clone()).await?;
        let cluster = Self {
            me,
            url: url.clone(),
            news: Notifications::hear(url),
            beat_now: Notify::new(),
            in_touch: AtomicBool::new(true),
            database,
            members,
        };
        cluster.beat(false, &Runs::new()).await?;
        Ok(cluster)
    }

    /// Says that this host lives, whether it serves, and what it runs.
    ///
    /// # Errors
    /// When the database cannot be reached.
    async fn beat(&self, ready: bool, runs: &Runs) -> sqlx::Result<()> {
        self.members.beat(&self.me, ready, runs).await
    }

    /// Says again and again that this host lives, until it stops. `now` gives
    /// whether it serves and what it runs.
    pub async fn live(&self, now: impl Fn() -> (bool, Runs), stop: CancellationToken) {
        let mut told = None;
        loop {
            let (ready, runs) = now();
            match self.beat(ready, &runs).await {
                Ok(()) => told = Some(Instant::now()),
                Err(error) => tracing::warn!(%error, "the other hosts do not hear of this one"),
            }
            self.in_touch.store(told.is_some_and(|told| told.elapsed() < OUT_OF_TOUCH), Ordering::Release);
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.beat_now.notified() => {}
                () = sleep(BEAT) => {}
            }
        }
        if let Err(error) = self.leave().await {
            tracing::debug!(%error, "the other hosts find out by themselves that this one has ended");
        }
    }

    /// Says at once what this host runs, and not with the next beat.
    pub fn hurry(&self) {
        self.beat_now.notify_one();
    }

    /// Whether the database has heard of this host lately. While it has not,
    /// others decide without it.
    pub fn is_in_touch(&self) -> bool {
        self.in_touch.load(Ordering::Acquire)
    }

    /// Says that this host ends, so that nobody waits for it.
    ///
    /// # Errors
    /// When the database cannot be reached; then it is lost after a while.
    async fn leave(&self) -> sqlx::Result<()> {
        self.members.leave(&self.me).await
    }

    /// All hosts, the oldest first, with those that were lost lately.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn hosts(&self) -> sqlx::Result<Vec<Member>> {
        self.members.all().await
    }

    /// The subjects that the other live hosts take, by plugin.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn subscribed_elsewhere(&self) -> sqlx::Result<BTreeMap<String, BTreeSet<String>>> {
        let hosts = self.hosts().await?;
        let others = hosts.into_iter().filter(|host| host.id != self.me.id && host.status != Status::Lost);
        let mut subjects: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (plugin, running) in others.flat_map(|host| host.plugins) {
            subjects.entry(plugin).or_default().extend(running.subscribes);
        }
        Ok(subjects)
    }

    /// Waits until no other host changes this plugin.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn turn(&self, plugin: &str) -> sqlx::Result<Turn> {
        let mut session = PgConnection::connect(self.url.expose()).await?;
        sqlx::query("SELECT pg_advisory_lock($1)").bind(lock_key(&["plugin", plugin])).execute(&mut session).await?;
        Ok(Turn { _session: session })
    }

    /// Hears of what other hosts announce from now on.
    pub fn listener(&self) -> Listener {
        self.news.listener()
    }

    /// Wakes the other hosts.
    pub async fn announce(&self) {
        self.database.announce().await;
    }
}

impl Identity {
    /// One that no host has had before.
    pub fn new(name: &str) -> Self {
        let started_ms = i64::try_from(host_base::clock::now_ms()).unwrap_or(i64::MAX);
        Self { id: id::new().to_string(), name: name.to_owned(), started_ms }
    }
}

#[cfg(test)]
mod tests;
