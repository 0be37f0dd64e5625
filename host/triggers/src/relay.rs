//! The relay: it publishes a component's committed events on the bus, in their
//! order.
//!
//! A commit adds its events to a buffer for the relay of its own host. If another
//! host holds the lease, the relay forwards the events to that host. The relay
//! with the lease notices a gap in the sequence numbers and reads the missing
//! events from the outbox. It deletes events some time after the bus has them. An
//! event that is published twice because of this has the same id, and the bus
//! ignores it.

use super::workers::ComponentWorkers;
use host_base::{clock::now_ms, event::Event};
use host_bus::BusError;
use host_store::{Error, Lease, LeaseRole, Outbox, OutboxBatch, OutboxEvent, OutboxSignal, PendingEvents};
use host_telemetry::{
    Span, SpanKind,
    recent_traces::{self, Operation, OperationKind},
    trace::trace_of,
};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};

const BATCH_EVENTS: u32 = 256;
/// The delay before the relay deletes published events, so that several batches
/// share a commit and the component's own transactions go first.
const CLEAR_DELAY: Duration = Duration::from_millis(250);
/// The interval at which the relay measures the age of the oldest event while
/// the bus is unavailable.
const AGE_INTERVAL: Duration = Duration::from_secs(2);

/// The relay of one component.
pub(super) struct Relay {
    component: ComponentWorkers,
    outbox: Arc<dyn Outbox>,
    signal: Arc<OutboxSignal>,
    /// The sequence number of the last event that the bus has.
    published: i64,
    /// The time at which the relay deletes the published events.
    clear_at: Option<Instant>,
}

impl Relay {
    pub(super) fn new(component: ComponentWorkers, outbox: Arc<dyn Outbox>) -> Self {
        let signal = outbox.outbox_signal().clone();
        Self { component, outbox, signal, published: 0, clear_at: None }
    }

    /// Runs until the host stops. Of the hosts that share a database one at a
    /// time publishes the events. A host that does not reach the bus does not
    /// acquire the lease, so that another host can.
    pub(super) async fn run(mut self) {
        let stop = self.component.stop.clone();
        loop {
            let lease = tokio::select! {
                biased;
                lease = self.acquire_lease() => lease,
                never = self.forward_commits() => match never {},
            };
            let Some(lease) = lease else { return self.stop_buffering() };
            self.signal.set_buffering(true);
            self.component.consumer.set_preferred(true);
            self.publish_while_leased(lease).await;
            self.component.consumer.set_preferred(false);
            self.stop_buffering();
            if stop.is_cancelled() {
                return;
            }
        }
    }

    /// Forwards the events of this host's commits to the host with the lease, or
    /// notifies that host through the database.
    async fn forward_commits(&self) -> Infallible {
        let ComponentWorkers { name, bus, leases, .. } = &self.component;
        let signal = &self.signal;
        loop {
            bus.wait_until_available().await;
            // Earlier commits are not in memory, so the first notification goes
            // through the database.
            signal.set_buffering(true);
            while bus.unavailable_reason().is_none() {
                signal.changed().await;
                let forwarded = match signal.drain() {
                    Some(commits) if commits.is_empty() => Ok(()),
                    Some(commits) => bus.forward(name, encode(&commits)).await,
                    None => Err(BusError("the buffer does not have all events".to_owned())),
                };
                if let Err(error) = forwarded {
                    tracing::debug!(component = name, %error, "the host announces events through the database");
                    leases.notify_lease_holder(LeaseRole::Outbox);
                }
            }
            self.stop_buffering();
        }
    }

    /// Notifies the host with the lease through the database, now and for later
    /// commits.
    fn stop_buffering(&self) {
        self.signal.set_buffering(false);
        self.component.leases.notify_lease_holder(LeaseRole::Outbox);
    }

    /// None when the host stops first.
    async fn acquire_lease(&self) -> Option<Box<dyn Lease>> {
        self.component.stop.run_until_cancelled(self.wait_for_bus()).await?;
        self.component.acquire_lease(LeaseRole::Outbox).await
    }

    /// Waits until the bus is available, and measures the age of the oldest event
    /// meanwhile.
    async fn wait_for_bus(&self) {
        let measure_age = async {
            loop {
                tokio::time::sleep(AGE_INTERVAL).await;
                match self.outbox.read_outbox(self.published, 1).await {
                    Ok(waiting) => self.record_age(waiting.first()),
                    Err(error) => {
                        tracing::debug!(component = self.component.name, ?error, "the relay cannot read the outbox");
                    }
                }
            }
        };
        tokio::select! {
            () = self.component.bus.wait_until_available() => {}
            () = measure_age => {}
        }
    }

