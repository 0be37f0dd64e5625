//! Lets a component apply the events that it subscribes to.

use super::{delivery::deliver_once, workers::ComponentWorkers};
use host_base::{clock::now_ms, event::Event};
use host_bus::{DeadLetter, DeadLetterKind, Delivery};
use host_engine::Outcome;
use host_store::{Error, Once};
use host_telemetry::{Step, StepKind};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

const AFTER_AN_ERROR: Duration = Duration::from_secs(1);
const PRUNE_EVERY: Duration = Duration::from_secs(3_600);
/// The marks of applied events outlive the events themselves: an event may be
/// delivered again as long as the bus has it.
const INBOX_RETENTIONS: u32 = 2;

/// A component's events: a few at a time, each in a transaction of its own.
pub(super) struct Events {
    component: ComponentWorkers,
}

impl Events {
    pub(super) fn new(component: ComponentWorkers) -> Self {
        Self { component }
    }

    /// Runs until the host stops, and ends when all that is under way has.
    pub(super) async fn run(self) {
        let component = Arc::new(self.component);
        let pruning = tokio::spawn(prune(component.clone()));
        let slots = Arc::new(Semaphore::new(component.settings.concurrency));
        let under_way = TaskTracker::new();
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
                    under_way.spawn(async move {
                        component.deliver(delivery).await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::warn!(component = component.name, %error, "no events");
                    component.pause(AFTER_AN_ERROR).await;
                }
            }
        }
        under_way.close();
        under_way.wait().await;
        pruning.abort();
    }
}

impl ComponentWorkers {
    async fn deliver(&self, mut delivery: Delivery) {
        let mut step = self.step(&mut delivery);
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
            // Without an answer the host is stopping, and the event is due
            // again when it starts.
            let Some(next) = self.persist("an event", || self.apply(&delivery)).await else { return };
            let outcome = next.name();
            conclude_step(&mut step, &next);
            metrics::counter!("event_deliveries_total", "component" => self.name.clone(), "outcome" => outcome)
                .increment(1);
            let age_seconds = age(event);
            metrics::histogram!("event_latency_seconds", "component" => self.name.clone()).record(age_seconds);
            let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            match &next {
                Outcome::Retry { reason, .. } => tracing::warn!(outcome, duration_ms, reason, "event"),
                _ => tracing::debug!(outcome, duration_ms, age_seconds, "event"),
            }
            self.conclude(&delivery, next).await;
        }
        .instrument(span)
        .await;
    }

    /// One attempt; what the component causes in it continues from there.
    fn step(&self, delivery: &mut Delivery) -> Step {
        let Delivery { event, attempt, .. } = delivery;
        let name = || format!("handle {}", event.subject);
        let mut step = Step::begin(StepKind::Consume, event.traceparent.as_deref(), name);
        step.say(|| {
            [
                ("component", self.name.clone().into()),
                ("messaging.message.id", event.id.clone().into()),
                ("attempt", i64::from(*attempt).into()),
            ]
        });
        if let Some(traceparent) = step.recorded() {
            event.traceparent = Some(traceparent);
        }
        step
    }

    async fn apply(&self, delivery: &Delivery) -> Result<Outcome, Error> {
        let Some(handler) = self.handler().await else {
            return Err(Error::Unavailable("the component has no active revision".into()));
        };
        if delivery.attempt == 1 {
            metrics::histogram!("event_wait_seconds", "component" => self.name.clone()).record(age(&delivery.event));
        }
        let (transaction, hindered) = self.once(Once::Event(delivery.event.id.clone()));
        let handle = handler.handle_event(&delivery.event, delivery.attempt, transaction);
        deliver_once(self, &handler, delivery.attempt, delivery.event.traceparent.as_deref(), hindered, handle).await
    }

    async fn conclude(&self, delivery: &Delivery, next: Outcome) {
        let concluded = match next {
            Outcome::Done | Outcome::Skipped => self.consumer.acknowledge(delivery).await,
            Outcome::Retry { after, .. } => {
                self.consumer.retry(delivery, self.retry_delay(after, delivery.attempt)).await
            }
            Outcome::SetAside(reason) => match self.set_aside(self.letter(delivery, reason)).await {
                Ok(()) => self.consumer.acknowledge(delivery).await,
                Err(error) => {
                    tracing::error!(%error, "a dead letter could not be kept");
                    self.consumer.retry(delivery, self.settings.max_backoff).await
                }
            },
        };
        if let Err(error) = concluded {
            tracing::warn!(%error, "the bus did not take the outcome of an event: it comes again");
        }
    }

    fn letter(&self, delivery: &Delivery, reason: String) -> DeadLetter {
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

/// Since it happened, in seconds.
fn age(event: &Event) -> f64 {
    now_ms().saturating_sub(event.time_ms) as f64 / 1_000.0
}

/// How the attempt ended.
pub(super) fn conclude_step(step: &mut Step, next: &Outcome) {
    step.say(|| [("outcome", next.name().into())]);
    if let Some(reason) = next.reason() {
        step.fail(|| reason.to_owned());
    }
}

async fn prune(component: Arc<ComponentWorkers>) {
    let kept = component.settings.retention.saturating_mul(INBOX_RETENTIONS);
    let kept_ms = u64::try_from(kept.as_millis()).unwrap_or(u64::MAX);
    let mut hours = tokio::time::interval(PRUNE_EVERY);
    loop {
        hours.tick().await;
        match component.database.prune_inbox(now_ms().saturating_sub(kept_ms)).await {
            Ok(marks) => tracing::debug!(component = component.name, marks, "old marks forgotten"),
            Err(error) => tracing::warn!(component = component.name, ?error, "old marks could not be forgotten"),
        }
    }
}
