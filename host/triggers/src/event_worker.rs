//! The worker that delivers events to a component.

use super::{
    delivery::{Ended, deliver_once},
    workers::ComponentWorkers,
};
use host_base::{clock::now_ms, event::Event};
use host_bus::{DeadLetter, DeadLetterKind, Delivery};
use host_engine::Outcome;
use host_store::{Error, IdempotencyKey, KEPT_MS, LIVE_KEPT_MS};
use host_telemetry::{Span, SpanKind, recent_traces::OperationKind};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

const ERROR_DELAY: Duration = Duration::from_secs(1);
const PRUNE_INTERVAL: Duration = Duration::from_secs(3_600);
/// The inbox keeps the ids of applied events for this multiple of the time for
/// which the bus keeps the events, because the bus can deliver an event again as
/// long as it has it.
const INBOX_RETENTIONS: u32 = 2;

/// Delivers a component's events: a few at a time, each in a transaction of its
/// own.
pub(super) struct EventWorker {
    component: ComponentWorkers,
}

impl EventWorker {
    pub(super) fn new(component: ComponentWorkers) -> Self {
        Self { component }
    }

    /// Runs until the host stops, and ends after the deliveries in flight.
    pub(super) async fn run(self) {
        let component = Arc::new(self.component);
        let pruning = tokio::spawn(prune(component.clone()));
        let slots = Arc::new(Semaphore::new(component.settings.concurrency));
        let deliveries = TaskTracker::new();
        while component.handler().await.is_some() {
            let Ok(slot) = slots.clone().acquire_owned().await else { break };
            let delivery = tokio::select! {
                biased;
                () = component.stop.cancelled() => break,
                delivery = component.consumer.next() => delivery,
            };
            match delivery {
                Ok(delivery) => {
                    let component = component.clone();
                    deliveries.spawn(async move {
                        component.deliver(delivery).await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::warn!(component = component.name, %error, "the bus delivers no events");
                    component.pause(ERROR_DELAY).await;
                }
            }
        }
        deliveries.close();
        deliveries.wait().await;
        pruning.abort();
    }
}

impl ComponentWorkers {
    async fn deliver(&self, mut delivery: Delivery) {
        let mut otel_span = self.start_event_span(&mut delivery);
        let event = &delivery.event;
        let span = tracing::info_span!(
            "event",
            component = self.name,
            id = event.id,
            subject = event.subject,
            attempt = delivery.attempt,
            traceparent = event.traceparent,
        );
        async {
            let begun = Instant::now();
            // None means that the host stops. The bus delivers the event again
            // after the next start.
            let Some(result) = self.retry_host_errors("to deliver an event", || self.apply(&delivery)).await else {
                return;
            };
            let outcome = result.name();
            end_span(&mut otel_span, &result);
            let trace = otel_span.trace_id();
            Ended { kind: OperationKind::Event, name: &event.subject, id: &event.id, trace, begun }
                .record(&self.name, &result);
            metrics::counter!("event_deliveries_total", "component" => self.name.clone(), "outcome" => outcome)
                .increment(1);
            let age_seconds = age(event);
            metrics::histogram!("event_latency_seconds", "component" => self.name.clone()).record(age_seconds);
            let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            match &result {
                Outcome::Retry { reason, .. } => {
                    tracing::warn!(outcome, duration_ms, reason, "the component did not handle an event yet")
                }
                _ => tracing::debug!(outcome, duration_ms, age_seconds, "the host delivered an event"),
            }
            self.report_outcome(&delivery, result).await;
        }
        .instrument(span)
        .await;
    }

    /// Begins the span of one attempt. The events and timers of the attempt
    /// continue from it.
    fn start_event_span(&self, delivery: &mut Delivery) -> Span {
        let Delivery { event, attempt, .. } = delivery;
        let name = || format!("handle {}", event.subject);
        let mut otel_span = Span::start(SpanKind::Consumer, event.traceparent.as_deref(), name);
        otel_span.set_attributes(|| {
            [
                ("component", self.name.clone().into()),
                ("messaging.message.id", event.id.clone().into()),
                ("attempt", i64::from(*attempt).into()),
            ]
        });
        if let Some(traceparent) = otel_span.recorded_traceparent() {
            event.traceparent = Some(traceparent);
        }
        otel_span
    }

    async fn apply(&self, delivery: &Delivery) -> Result<Outcome, Error> {
        let Some(handler) = self.handler().await else {
            return Err(Error::Unavailable("the component has no active revision".into()));
        };
        if delivery.attempt == 1 {
            metrics::histogram!("event_wait_seconds", "component" => self.name.clone()).record(age(&delivery.event));
        }
        let key = IdempotencyKey::Event(delivery.event.id.clone());
        let (transaction, not_started) = self.lazy_transaction(key, delivery.event.traceparent.as_deref());
        let handle = handler.handle_event(&delivery.event, delivery.attempt, transaction);
        deliver_once(&handler, delivery.attempt, not_started, handle).await
    }

    async fn report_outcome(&self, delivery: &Delivery, outcome: Outcome) {
        let reported = match outcome {
            Outcome::Done | Outcome::Skipped => self.consumer.acknowledge(delivery).await,
            Outcome::Retry { after, .. } => {
                self.consumer.retry(delivery, self.retry_delay(after, delivery.attempt)).await
            }
            Outcome::DeadLetter(reason) => match self.add_dead_letter(self.event_dead_letter(delivery, reason)).await {
                Ok(()) => self.consumer.acknowledge(delivery).await,
                Err(error) => {
                    tracing::error!(component = self.name, %error, "the bus did not store a dead letter");
                    self.consumer.retry(delivery, self.settings.max_backoff).await
                }
            },
        };
        if let Err(error) = reported {
            tracing::warn!(
                component = self.name,
                %error,
                "the bus did not take the outcome of an event and delivers the event again"
            );
        }
    }

    fn event_dead_letter(&self, delivery: &Delivery, reason: String) -> DeadLetter {
        let event = delivery.event.clone();
        DeadLetter {
            id: String::new(),
            component: self.name.clone(),
            kind: DeadLetterKind::Event,
            subject_id: event.id,
            subject: event.subject,
            source: event.source,
            time_ms: event.time_ms,
            attempts: delivery.attempt,
            reason,
            set_aside_ms: 0,
            payload: event.payload,
            traceparent: event.traceparent,
        }
    }
}

/// The age of an event in seconds.
fn age(event: &Event) -> f64 {
    now_ms().saturating_sub(event.time_ms) as f64 / 1_000.0
}

/// Writes the outcome of an attempt into its span.
pub(super) fn end_span(otel_span: &mut Span, outcome: &Outcome) {
    otel_span.set_attributes(|| [("outcome", outcome.name().into())]);
    if let Some(reason) = outcome.reason() {
        otel_span.fail(|| reason.to_owned());
    }
}

async fn prune(component: Arc<ComponentWorkers>) {
    let kept = component.settings.retention.saturating_mul(INBOX_RETENTIONS);
    let kept_ms = u64::try_from(kept.as_millis()).unwrap_or(u64::MAX);
    let mut ticks = tokio::time::interval(PRUNE_INTERVAL);
    loop {
        ticks.tick().await;
        match component.inbox.prune_inbox(now_ms().saturating_sub(kept_ms)).await {
            Ok(marks) => tracing::debug!(component = component.name, marks, "the host deleted old inbox entries"),
            Err(error) => {
                tracing::warn!(component = component.name, ?error, "the host could not delete old inbox entries")
            }
        }
        match component.keyed_requests.prune_requests(now_ms().saturating_sub(KEPT_MS)).await {
            Ok(requests) => tracing::debug!(component = component.name, requests, "the host deleted old answers"),
            Err(error) => tracing::warn!(component = component.name, ?error, "the host could not delete old answers"),
        }
        if let Err(error) = component.live_log.prune_live(now_ms().saturating_sub(LIVE_KEPT_MS)).await {
            tracing::warn!(component = component.name, ?error, "the host could not delete old live events");
        }
    }
}
