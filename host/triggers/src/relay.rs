//! The relay: it carries a component's committed events to the bus, in their
//! order.
//!
//! A commit hands its events in memory to the relay of its own host. If another
//! host holds the lease, the relay passes the events on to that host. The relay
//! with the lease notices a gap in the sequence numbers and reads the missing
//! events from the outbox. It deletes events some time after the bus has them. An
//! event that is carried twice because of this has the same id, and the bus
//! ignores it.

use super::workers::ComponentWorkers;
use host_base::{clock::now_ms, event::Event};
use host_bus::BusError;
use host_store::{Error, Lease, LeaseRole, Outbox, OutboxBatch, OutboxEvent, OutboxSignal, PendingEvents};
use host_telemetry::{Span, SpanKind};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};

const BATCH_EVENTS: u32 = 256;
/// The delay before events are deleted, so that several batches share a commit
/// and the component's own transactions go first.
const FORGET_AFTER: Duration = Duration::from_millis(250);
/// The interval at which the relay measures the age of the oldest event while
/// the bus is out of reach.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The relay of one component.
pub(super) struct Relay {
    component: ComponentWorkers,
    outbox: Arc<dyn Outbox>,
    signal: Arc<OutboxSignal>,
    /// The sequence number of the last event that the bus has.
    carried: i64,
    /// The time at which the carried events are deleted.
    forget_at: Option<Instant>,
}

impl Relay {
    pub(super) fn new(component: ComponentWorkers, outbox: Arc<dyn Outbox>) -> Self {
        let signal = outbox.outbox_signal().clone();
        Self { component, outbox, signal, carried: 0, forget_at: None }
    }

    /// Runs until the host stops. Of the hosts that share a database one at a
    /// time carries the events. A host that does not reach the bus leaves the
    /// events to the others.
    pub(super) async fn run(mut self) {
        let stop = self.component.stop.clone();
        loop {
            let lease = tokio::select! {
                biased;
                lease = self.acquire_lease() => lease,
                never = self.pass_on() => match never {},
            };
            let Some(lease) = lease else { return self.pass_nothing_on() };
            self.signal.set_buffering(true);
            self.component.consumer.set_preferred(true);
            self.carry_while_leased(lease).await;
            self.component.consumer.set_preferred(false);
            self.pass_nothing_on();
            if stop.is_cancelled() {
                return;
            }
        }
    }

    /// Passes the events of this host's commits on to the host with the lease, or
    /// notifies that host through the database.
    async fn pass_on(&self) -> Infallible {
        let ComponentWorkers { name, bus, leases, .. } = &self.component;
        let signal = &self.signal;
        loop {
            bus.wait_until_available().await;
            // Earlier commits are not in memory, so the first notification goes
            // through the database.
            signal.set_buffering(true);
            while bus.unavailable_reason().is_none() {
                signal.changed().await;
                let passed_on = match signal.drain() {
                    Some(commits) if commits.is_empty() => Ok(()),
                    Some(commits) => bus.hand_over(name, encode(&commits)).await,
                    None => Err(BusError("there was too much".to_owned())),
                };
                if let Err(error) = passed_on {
                    tracing::debug!(component = name, %error, "events are announced through the database");
                    leases.notify_lease_holder(LeaseRole::Outbox);
                }
            }
            self.pass_nothing_on();
        }
    }

    /// Notifies the host with the lease through the database, now and for later
    /// commits.
    fn pass_nothing_on(&self) {
        self.signal.set_buffering(false);
        self.component.leases.notify_lease_holder(LeaseRole::Outbox);
    }

    /// None when the host stops first.
    async fn acquire_lease(&self) -> Option<Box<dyn Lease>> {
        self.component.stop.run_until_cancelled(self.reaches_bus()).await?;
        self.component.acquire_lease(LeaseRole::Outbox).await
    }

