//! Streamed answers: a call that goes on after the head of its answer.

use super::{
    call_stats::InFlight,
    failure_log::{Called, Work},
    invocation::Invocation,
    revision::Revision,
};
use axum::body::Body;
use host_engine::{Blame, CallContext, CallTurns, Failure, StreamObserver};
use parking_lot::Mutex;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// A request that is answered as a stream. It is kept until the answer ends.
#[derive(Debug, Clone)]
pub struct StreamedRequest {
    /// The method of the endpoint.
    pub method: String,
    /// The pattern of the manifest.
    pub route: String,
    /// The request's id.
    pub id: Arc<str>,
    /// The W3C trace context.
    pub traceparent: Option<Arc<str>>,
}

/// The state that a streamed call holds until its answer ends: its turns, and
/// its place among the revision's work in flight.
struct Streaming {
    revision: Arc<Revision>,
    asked: Arc<StreamedRequest>,
    in_flight: Mutex<Option<InFlight>>,
    error: AtomicBool,
    abandoned: AtomicBool,
    turns: Mutex<Option<Arc<CallTurns>>>,
}

impl Invocation {
    /// Lets a `wasi:http` component answer a request, in its turn. The work ends
    /// when the answer's body has.
    ///
    /// # Errors
    /// See [`Failure`]. The component's have been counted and logged.
    pub async fn stream(
        self,
        asked: Arc<StreamedRequest>,
        call: CallContext,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, Failure> {
        let turns = match self.enter(asked.called()).await {
            Ok(turns) => Arc::new(turns),
            Err(failure) => {
                self.end(true);
                return Err(failure);
            }
        };
        let Self { revision, in_flight, .. } = self;
        let streaming = Arc::new(Streaming {
            revision: revision.clone(),
            asked,
            in_flight: Mutex::new(Some(in_flight)),
            error: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            turns: Mutex::new(Some(turns.clone())),
        });
        let call = CallContext { turns: Some(turns), ..call };
        let answer = match revision.instances.wasi_http() {
            Some(instances) => instances.answer(call, request, streaming.clone()).await,
            None => {
                let problem = "it has no handler of wasi:http".to_owned();
                Err(Failure::Host { component: revision.name().to_owned(), problem })
            }
        };
        match &answer {
            Ok(response) => streaming.answered(response.status().is_server_error()),
            Err(failure) => streaming.broke_off(failure),
        }
        answer
    }
}

impl StreamedRequest {
    /// The call, as a failure names it.
    pub fn called(&self) -> Called<'_> {
        let Self { method, route, id, traceparent } = self;
        Called { work: Work::Request { method, route }, id, traceparent: traceparent.as_deref() }
    }
}

impl Streaming {
    fn answered(&self, error: bool) {
        if error {
            self.error.store(true, Ordering::Release);
        }
        if let Some(in_flight) = &mut *self.in_flight.lock() {
            in_flight.answered();
        }
    }
}

impl StreamObserver for Streaming {
    fn broke_off(&self, failure: &Failure) {
        self.revision.note(failure, self.asked.called());
        if failure.blame() != Blame::Caller {
            self.error.store(true, Ordering::Release);
        }
    }

    fn abandoned(&self) {
        self.abandoned.store(true, Ordering::Release);
    }

    fn unread(&self) {
        self.abandoned();
        drop(self.in_flight.lock().take());
        drop(self.turns.lock().take());
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        let in_flight = self.in_flight.get_mut().take();
        if let Some(in_flight) = in_flight.filter(|_| !self.abandoned.load(Ordering::Acquire)) {
            in_flight.end(self.error.load(Ordering::Acquire));
        }
    }
}
