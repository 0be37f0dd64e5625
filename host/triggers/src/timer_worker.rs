//! The worker that fires a component's timers when they are due.
//!
//! It sleeps until the next timer is due. A commit that sets an earlier timer
//! wakes it.

use super::{
    delivery::{Ended, deliver_once},
    event_worker::end_span,
    schedules,
    workers::ComponentWorkers,
};
use host_artifact::Schedule;
use host_base::clock::{self, now_ms};
use host_bus::{DeadLetter, DeadLetterKind};
use host_engine::Outcome;
use host_store::{Database, DueTimer, Error, IdempotencyKey, Lease, LeaseRole};
use host_telemetry::{Span, SpanKind, recent_traces::OperationKind};
use parking_lot::{Mutex, MutexGuard};
use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

const ERROR_DELAY: Duration = Duration::from_secs(1);
/// The longest sleep, because the clock may be set.
const MAX_SLEEP: Duration = Duration::from_secs(10);

/// Fires a component's timers: a few at a time, each in a transaction of its
/// own.
pub(super) struct TimerWorker {
    component: Arc<ComponentWorkers>,
    database: Arc<dyn Database>,
    in_flight: Arc<InFlightTimers>,
    tasks: TaskTracker,
}

/// The timers in flight, by their generation.
#[derive(Default)]
struct InFlightTimers {
    state: Mutex<InFlightState>,
    ended: Notify,
}

#[derive(Default)]
struct InFlightState {
    generations: HashSet<i64>,
    /// Timers that have ended. They are kept until the next read of the timers,
    /// because a read in progress may still see them.
    ended: Vec<i64>,
    /// Whether a timer that is due waits for the end of a timer in flight.
    has_waiting: bool,
}

impl TimerWorker {
    pub(super) fn new(component: ComponentWorkers, database: Arc<dyn Database>) -> Self {
        Self { component: Arc::new(component), database, in_flight: Arc::default(), tasks: TaskTracker::new() }
    }

    /// Runs until the host stops, and ends after the timers in flight. Of the
    /// hosts that share a database one at a time fires timers.
    pub(super) async fn run(self) {
        while self.component.handler().await.is_some() {
            let Some(lease) = self.component.acquire_lease(LeaseRole::Timers).await else { break };
            self.fire_while_leased(lease).await;
        }
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Fires timers until this host stops, has no active revision, or loses the
    /// lease.
    async fn fire_while_leased(&self, mut lease: Box<dyn Lease>) {
        let signal = self.database.timers_signal();
        signal.read_now();
        let mut scheduled: Option<Vec<Schedule>> = None;
        while let Some(handler) = self.component.handlers.current(&self.component.name) {
            if scheduled.as_deref() != Some(handler.schedules()) && self.set_timers(handler.schedules()).await {
                scheduled = Some(handler.schedules().to_vec());
            }
            drop(handler);
            if signal.next_read_ms() <= now_ms() {
                signal.begin_read();
                let next = self.fire_due().await;
                signal.end_read(next);
            }
            let wait = || Duration::from_millis(signal.next_read_ms().saturating_sub(now_ms())).min(MAX_SLEEP);
            tokio::select! {
                biased;
                () = self.component.stop.cancelled() => return,
                () = lease.lost() => {
                    tracing::info!(component = self.component.name, "this host no longer fires the timers");
                    return;
                }
                () = signal.earlier() => {}
                () = self.in_flight.ended.notified() => signal.read_now(),
                () = clock::sleep(wait) => {}
            }
        }
    }

    /// Sets the timers of the active revision's schedules. False if that failed.
    async fn set_timers(&self, schedules: &[Schedule]) -> bool {
        let set = schedules::set_timers(&*self.database, schedules).await;
        set.inspect_err(|error| {
            tracing::warn!(component = self.component.name, ?error, "the host cannot set the timers of schedules");
        })
        .is_ok()
    }

    /// Fires the timers that are due, and returns the time of the next read.
    async fn fire_due(&self) -> u64 {
        let sleep = self.fire_up_to_limit().await.unwrap_or_else(|error| {
            tracing::warn!(component = self.component.name, ?error, "the host cannot read the timers");
            ERROR_DELAY
        });
        now_ms().saturating_add(u64::try_from(sleep.as_millis()).unwrap_or(u64::MAX))
    }

    /// Fires the timers that are due, up to the limit on concurrency. Returns the
    /// time to sleep.
    async fn fire_up_to_limit(&self) -> Result<Duration, Error> {
        let busy = self.in_flight.remove_ended();
        let free = self.component.settings.concurrency.saturating_sub(busy);
        if free == 0 {
            return Ok(MAX_SLEEP);
        }
        // The timers in flight stay in the table until their commit.
        let limit = u32::try_from(busy + free).unwrap_or(u32::MAX);
        let now_ms = now_ms();
        let upcoming = self.database.upcoming_timers(now_ms, limit).await?;
        let (mut sleep, mut fired_all) = (MAX_SLEEP, upcoming.len() < limit as usize);
        for timer in upcoming {
            if timer.timer.due_ms > now_ms {
                sleep = Duration::from_millis(timer.timer.due_ms - now_ms).min(MAX_SLEEP);
            } else if self.in_flight.add(timer.generation) {
                self.spawn(timer, now_ms);
            } else {
                // The timer in flight may be about to end with a delay that is
                // already over.
                fired_all = false;
            }
        }
        if fired_all {
            self.in_flight.none_waits();
        }
        Ok(sleep)
    }

    fn spawn(&self, timer: DueTimer, now_ms: u64) {
        let lag_ms = now_ms.saturating_sub(timer.timer.due_ms);
        metrics::histogram!("timer_lag_seconds", "component" => self.component.name.clone())
            .record(lag_ms as f64 / 1_000.0);
        let (component, database, in_flight) = (self.component.clone(), self.database.clone(), self.in_flight.clone());
        self.tasks.spawn(async move {
            let generation = timer.generation;
            component.fire(&*database, timer).await;
            in_flight.end(generation);
        });
    }
}

impl InFlightTimers {
    /// Removes the timers that have ended, before the timers are read, and
    /// counts the others. Until [`none_waits`](Self::none_waits) each end wakes
    /// the worker.
    fn remove_ended(&self) -> usize {
        let InFlightState { generations, ended, has_waiting } = &mut *self.state();
        for generation in ended.drain(..) {
            generations.remove(&generation);
        }
        *has_waiting = true;
        generations.len()
    }

