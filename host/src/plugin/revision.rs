//! One loaded version of a plugin: its code, its instances, its limits.
//!
//! A revision is immutable. It lives from when it was loaded until the last
//! snapshot that holds it and the last call in it are gone.

use super::manifest::Manifest;
use crate::{
    capability::{
        messaging::Event,
        store::{Database, DueTimer, Transaction},
    },
    engine::{
        Admission, CallContext, Failure, Instances,
        bindings::{
            exports::platform::http::handler::{Request, Response},
            platform::messaging::types::{self, Disposition},
        },
        instance::Worked,
    },
    trigger::{Handled, Handler},
};
use async_trait::async_trait;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// A plugin's code in a state in which it can serve.
pub struct Revision {
    /// What identifies it: the plugin's version and the start of the digest.
    pub id: String,
    /// SHA-256 of the file, hexadecimal.
    pub digest: String,
    /// The file's size.
    pub size_bytes: usize,
    /// What it imports.
    pub imports: Vec<String>,
    /// What it says of itself, with the operator's limits.
    pub manifest: Manifest,
    /// The plugin's database, shared by its revisions.
    pub database: Option<Arc<dyn Database>>,
    pub(super) instances: Instances,
    pub(super) admission: Admission,
    pub(super) counts: Counts,
}

/// What a revision has done since it was loaded.
#[derive(Debug, Default)]
pub struct Counts {
    calls: AtomicU64,
    failures: AtomicU64,
}

impl Revision {
    /// Answers a request, in its turn.
    ///
    /// # Errors
    /// See [`Failure`]. It has been counted and logged.
    pub async fn answer(&self, call: CallContext, request: &Request) -> Result<Response, Failure> {
        let _turn = self.admission.enter().await.inspect_err(|failure| self.note(failure))?;
        self.counts.calls.fetch_add(1, Ordering::Relaxed);
        self.instances.answer(call, request).await.inspect_err(|failure| self.note(failure))
    }

    /// The plugin's name.
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// Calls that run now.
    pub fn in_flight(&self) -> usize {
        self.admission.in_flight()
    }

    /// Calls since it was loaded.
    pub fn calls(&self) -> u64 {
        self.counts.calls.load(Ordering::Relaxed)
    }

    /// How many of them failed.
    pub fn failures(&self) -> u64 {
        self.counts.failures.load(Ordering::Relaxed)
    }

    /// Counts and logs a failure, once.
    pub fn note(&self, failure: &Failure) {
        self.counts.failures.fetch_add(1, Ordering::Relaxed);
        let (kind, blame) = (failure.kind(), failure.blame().as_str());
        metrics::counter!("plugin_failures_total",
            "component" => self.manifest.name.clone(), "revision" => self.id.clone(), "kind" => kind, "blame" => blame)
        .increment(1);
        tracing::warn!(component = %self.manifest.name, revision = %self.id, kind, blame, "{failure}");
    }

    fn handled(&self, worked: Result<Worked, Failure>) -> Handled {
        match worked {
            Ok((Ok(()), Some(transaction))) => Handled::Done(transaction),
            Ok((Ok(()), None)) => Handled::Failed("the transaction was over its time limit".to_owned()),
            Ok((Err(Disposition::Retry(delay_ms)), _)) => Handled::Retry(delay_ms),
            Ok((Err(Disposition::Reject(reason)), _)) => Handled::Reject(reason),
            Err(failure) => {
                self.note(&failure);
                Handled::Failed(failure.to_string())
            }
        }
    }
}

#[async_trait]
impl Handler for Revision {
    fn delivery_attempts(&self) -> u32 {
        self.manifest.limits.delivery_attempts
    }

    async fn handle_event(&self, event: &Event, attempt: u32, transaction: Box<dyn Transaction>) -> Handled {
        let call = CallContext { id: event.id.clone(), traceparent: event.traceparent.clone(), ..Default::default() };
        let event = types::Event {
            id: event.id.clone(),
            subject: event.subject.clone(),
            source: event.source.clone(),
            time_ms: event.time_ms,
            attempt,
            payload: event.payload.clone(),
        };
        self.counts.calls.fetch_add(1, Ordering::Relaxed);
        self.handled(self.instances.apply(call, &event, transaction).await)
    }

    async fn handle_timer(&self, timer: &DueTimer, transaction: Box<dyn Transaction>) -> Handled {
        let call = CallContext {
            id: format!("timer {}", timer.timer.key),
            traceparent: timer.traceparent.clone(),
            ..Default::default()
        };
        self.counts.calls.fetch_add(1, Ordering::Relaxed);
        self.handled(self.instances.fire(call, &timer.timer, timer.attempt, transaction).await)
    }
}
