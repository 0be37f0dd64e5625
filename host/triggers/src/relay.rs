//! The relay: it carries a component's committed events to the bus, in their
//! order.
//!
//! A commit hands its events in memory to the relay of its own host. If another
//! host leads, the relay passes the events on to that host. The leading relay
//! notices a gap in the sequence numbers and reads the missing events from the
//! outbox. It deletes events some time after the bus has them. An event that is
//! carried twice because of this has the same id, and the bus ignores it.

use super::workers::ComponentWorkers;
use host_base::{clock::now_ms, event::Event};
use host_bus::BusError;
use host_store::{Error, LeaderRole, Leadership, OutboxEvent, Published, Signals, Waiting};
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
    signals: Arc<Signals>,
    /// The sequence number of the last event that the bus has.
    carried: i64,
    /// The time at which the carried events are deleted.
    forget_at: Option<Instant>,
}

impl Relay {
    pub(super) fn new(component: ComponentWorkers) -> Self {
        let signals = component.database.signals().clone();
        Self { component, signals, carried: 0, forget_at: None }
    }

    /// Runs until the host stops. Of the hosts that share a database one at a
    /// time carries the events. A host that does not reach the bus leaves the
    /// events to the others.
    pub(super) async fn run(mut self) {
        let stop = self.component.stop.clone();
        loop {
            let lead = tokio::select! {
                biased;
                lead = self.lead() => lead,
                never = self.pass_on() => match never {},
            };
            let Some(lead) = lead else { return self.pass_nothing_on() };
            self.signals.outbox.keep(true);
            self.component.consumer.prefer(true);
            self.carry_while_leading(lead).await;
            self.component.consumer.prefer(false);
            self.pass_nothing_on();
            if stop.is_cancelled() {
                return;
            }
        }
    }

    /// Passes the events of this host's commits on to the leading host, or
    /// notifies that host through the database.
    async fn pass_on(&self) -> Infallible {
        let ComponentWorkers { name, bus, database, .. } = &self.component;
        let outbox = &self.signals.outbox;
        loop {
            bus.reachable().await;
            // Earlier commits are not in memory, so the first notification goes
            // through the database.
            outbox.keep(true);
            while bus.trouble().is_none() {
                outbox.grown().await;
                let passed_on = match outbox.take_all() {
                    Some(commits) if commits.is_empty() => Ok(()),
                    Some(commits) => bus.hand_over(name, encode(&commits)).await,
                    None => Err(BusError("there was too much".to_owned())),
                };
                if let Err(error) = passed_on {
                    tracing::debug!(component = name, %error, "events are announced through the database");
                    database.tell(LeaderRole::Outbox);
                }
            }
            self.pass_nothing_on();
        }
    }

    /// Notifies the leading host through the database, now and for later
    /// commits.
    fn pass_nothing_on(&self) {
        self.signals.outbox.keep(false);
        self.component.database.tell(LeaderRole::Outbox);
    }

    /// None when the host stops first.
    async fn lead(&self) -> Option<Box<dyn Leadership>> {
        self.component.stop.run_until_cancelled(self.reaches_bus()).await?;
        self.component.lead(LeaderRole::Outbox).await
    }

    async fn reaches_bus(&self) {
        let look = async {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                match self.component.database.outbox(self.carried, 1).await {
                    Ok(waiting) => self.note_age(waiting.first()),
                    Err(error) => tracing::debug!(component = self.component.name, ?error, "the outbox cannot be read"),
                }
            }
        };
        tokio::select! {
            () = self.component.bus.reachable() => {}
            () = look => {}
        }
    }

    async fn carry_while_leading(&mut self, mut lead: Box<dyn Leadership>) {
        let signals = self.signals.clone();
        let stop = self.component.stop.clone();
        let mut takeover = self.component.bus.takeover(&self.component.name).await;
        let mut reaches_bus = self.carry_all().await;
        loop {
            if !reaches_bus {
                return self.forget().await;
            }
            let forget_at = self.forget_at;
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = lead.lost() => {
                    tracing::info!(component = self.component.name, "this host no longer carries the events");
                    return;
                }
                commits = takeover.next() => take_over(&signals, &commits),
                () = signals.outbox.grown() => reaches_bus = self.carry_all().await,
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
                    self.signals.outbox.look();
                    metrics::counter!("bus_publish_failures_total", "component" => self.component.name.clone())
                        .increment(1);
                    tracing::warn!(component = self.component.name, failures, error, "events wait for the bus");
                    if self.component.bus.trouble().is_some() {
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
        match self.signals.outbox.take(self.carried, BATCH_EVENTS as usize) {
            Waiting::Events(events) => Ok(events),
            Waiting::Look => {
                let batch = self.component.database.outbox(self.carried, BATCH_EVENTS).await?;
                if batch.len() == BATCH_EVENTS as usize {
                    self.signals.outbox.look();
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
        if let Err(error) = self.component.database.clear_outbox(self.carried).await {
            tracing::warn!(component = self.component.name, ?error, "carried events could not be deleted yet");
            self.forget_at = Some(Instant::now() + self.component.settings.max_backoff);
        }
    }
}

/// Encodes the events of commits for another host.
fn encode(commits: &[Published]) -> Vec<u8> {
    serde_json::to_vec(commits).unwrap_or_default()
}

/// Takes another host's commits as if they were this host's.
fn take_over(signals: &Signals, commits: &[u8]) {
    match serde_json::from_slice::<Vec<Published>>(commits) {
        Ok(commits) => {
            for published in commits {
                signals.outbox.hand_over(published);
            }
        }
        // A host of another version may encode events in another way.
        Err(error) => {
            tracing::debug!(%error, "the events of another host are read from the outbox");
            signals.outbox.look();
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
