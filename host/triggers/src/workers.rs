//! The workers of every component, from their start to their end.

use super::{backlog, event_worker::EventWorker, relay::Relay, timer_worker::TimerWorker};
use async_trait::async_trait;
use host_bus::{Bus, BusError, Consumer, Subjects};
use host_config::messaging::MessagingConfig;
use host_engine::handler::{Handler, Handlers};
use host_plugin::rollout::Subscriptions;
use host_store::{Database, Inbox, KeyedRequests, Lease, LeaseRole, Leases, LiveLog};
use parking_lot::Mutex;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The longest time that deliveries in flight may take when the host stops.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);

/// Runs the workers of all components that it was told to watch.
pub struct Triggers {
    handlers: Arc<dyn Handlers>,
    bus: Arc<dyn Bus>,
    settings: MessagingConfig,
    stop: CancellationToken,
    tasks: TaskTracker,
    watched: Arc<Mutex<Watched>>,
}

/// The components of this host.
#[derive(Default)]
pub(super) struct Watched {
    started: bool,
    /// The tokens that stop the workers of each component.
    components: HashMap<String, CancellationToken>,
    /// The components whose workers begin with the start of the host.
    not_started: Vec<(ComponentWorkers, Arc<dyn Database>)>,
}

impl Watched {
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.components.keys()
    }
}

/// The data that the workers of one component share.
#[derive(Clone)]
pub(super) struct ComponentWorkers {
    pub(super) name: String,
    pub(super) inbox: Arc<dyn Inbox>,
    pub(super) keyed_requests: Arc<dyn KeyedRequests>,
    pub(super) live_log: Arc<dyn LiveLog>,
    pub(super) leases: Arc<dyn Leases>,
    pub(super) consumer: Arc<dyn Consumer>,
    pub(super) bus: Arc<dyn Bus>,
    pub(super) handlers: Arc<dyn Handlers>,
    pub(super) settings: MessagingConfig,
    pub(super) stop: CancellationToken,
}

impl Triggers {
    /// Nothing runs yet.
    pub fn new(handlers: Arc<dyn Handlers>, bus: Arc<dyn Bus>, settings: MessagingConfig) -> Self {
        Self {
            handlers,
            bus,
            settings,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            watched: Arc::default(),
        }
    }

    /// Begins to deliver to the watched components.
    pub fn start(&self) {
        let mut watched = self.watched.lock();
        if !std::mem::replace(&mut watched.started, true) {
            let reports = backlog::report_regularly(self.bus.clone(), self.watched.clone(), self.stop.clone());
            self.tasks.spawn(reports);
        }
        for (component, database) in watched.not_started.drain(..) {
            self.spawn(&component, database);
        }
    }

    /// Begins no more deliveries, waits for those in flight, and closes the
    /// bus. False if a delivery took too long. It is delivered again after the
    /// next start.
    pub async fn stop(&self) -> bool {
        self.stop.cancel();
        self.tasks.close();
        let complete = timeout(DRAIN_TIMEOUT, self.tasks.wait()).await.is_ok();
        self.bus.close().await;
        complete
    }

    fn spawn(&self, component: &ComponentWorkers, database: Arc<dyn Database>) {
        self.tasks.spawn(Relay::new(component.clone(), database.clone()).run());
        self.tasks.spawn(EventWorker::new(component.clone()).run());
        self.tasks.spawn(TimerWorker::new(component.clone(), database).run());
    }
}

#[async_trait]
impl Subscriptions for Triggers {
    async fn watch(&self, component: &str, database: Arc<dyn Database>, subjects: Subjects) -> Result<(), BusError> {
        let consumer = self.bus.consumer(component, subjects).await?;
        let mut watched = self.watched.lock();
        if watched.components.contains_key(component) {
            return Ok(());
        }
        let stop = self.stop.child_token();
        watched.components.insert(component.to_owned(), stop.clone());
        let component = ComponentWorkers {
            name: component.to_owned(),
            inbox: database.clone(),
            keyed_requests: database.clone(),
            live_log: database.clone(),
            leases: database.clone(),
            consumer,
            bus: self.bus.clone(),
            handlers: self.handlers.clone(),
            settings: self.settings.clone(),
            stop,
        };
        if watched.started {
            self.spawn(&component, database);
        } else {
            watched.not_started.push((component, database));
        }
        Ok(())
    }

    async fn unwatch(&self, component: &str) -> Result<(), BusError> {
        let stop = self.watched.lock().components.remove(component);
        if let Some(stop) = stop {
            stop.cancel();
            self.bus.consumer(component, Subjects::default()).await?;
        }
        Ok(())
    }

    async fn set_subjects_of_other_hosts(&self, component: &str, subjects: BTreeSet<String>) {
        self.bus.set_subjects_of_other_hosts(component, subjects).await;
    }
}

impl ComponentWorkers {
    /// Waits until the component has an active revision, and returns it. None
    /// when the host stops or unloads the component first.
    pub(super) async fn handler(&self) -> Option<Arc<dyn Handler>> {
        loop {
            let handler = self.handlers.current(&self.name);
            if self.stop.is_cancelled() || handler.is_some() {
                return handler.filter(|_| !self.stop.is_cancelled());
            }
            self.pause(Duration::from_millis(100)).await;
        }
    }

    /// Waits for the component's lease in this role. None when the host stops
    /// first.
    pub(super) async fn acquire_lease(&self, role: LeaseRole) -> Option<Box<dyn Lease>> {
        let mut failures = 0;
        loop {
            match self.stop.run_until_cancelled(self.leases.acquire_lease(role)).await? {
                Ok(lease) => return Some(lease),
                Err(error) => {
                    failures += 1;
                    tracing::warn!(
                        component = self.name,
                        ?role,
                        failures,
                        ?error,
                        "this host cannot get the component's lease yet"
                    );
                    if !self.pause(self.backoff(failures)).await {
                        return None;
                    }
                }
            }
        }
    }

    /// Sleeps. False when the host stops first.
    pub(super) async fn pause(&self, duration: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep(duration) => true,
        }
    }
}

#[cfg(test)]
mod tests;