    async fn reaches_bus(&self) {
        let look = async {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                match self.outbox.read_outbox(self.carried, 1).await {
                    Ok(waiting) => self.note_age(waiting.first()),
                    Err(error) => tracing::debug!(component = self.component.name, ?error, "the outbox cannot be read"),
                }
            }
        };
        tokio::select! {
            () = self.component.bus.wait_until_available() => {}
            () = look => {}
        }
    }

    async fn carry_while_leased(&mut self, mut lease: Box<dyn Lease>) {
        let signal = self.signal.clone();
        let stop = self.component.stop.clone();
        let mut takeover = self.component.bus.receive_forwarded(&self.component.name).await;
        let mut reaches_bus = self.carry_all().await;
        loop {
            if !reaches_bus {
                return self.forget().await;
            }
            let forget_at = self.forget_at;
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = lease.lost() => {
                    tracing::info!(component = self.component.name, "this host no longer carries the events");
                    return;
                }
                commits = takeover.next() => take_over(&signal, &commits),
                () = signal.changed() => reaches_bus = self.carry_all().await,
                () = sleep_until(forget_at.unwrap_or_else(Instant::now)), if forget_at.is_some() => self.forget().await,
            }
        }
        // Events that are committed until now leave before the host stops.
        if let Err(error) = self.carry_batch().await {
            tracing::debug!(error, "the remaining events are carried after the next start");
        }
        self.forget().await;
    }

    /// False if this host does not reach the bus. Another host may reach it.
    async fn carry_all(&mut self) -> bool {
        let mut failures = 0;
        loop {
            match self.carry_batch().await {
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

    /// Carries some events and returns their number.
    async fn carry_batch(&mut self) -> Result<usize, String> {
        let batch = self.next_batch().await.map_err(|error| format!("{error:?}"))?;
        self.note_age(batch.first());
        let Some(last) = batch.last().map(|last| last.sequence) else { return Ok(0) };
        let mut events: Vec<Event> = batch.into_iter().map(|OutboxEvent { event, .. }| event).collect();
        let mut spans: Vec<Span> = events.iter_mut().filter_map(start_span).collect();
        if let Err(error) = self.component.bus.publish(&events).await {
            let reason = error.to_string();
            spans.iter_mut().for_each(|span| span.fail(|| reason.clone()));
            return Err(reason);
        }
        self.carried = last;
        self.note_age(None);
        self.forget_at.get_or_insert_with(|| Instant::now() + FORGET_AFTER);
        Ok(events.len())
    }

    async fn next_batch(&self) -> Result<Vec<OutboxEvent>, Error> {
        match self.signal.take_after(self.carried, BATCH_EVENTS as usize) {
            PendingEvents::Buffered(events) => Ok(events),
            PendingEvents::InOutbox => {
                let batch = self.outbox.read_outbox(self.carried, BATCH_EVENTS).await?;
                if batch.len() == BATCH_EVENTS as usize {
                    self.signal.require_read();
                }
                Ok(batch)
            }
        }
    }

    fn note_age(&self, oldest: Option<&OutboxEvent>) {
        let age_ms = oldest.map_or(0, |oldest| now_ms().saturating_sub(oldest.event.time_ms));
        metrics::gauge!("outbox_age_seconds", "component" => self.component.name.clone()).set(age_ms as f64 / 1_000.0);
    }

    async fn forget(&mut self) {
        if self.forget_at.take().is_none() {
            return;
        }
        if let Err(error) = self.outbox.clear_outbox(self.carried).await {
            tracing::warn!(component = self.component.name, ?error, "carried events could not be deleted yet");
            self.forget_at = Some(Instant::now() + self.component.settings.max_backoff);
        }
    }
}

/// Encodes the events of commits for another host.
fn encode(commits: &[OutboxBatch]) -> Vec<u8> {
    serde_json::to_vec(commits).unwrap_or_default()
}

/// Takes another host's commits as if they were this host's.
fn take_over(signal: &OutboxSignal, commits: &[u8]) {
    match serde_json::from_slice::<Vec<OutboxBatch>>(commits) {
        Ok(commits) => {
            for batch in commits {
                signal.offer(batch);
            }
        }
        // A host of another version may encode events in another way.
        Err(error) => {
            tracing::debug!(%error, "the events of another host are read from the outbox");
            signal.require_read();
        }
    }
}

/// Begins the span of an event's way to the bus, from the time of the event.
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
