//! The one way to run a component.
//!
//! A request, an event, a timer and a probe are each one [`Invocation`] of a
//! revision. An invocation waits for its turns, runs the guest within its
//! deadline, counts the outcome, and says who is to blame for a failure. It holds
//! no turn while its events are on their way, and none while it waits for a signal
//! or for another host, so a chain of events goes on at any concurrency.

use super::{
    call_stats::InFlight,
    failure_log::{Called, Work},
    revision::Revision,
};
use host_base::Event;
use host_engine::{
    CallContext, CallTurns, Failure, Handled, Instances, Outcome, Patience, Request,
    bindings::{exports::platform::http::handler::Response, platform::messaging::types},
};
use host_store::{DueTimer, Transaction};
use std::sync::Arc;

/// One piece of work of a revision, from its beginning to its end. Dropping it
/// without [`Invocation::end`] counts it as abandoned.
pub struct Invocation {
    pub(super) revision: Arc<Revision>,
    pub(super) in_flight: InFlight,
    patience: Patience,
}

impl Revision {
    /// Begins a piece of work and counts it as in flight until its end.
    pub fn begin(self: &Arc<Self>, patience: Patience) -> Invocation {
        Invocation { in_flight: self.call_counter.begin(), revision: self.clone(), patience }
    }

    /// Begins a probe. It waits like a worker, and is not counted as a call.
    pub(super) fn begin_probe(self: &Arc<Self>) -> Invocation {
        Invocation { in_flight: InFlight::uncounted(), revision: self.clone(), patience: Patience::Worker }
    }
}

impl Invocation {
    /// The revision that does the work.
    pub fn revision(&self) -> &Arc<Revision> {
        &self.revision
    }

    /// Lets the component answer a request, in its turn. The call may wait for a
    /// signal meanwhile.
    ///
    /// # Errors
    /// See [`Failure`]. The component's have been counted and logged.
    pub async fn answer(&self, call: &CallContext, request: &Request) -> Result<Response, Failure> {
        let called = Called::of_request(request, call);
        let call = CallContext { is_request: true, ..call.clone() };
        self.run(called, call, async |instances, call| instances.answer(call, request).await).await
    }

    /// Lets the component apply an event, in its turn.
    pub async fn apply(self, event: &Event, attempt: u32, transaction: Box<dyn Transaction>) -> Handled {
        let traceparent = event.traceparent.as_deref().map(Into::into);
        let call = CallContext { id: event.id.as_str().into(), traceparent, ..Default::default() };
        let called =
            Called { work: Work::Event(&event.subject), id: &event.id, traceparent: event.traceparent.as_deref() };
        let event = types::Event {
            id: event.id.clone(),
            subject: event.subject.clone(),
            source: event.source.clone(),
            time_ms: event.time_ms,
            attempt,
            payload: event.payload.clone(),
        };
        self.deliver(called, call, async |instances, call| instances.apply(call, &event, transaction).await).await
    }

    /// Lets the component handle a timer, in its turn.
    pub async fn fire(self, timer: &DueTimer, transaction: Box<dyn Transaction>) -> Handled {
        let call = CallContext {
            id: format!("timer {}", timer.timer.key).into(),
            traceparent: timer.traceparent.as_deref().map(Into::into),
            ..Default::default()
        };
        let called = Called { work: Work::Timer(&timer.timer.key), id: "", traceparent: timer.traceparent.as_deref() };
        self.deliver(called, call, async |instances, call| {
            instances.fire(call, &timer.timer, timer.attempt, transaction).await
        })
        .await
    }

    /// Ends the work, well or with an error.
    pub fn end(self, error: bool) {
        self.in_flight.end(error);
    }

    async fn deliver(
        self,
        called: Called<'_>,
        call: CallContext,
        handle: impl AsyncFnOnce(&Instances, CallContext) -> Result<Handled, Failure>,
    ) -> Handled {
        let handled = self.run(called, call, handle).await;
        self.end(handled.is_err());
        handled.unwrap_or_else(|failure| Err(Outcome::retry(failure.to_string())))
    }

    /// Every call of the platform's handlers passes here.
    async fn run<T>(
        &self,
        called: Called<'_>,
        call: CallContext,
        run: impl AsyncFnOnce(&Instances, CallContext) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let call = CallContext { turns: Some(Arc::new(self.enter(called).await?)), ..call };
        let answered = run(self.revision.instances.handlers(), call).await;
        answered.inspect_err(|failure| self.revision.note(failure, called))
    }

    /// Waits for the turns of a call. A full host is no failure of the
    /// component.
    pub(super) async fn enter(&self, called: Called<'_>) -> Result<CallTurns, Failure> {
        let revision = &self.revision;
        let entered = CallTurns::enter(&revision.admission, &revision.host_admission, self.patience).await;
        entered.inspect_err(|failure| {
            if failure.is_busy(revision.name()) {
                revision.note(failure, called);
            }
        })
    }
}

impl<'a> Called<'a> {
    /// The answer to a request.
    pub fn of_request(request: &'a Request, call: &'a CallContext) -> Self {
        let work = Work::Request { method: request.method(), route: request.route() };
        Self { work, id: request.id(), traceparent: call.traceparent.as_deref() }
    }
}
