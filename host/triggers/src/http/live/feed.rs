//! The feed of one component: one reader of its log for all listeners of this
//! host.

use super::ring::{Place, Ring, Start};
use futures::task::AtomicWaker;
use host_base::ByteBudget;
use host_http::error::Refusal;
use host_store::{Error, LiveLog, describe};
use metrics::{Counter, Gauge, counter, gauge};
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// How often the feed reads without a notification. One of another host can be
/// lost.
pub(super) const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// The longest time in which a new listener waits for the log.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// The events and the listeners of one component.
pub(super) struct Feed {
    pub(super) component: String,
    log: Arc<dyn LiveLog>,
    pub(super) ring: Mutex<Ring>,
    /// One reader at a time.
    reading: tokio::sync::Mutex<()>,
    has_read: AtomicBool,
    next_id: AtomicU64,
    pub(super) listeners: Gauge,
    pub(super) disconnected: Counter,
    events: Counter,
}

impl Feed {
    /// A feed that has read nothing yet. Its events take their bytes from this budget.
    pub(super) fn new(component: &str, log: Arc<dyn LiveLog>, budget: Arc<ByteBudget>) -> Self {
        let label = || component.to_owned();
        Self {
            component: component.to_owned(),
            log,
            ring: Mutex::new(Ring::new(budget)),
            reading: tokio::sync::Mutex::default(),
            has_read: AtomicBool::new(false),
            next_id: AtomicU64::new(0),
            listeners: gauge!("live_listeners", "component" => label()),
            disconnected: counter!("live_disconnects_total", "component" => label()),
            events: counter!("live_events_total", "component" => label()),
        }
    }

    /// Reads the log after each commit with live events, until `is_unused` says
    /// that nobody needs the feed.
    pub(super) async fn follow(&self, is_unused: impl Fn() -> bool) {
        let mut commits = self.log.listen_live();
        let (mut was_read, mut last_look) = (true, Instant::now());
        loop {
            let result = self.read().await;
            if let (Err(error), true) = (&result, was_read) {
                tracing::warn!(
                    component = self.component,
                    error = describe(error),
                    "the host cannot read live events yet"
                );
            }
            was_read = result.is_ok();
            commits.wait(POLL_INTERVAL).await;
            if last_look.elapsed() >= POLL_INTERVAL {
                if is_unused() {
                    return;
                }
                last_look = Instant::now();
            }
        }
    }

    /// Ends all listeners.
    pub(super) fn end(&self) {
        let waiting = self.ring.lock().end();
        waiting.iter().for_each(|waker| waker.wake());
    }

    async fn read(&self) -> Result<(), Error> {
        let _turn = self.reading.lock().await;
        self.read_on().await
    }

    /// Reads the events after the last one. The caller is the only reader.
    async fn read_on(&self) -> Result<(), Error> {
        let last = self.ring.lock().last();
        let logged = self.log.read_live(last).await?;
        self.events.increment(logged.len() as u64);
        let waiting = self.ring.lock().append(logged);
        self.has_read.store(true, Relaxed);
        waiting.iter().for_each(|waker| waker.wake());
        Ok(())
    }

    /// Reads until the place of a client is known.
    async fn read_for(&self, start: Start) -> Result<(), Error> {
        let is_known = || self.has_read.load(Relaxed) && self.ring.lock().has(start);
        if is_known() {
            return Ok(());
        }
        let _turn = self.reading.lock().await;
        match is_known() {
            true => Ok(()),
            // Another host may have sent an event that this one has not read.
            false => self.read_on().await,
        }
    }

    /// Adds a listener. Returns its id and its place.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(super) async fn join(
        &self,
        start: Start,
        channels: &[Arc<str>],
        waker: &Arc<AtomicWaker>,
    ) -> Result<(u64, Place), Refusal> {
        if !matches!(timeout(READ_TIMEOUT, self.read_for(start)).await, Ok(Ok(()))) {
            return Err(Refusal::Unavailable);
        }
        let id = self.next_id.fetch_add(1, Relaxed);
        let mut ring = self.ring.lock();
        ring.join(id, channels, waker);
        Ok((id, ring.place(start)))
    }
}