    /// No due timer waits for the end of another timer.
    fn none_waits(&self) {
        self.state().has_waiting = false;
    }

    fn add(&self, generation: i64) -> bool {
        self.state().generations.insert(generation)
    }

    fn end(&self, generation: i64) {
        let mut state = self.state();
        state.ended.push(generation);
        if state.has_waiting {
            self.ended.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, InFlightState> {
        self.state.lock()
    }
}

impl ComponentWorkers {
    async fn fire(&self, database: &dyn Database, mut timer: DueTimer) {
        let mut otel_span = self.start_timer_span(&mut timer);
        let span = tracing::info_span!(
            "timer",
            component = self.name,
            key = timer.timer.key,
            attempt = timer.attempt,
            traceparent = timer.traceparent,
        );
        async {
            let begun = Instant::now();
            // None means that the host stops. The timer is still in the table
            // after the next start.
            let Some(result) = self.retry_host_errors("to deliver a timer", || self.handle(&timer)).await else {
                return;
            };
            let outcome = result.name();
            end_span(&mut otel_span, &result);
            let trace = otel_span.trace_id();
            Ended { kind: OperationKind::Timer, name: &timer.timer.key, id: "", trace, begun }
                .record(&self.name, &result);
            metrics::counter!("timer_deliveries_total", "component" => self.name.clone(), "outcome" => outcome)
                .increment(1);
            let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            match &result {
                Outcome::Retry { reason, .. } => {
                    tracing::warn!(outcome, duration_ms, reason, "the component did not handle a timer yet")
                }
                _ => tracing::debug!(outcome, duration_ms, "the host fired a timer"),
            }
            self.retry_host_errors("to store the outcome of a timer", || self.store_outcome(database, &timer, &result))
                .await;
        }
        .instrument(span)
        .await;
    }

    /// Begins the span of one attempt. The events and timers of the attempt
    /// continue from it.
    fn start_timer_span(&self, timer: &mut DueTimer) -> Span {
        let mut otel_span = Span::start(SpanKind::Internal, timer.traceparent.as_deref(), || "timer".to_owned());
        otel_span.set_attributes(|| {
            [
                ("component", self.name.clone().into()),
                ("timer.key", timer.timer.key.clone().into()),
                ("attempt", i64::from(timer.attempt).into()),
            ]
        });
        if let Some(traceparent) = otel_span.recorded_traceparent() {
            timer.traceparent = Some(traceparent);
        }
        otel_span
    }

    async fn handle(&self, timer: &DueTimer) -> Result<Outcome, Error> {
        let Some(handler) = self.handler().await else {
            return Err(Error::Unavailable("the component has no active revision".into()));
        };
        let key = IdempotencyKey::Timer(timer.clone());
        let (transaction, not_started) = self.lazy_transaction(key, timer.traceparent.as_deref());
        let handle = async {
            let transaction = handler.handle_timer(timer, transaction).await?;
            match schedules::schedule_of(handler.schedules(), &timer.timer) {
                Some(schedule) => schedules::set_next(schedule, transaction).await,
                None => Ok(transaction),
            }
        };
        deliver_once(&handler, timer.attempt, not_started, handle).await
    }

    /// Stores the outcome of a timer that was not handled.
    async fn store_outcome(&self, database: &dyn Database, timer: &DueTimer, outcome: &Outcome) -> Result<(), Error> {
        match outcome {
            Outcome::Done | Outcome::Skipped => Ok(()),
            Outcome::Retry { after, .. } => {
                let delay = self.retry_delay(*after, timer.attempt);
                let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                database.postpone_timer(timer, now_ms().saturating_add(delay_ms)).await
            }
            Outcome::DeadLetter(reason) => {
                let letter = self.timer_dead_letter(timer, reason.clone());
                self.add_dead_letter(letter).await.map_err(|error| Error::Unavailable(error.to_string()))?;
                let begun = self.inbox.begin_once(&IdempotencyKey::Timer(timer.clone())).await?;
                let Some(mut transaction) = begun else { return Ok(()) };
                let handler = self.handlers.current(&self.name);
                let schedules = handler.as_ref().map_or(&[][..], |handler| handler.schedules());
                let next = schedules::schedule_of(schedules, &timer.timer).and_then(schedules::next_timer);
                if let Some(next) = next {
                    transaction.schedule(&next, None).await?;
                }
                transaction.commit().await
            }
        }
    }

    fn timer_dead_letter(&self, timer: &DueTimer, reason: String) -> DeadLetter {
        DeadLetter {
            id: String::new(),
            component: self.name.clone(),
            kind: DeadLetterKind::Timer,
            subject_id: timer.timer.key.clone(),
            subject: String::new(),
            source: self.name.clone(),
            time_ms: timer.timer.due_ms,
            attempts: timer.attempt,
            reason,
            set_aside_ms: 0,
            payload: timer.timer.payload.clone(),
            traceparent: timer.traceparent.clone(),
        }
    }
}
