//! One loaded revision of a plugin: its code, its instances, its limits.
//!
//! A revision is immutable. It lives until the last snapshot that holds it and
//! the last call in it are gone.

use super::{
    call_stats::{CallCounter, CallCounts},
    failure_log::Called,
    figures::Figures,
    history::SlotCounts,
};
use host_api::policy::Policy;
use host_artifact::{
    ApiPart, EventSchemas,
    manifest::{Manifest, Route, Visibility},
};
use host_base::{
    ByteBudget,
    byte_budget::{BudgetExceeded, HeldBytes},
};
use host_config::{plugins::Setting, rate::Rate};
use host_engine::{Admission, Failure, Pool};
use host_store::Database;
use host_telemetry::{EndpointMetrics, RevisionSeries};
use std::{
    collections::BTreeMap,
    sync::{Arc, Once},
    time::Duration,
};

/// A revision that can serve.
pub struct Revision {
    /// Its id: the plugin's version and the start of the digest.
    pub id: String,
    /// SHA-256 of the file, hexadecimal.
    pub digest: String,
    /// The file's size.
    pub size_bytes: usize,
    /// What it imports.
    pub imports: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
    /// The values of its declared settings.
    pub config: BTreeMap<String, Setting>,
    /// The rights of the plugin when the revision was loaded. A change of the
    /// policy loads the revision again.
    pub policy: Arc<Policy>,
    /// Its manifest, with the operator's limits, and without the requests that
    /// the policy does not allow.
    pub manifest: Manifest,
    /// Its description of the API.
    pub api: Option<ApiPart>,
    /// The schemas of the events that it publishes.
    pub events: EventSchemas,
    /// The plugin's database, shared by its revisions.
    pub database: Option<Arc<dyn Database>>,
    /// Its endpoints.
    pub(super) endpoints: Vec<OwnEndpoint>,
    pub(super) instances: Pool,
    pub(super) admission: Arc<Admission>,
    /// Turns of all components together.
    pub(super) host_admission: Arc<Admission>,
    pub(super) unsent: Arc<ByteBudget>,
    pub(super) memory: Arc<ByteBudget>,
    /// Done once a header of an answer was dropped and logged.
    pub(super) dropped_header: Once,
    pub(super) call_counter: Arc<CallCounter>,
    /// This is the last field, because nothing is recorded after its drop.
    pub(super) _series: RevisionSeries,
}

/// A method on a path of the manifest, with its metrics.
pub(super) struct OwnEndpoint {
    pub(super) path: String,
    pub(super) method: String,
    pub(super) rate: Option<Rate>,
    pub(super) visibility: Visibility,
    pub(super) metrics: EndpointMetrics,
}

impl OwnEndpoint {
    /// All endpoints of a revision.
    pub(super) fn of(manifest: &Manifest, revision: &str) -> Vec<Self> {
        let of_one = |route: &Route| {
            let (path, rate, visibility) = (route.path.clone(), route.rate, route.visibility);
            route.methods.clone().into_iter().map(move |method| Self {
                metrics: EndpointMetrics::new(&manifest.name, revision, &path, &method),
                path: path.clone(),
                method,
                rate,
                visibility,
            })
        };
        manifest.routes.iter().flat_map(of_one).collect()
    }

    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.path == other.path && self.method == other.method
    }
}

impl Revision {
    /// Whether it answers by the standard's interface, see
    /// [`Invocation::stream`](crate::Invocation::stream).
    pub fn exports_wasi_http(&self) -> bool {
        self.instances.wasi_http().is_some()
    }

    /// Creates instances before the first calls.
    ///
    /// # Errors
    /// What the component's start did wrong.
    pub async fn warm_up(&self, count: usize) -> Result<usize, Failure> {
        let count = count.min(self.manifest.limits.concurrency).min(self.instances.warm_limit());
        for _ in self.instances.warm_count()..count {
            self.instances.warm_up().await?;
        }
        Ok(self.instances.warm_count())
    }

    /// Instances that wait for a call.
    pub fn warm(&self) -> usize {
        self.instances.warm_count()
    }

    /// Calls that wait for their turn.
    pub fn waiting(&self) -> usize {
        self.admission.waiting()
    }

    /// The plugin's name.
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// The counters of its calls.
    pub fn call_counts(&self) -> CallCounts {
        self.call_counter.call_counts()
    }

    /// How long its calls took since it was loaded.
    pub fn call_times(&self) -> SlotCounts {
        self.call_counter.times().counts()
    }

    /// The number of failed calls.
    pub fn failures(&self) -> u64 {
        self.call_counter.failures()
    }

    /// The figures of the plugin, which its other revisions share.
    pub fn figures(&self) -> &Figures {
        self.call_counter.figures()
    }

    /// The memory of all instances of the plugin, which its other revisions share.
    pub fn memory_bytes(&self) -> usize {
        self.memory.held()
    }

    /// The most memory that all instances of the plugin may have.
    pub fn memory_limit_bytes(&self) -> usize {
        self.memory.limit()
    }

    /// Whether it handles events of this subject.
    pub fn subscribes(&self, subject: &str) -> bool {
        self.manifest.messaging.subscribes.contains(subject)
    }

    /// Counts, logs and keeps a failure, once.
    pub fn note(&self, failure: &Failure, called: Called<'_>) {
        self.call_counter.failed();
        self.figures().failures.add(&self.id, failure, called);
        match failure {
            Failure::Trap { .. } => self.call_counter.trapped(&self.manifest.name, &self.id),
            // A call that waited for the host, for example for the database,
            // says nothing about the component.
            Failure::Deadline { computes: true, milliseconds, .. } => {
                let deadline = Duration::from_millis(*milliseconds);
                self.call_counter.missed_deadline(deadline, &self.manifest.name, &self.id);
            }
            _ => {}
        }
        let (kind, blame) = (failure.kind(), failure.blame().as_str());
        metrics::counter!("plugin_failures_total",
            "component" => self.manifest.name.clone(), "revision" => self.id.clone(), "kind" => kind, "blame" => blame)
        .increment(1);
        tracing::warn!(component = %self.manifest.name, revision = %self.id, kind, blame, "{failure}");
    }

    /// The plugin's budget for answers that clients have not taken.
    pub fn unsent(&self) -> &Arc<ByteBudget> {
        &self.unsent
    }

    /// Takes the bytes of an answer out of the plugin's budget, until the client
    /// has taken them.
    ///
    /// # Errors
    /// [`Failure::Unread`], counted and logged.
    pub fn hold_unsent(&self, bytes: usize, called: Called<'_>) -> Result<HeldBytes, Failure> {
        self.unsent.hold(bytes).map_err(|BudgetExceeded { limit, .. }| {
            let failure = Failure::Unread { component: self.name().to_owned(), limit_bytes: limit };
            self.note(&failure, called);
            failure
        })
    }

    /// Counts a header that the host does not pass on. Logs the first one.
    pub fn note_dropped_header(&self, name: &str, reason: &str) {
        metrics::counter!("plugin_headers_dropped_total", "component" => self.manifest.name.clone()).increment(1);
        self.dropped_header.call_once(|| {
            tracing::warn!(
                component = %self.manifest.name, revision = %self.id, header = name, reason,
                "headers of the component's answers are not passed on"
            );
        });
    }

    /// Ends the calls that still run after their time to finish.
    pub fn retire(&self) {
        self.instances.retire();
    }
}