    async fn publish_while_leased(&mut self, mut lease: Box<dyn Lease>) {
        let signal = self.signal.clone();
        let stop = self.component.stop.clone();
        let mut forwarded = self.component.bus.receive_forwarded(&self.component.name).await;
        let mut reaches_bus = self.publish_all().await;
        loop {
            if !reaches_bus {
                return self.clear_published().await;
            }
            let clear_at = self.clear_at;
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = lease.lost() => {
                    tracing::info!(component = self.component.name, "this host no longer relays the events");
                    return;
                }
                commits = forwarded.next() => offer_forwarded(&self.component.name, &signal, &commits),
                () = signal.changed() => reaches_bus = self.publish_all().await,
                () = sleep_until(clear_at.unwrap_or_else(Instant::now)), if clear_at.is_some() => {
                    self.clear_published().await;
                }
            }
        }
        // The relay publishes the events that are committed until now, before the
        // host stops.
        if let Err(error) = self.publish_batch().await {
            tracing::debug!(
                component = self.component.name,
                error,
                "the relay publishes the remaining events after the next start"
            );
        }
        self.clear_published().await;
    }

    /// False if this host does not reach the bus. Another host may reach it.
    async fn publish_all(&mut self) -> bool {
        let mut failures = 0;
        loop {
            match self.publish_batch().await {
                // A later commit wakes the relay again.
                Ok(0) => return true,
                Ok(_) => failures = 0,
                Err(error) => {
                    failures += 1;
                    self.signal.require_read();
                    metrics::counter!("bus_publish_failures_total", "component" => self.component.name.clone())
                        .increment(1);
                    tracing::warn!(component = self.component.name, failures, error, "events wait for the bus");
                    if self.component.bus.unavailable_reason().is_some() {
                        return false;
                    }
                    if !self.component.pause(self.component.backoff(failures)).await {
                        return true;
                    }
                }
            }
        }
    }

    /// Publishes some events and returns their number.
    async fn publish_batch(&mut self) -> Result<usize, String> {
        let batch = self.next_batch().await.map_err(|error| format!("{error:?}"))?;
        self.record_age(batch.first());
        let Some(last) = batch.last().map(|last| last.sequence) else { return Ok(0) };
        let mut events: Vec<Event> = batch.into_iter().map(|OutboxEvent { event, .. }| event).collect();
        let mut spans: Vec<Span> = events.iter_mut().filter_map(start_span).collect();
        if let Err(error) = self.component.bus.publish(&events).await {
            let reason = error.to_string();
            spans.iter_mut().for_each(|span| span.fail(|| reason.clone()));
            return Err(reason);
        }
        self.published = last;
        events.iter().for_each(keep);
        self.record_age(None);
        self.clear_at.get_or_insert_with(|| Instant::now() + CLEAR_DELAY);
        Ok(events.len())
    }

    async fn next_batch(&self) -> Result<Vec<OutboxEvent>, Error> {
        match self.signal.take_after(self.published, BATCH_EVENTS as usize) {
            PendingEvents::Buffered(events) => Ok(events),
            PendingEvents::InOutbox => {
                let batch = self.outbox.read_outbox(self.published, BATCH_EVENTS).await?;
                if batch.len() == BATCH_EVENTS as usize {
                    self.signal.require_read();
                }
                Ok(batch)
            }
        }
    }

    fn record_age(&self, oldest: Option<&OutboxEvent>) {
        let age_ms = oldest.map_or(0, |oldest| now_ms().saturating_sub(oldest.event.time_ms));
        metrics::gauge!("outbox_age_seconds", "component" => self.component.name.clone()).set(age_ms as f64 / 1_000.0);
    }

    /// Deletes the published events from the outbox.
    async fn clear_published(&mut self) {
        if self.clear_at.take().is_none() {
            return;
        }
        if let Err(error) = self.outbox.clear_outbox(self.published).await {
            tracing::warn!(component = self.component.name, ?error, "the relay cannot delete published events yet");
            self.clear_at = Some(Instant::now() + self.component.settings.max_backoff);
        }
    }
}

/// Tells of an event that the bus has taken.
fn keep(event: &Event) {
    let Some(trace) = event.traceparent.as_deref().and_then(trace_of) else { return };
    recent_traces::record(Operation {
        trace,
        kind: OperationKind::Publication,
        component: event.source.clone(),
        name: event.subject.clone(),
        id: event.id.clone(),
        begun_ms: event.time_ms,
        took: Duration::from_millis(now_ms().saturating_sub(event.time_ms)),
        failure: None,
    });
}

/// Encodes the events of commits for another host.
fn encode(commits: &[OutboxBatch]) -> Vec<u8> {
    serde_json::to_vec(commits).unwrap_or_default()
}

/// Adds another host's commits to the buffer, as if they were this host's.
fn offer_forwarded(component: &str, signal: &OutboxSignal, commits: &[u8]) {
    match serde_json::from_slice::<Vec<OutboxBatch>>(commits) {
        Ok(commits) => {
            for batch in commits {
                signal.offer(batch);
            }
        }
        // A host of another version may encode events in another way.
        Err(error) => {
            tracing::debug!(component, %error, "the relay reads the events of another host from the outbox");
            signal.require_read();
        }
    }
}

/// Begins the span of an event's publication, from the time of the event.
/// The handler's span continues from it.
fn start_span(event: &mut Event) -> Option<Span> {
    let name = || format!("publish {}", event.subject);
    let mut span = Span::start_at(SpanKind::Producer, event.traceparent.as_deref(), event.time_ms, name)?;
    span.set_attributes(|| {
        [("component", event.source.clone().into()), ("messaging.message.id", event.id.clone().into())]
    });
    event.traceparent = span.recorded_traceparent();
    Some(span)
}
