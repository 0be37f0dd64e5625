//! The PostgreSQL channel on which hosts notify each other of topics.
//!
//! A host listens from its first [`TopicChannel::listen`] on, on a connection of
//! its own. Hosts on which no component waits do not listen, because each listener
//! slows every commit that notifies.
//!
//! A commit wakes the listeners of its own host without the database. It notifies
//! other hosts only if this host has no listener, because a topic usually has one.
//! Live events have listeners on every host, so their commits always notify.
//! As with `notify_channel.rs`, the notification follows the commit, and several
//! go together. A notification can be lost. Components read their state again
//! after each wait, as the interface says.

use crate::{Error, OpenListener, Topics, live::LIVE_TOPIC};
use host_base::secret::Secret;
use host_database::connections::{HostPool, Listening, Received};
use parking_lot::Mutex;
use sqlx::Postgres;
use std::{
    collections::{BTreeSet, HashMap},
    mem,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::sleep,
};

const CHANNEL: &str = "ticketing_topics";
/// A commit that notifies waits for the disk. This one need not.
const NOTIFY: &str = "SELECT pg_notify($1, notification)
    FROM unnest($2::text[]) AS notification, set_config('synchronous_commit', 'off', true)";
/// The most notifications that wait to be sent. Further ones are lost.
const QUEUED: usize = 10_000;
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);
/// How often the host checks the connection.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// A component and one of its topics.
type ComponentTopic = (String, String);

/// Connects the topics of all hosts.
pub(super) struct TopicChannel {
    components: Mutex<HashMap<String, Arc<Topics>>>,
    /// Whether a component of this host has listened.
    has_listened: watch::Sender<bool>,
    queued: Mutex<BTreeSet<ComponentTopic>>,
    has_queued: Notify,
}

impl TopicChannel {
    pub(super) fn new() -> Self {
        Self {
            components: Mutex::default(),
            has_listened: watch::Sender::new(false),
            queued: Mutex::default(),
            has_queued: Notify::new(),
        }
    }

    /// Listens to a topic of a component.
    pub(super) fn listen(&self, component: &str, topic: String) -> Result<OpenListener, Error> {
        let listener = self.topics(component).listen(topic)?;
        self.listen_from_now();
        Ok(listener)
    }

    /// Listens to the commits of a component with live events.
    pub(super) fn listen_live(&self, component: &str) -> OpenListener {
        let listener = self.topics(component).listen_live();
        self.listen_from_now();
        listener
    }

    fn topics(&self, component: &str) -> Arc<Topics> {
        self.components.lock().entry(component.to_owned()).or_default().clone()
    }

    fn listen_from_now(&self) {
        self.has_listened.send_if_modified(|has_listened| !mem::replace(has_listened, true));
    }

    /// Wakes the listeners to a topic, after a commit of this host.
    pub(super) fn announce(&self, component: &str, topic: String) {
        if !self.wake(component, &topic) {
            self.queue(component, topic);
        }
    }

    /// Wakes the hosts with listeners to live events, after a commit of this host.
    /// Other hosts have listeners of their own.
    pub(super) fn announce_live(&self, component: &str) {
        self.wake(component, LIVE_TOPIC);
        self.queue(component, LIVE_TOPIC.to_owned());
    }

    fn queue(&self, component: &str, topic: String) {
        let mut queued = self.queued.lock();
        if queued.len() < QUEUED {
            queued.insert((component.to_owned(), topic));
        }
        drop(queued);
        self.has_queued.notify_one();
    }

    fn wake(&self, component: &str, topic: &str) -> bool {
        self.components.lock().get(component).is_some_and(|topics| topics.wake(topic))
    }

    /// Sends the queued notifications until it is dropped.
    pub(super) async fn send_queued(self: Arc<Self>, host: HostPool<Postgres>) {
        loop {
            self.has_queued.notified().await;
            let queued = mem::take(&mut *self.queued.lock());
            let notifications: Vec<String> =
                queued.into_iter().map(|(component, topic)| format!("{component} {topic}")).collect();
            if let Err(error) = sqlx::query(NOTIFY).bind(CHANNEL).bind(notifications).execute(&host).await {
                tracing::debug!(%error, "other hosts were not notified of topics, their components poll");
            }
        }
    }

    /// Receives the notifications of other hosts until it is dropped.
    pub(super) async fn listen_to_hosts(self: Arc<Self>, url: Secret) {
        if self.has_listened.subscribe().wait_for(|has_listened| *has_listened).await.is_err() {
            return;
        }
        loop {
            if let Err(error) = self.receive(&url).await {
                tracing::warn!(%error, "this host does not receive notifications of topics, its components poll");
            }
            sleep(RECONNECT_PAUSE).await;
        }
    }

    async fn receive(&self, url: &Secret) -> sqlx::Result<()> {
        let mut listening = Listening::start(url, &[CHANNEL], CHECK_INTERVAL).await?;
        self.wake_all();
        loop {
            match listening.next().await? {
                Received::Notification(notification) => {
                    if let Some((component, topic)) = notification.payload().split_once(' ') {
                        self.wake(component, topic);
                    }
                }
                Received::Gap => self.wake_all(),
                Received::Checked => {}
            }
        }
    }

    /// Wakes all listeners after a connection, because notifications may have
    /// been missed.
    fn wake_all(&self) {
        for topics in self.components.lock().values() {
            topics.wake_all();
        }
    }
}
