//! Answers that come piece by piece: a call that goes on after its head.

use super::{call_stats::InFlight, revision::Revision};
use axum::body::Body;
use host_engine::{CallContext, Failure, Ongoing, Pool};
use parking_lot::Mutex;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::sync::OwnedSemaphorePermit;

/// What such a call holds until its answer has ended: its turns, and its part
/// of what the revision has under way.
struct Streaming {
    revision: Arc<Revision>,
    flight: Mutex<Option<InFlight>>,
    error: AtomicBool,
    abandoned: AtomicBool,
    _turns: [OwnedSemaphorePermit; 2],
}

impl Revision {
    /// Lets a foreign component answer a request, in its turn. `turn` is the
    /// request's among those of all components.
    ///
    /// # Errors
    /// See [`Failure`]. It has been counted and logged.
    pub async fn stream(
        self: &Arc<Self>,
        call: CallContext,
        request: http::Request<Body>,
        turn: OwnedSemaphorePermit,
    ) -> Result<http::Response<Body>, Failure> {
        let flight = self.depart();
        let own = match self.admission.enter().await {
            Ok(own) => own,
            Err(failure) => {
                self.note(&failure);
                flight.land(true);
                return Err(failure);
            }
        };
        let streaming = Arc::new(Streaming {
            revision: self.clone(),
            flight: Mutex::new(Some(flight)),
            error: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            _turns: [turn, own],
        });
        let answer = match &self.instances {
            Pool::Foreign(instances) => instances.answer(call, request, streaming.clone()).await,
            Pool::Platform(_) => Err(Failure::Host {
                component: self.name().to_owned(),
                problem: "it does not answer by the standard's interface".to_owned(),
            }),
        };
        match &answer {
            Ok(response) => streaming.answered(response.status().is_server_error()),
            Err(failure) => streaming.broke_off(failure),
        }
        answer
    }
}

impl Streaming {
    fn answered(&self, error: bool) {
        if error {
            self.error.store(true, Ordering::Release);
        }
        if let Some(flight) = &mut *self.flight.lock() {
            flight.answered();
        }
    }
}

impl Ongoing for Streaming {
    fn broke_off(&self, failure: &Failure) {
        self.revision.note(failure);
        self.error.store(true, Ordering::Release);
    }

    fn abandoned(&self) {
        self.abandoned.store(true, Ordering::Release);
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        let flight = self.flight.get_mut().take();
        if let Some(flight) = flight.filter(|_| !self.abandoned.load(Ordering::Acquire)) {
            flight.land(self.error.load(Ordering::Acquire));
        }
    }
}
