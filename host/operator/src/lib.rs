//! The operator listener: what runs, how it is changed, and by whom. It is
//! separate from the public one, and all but health and metrics asks for a
//! token.

mod audit;
mod caller;
mod cluster;
mod credential;
mod dead_letters;
mod gauges;
mod health;
mod input;
mod logs;
mod openapi;
mod plugins;
mod tokens;
mod upload;

pub use caller::{Caller, Role};
pub use gauges::Gauges;
pub use input::{Body, Query};
pub use logs::MAX_LOG_STREAMS;
pub use tokens::Tokens;

use axum::{Router, middleware};
use host_bus::Bus;
use host_config::uploads::UploadsConfig;
use host_database::{
    audit::{Audit, Entry, Outcome},
    cluster::{Cluster, Identity},
};
use host_http::error::{Problem, Refusal};
use host_plugin::Rollout;
use host_telemetry::Metrics;
use host_triggers::Redelivery;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use utoipa_axum::{router::OpenApiRouter, routes};

/// What the operator's side of the host works on.
pub struct Operator {
    /// Who may call.
    pub tokens: Tokens,
    /// Who did what.
    pub audit: Audit,
    /// What runs, and how it is changed.
    pub rollout: Arc<Rollout>,
    /// Uploads that are being received or checked.
    pub uploads: Semaphore,
    /// What bounds them.
    pub upload_limits: UploadsConfig,
    /// Where dead letters are.
    pub bus: Arc<dyn Bus>,
    /// Sends them again.
    pub redelivery: Redelivery,
    /// Renders the metrics.
    pub metrics: Metrics,
    /// This host.
    pub me: Identity,
    /// The others, if the database is shared.
    pub cluster: Option<Arc<Cluster>>,
    /// What is looked at when they are asked for.
    pub gauges: Arc<Gauges>,
    /// Set once every component can serve; unset when the host stops.
    pub ready: Arc<AtomicBool>,
    /// Changes under way, each to its end, whether or not the caller waits.
    pub work: TaskTracker,
    /// A place for each reader of a log.
    pub log_streams: Arc<Semaphore>,
    /// Cancelled when the host stops: what has no end by itself ends then.
    pub stopping: CancellationToken,
}

impl Operator {
    /// Lets a caller go on with a change, or refuses it and puts that on
    /// record. Without a plugin the change is one of the host as a whole.
    ///
    /// # Errors
    /// 403, naming what is needed.
    pub async fn allow(&self, caller: &Caller, role: Role, action: &str, plugin: Option<&str>) -> Result<(), Problem> {
        let Err(problem) = caller.require(role, plugin) else { return Ok(()) };
        let detail = problem.message();
        let entry = Entry { plugin, detail: Some(&detail), ..Entry::new(action, Outcome::Refused) };
        self.record(caller, &entry).await?;
        Err(problem)
    }

    /// The same for a change of a plugin that is not known yet: a caller who is
    /// bound to plugins may go on, and is asked again when it is.
    ///
    /// # Errors
    /// 403, naming what is needed.
    pub async fn allow_some(&self, caller: &Caller, role: Role, action: &str) -> Result<(), Problem> {
        let bound = caller.plugins.as_ref().and_then(|plugins| plugins.first());
        self.allow(caller, role, action, bound.map(String::as_str)).await
    }

    /// Puts on record what a caller did or tried.
    ///
    /// # Errors
    /// 503 when the audit cannot be written.
    pub async fn record(&self, caller: &Caller, entry: &Entry<'_>) -> Result<(), Refusal> {
        self.audit.record(&caller.name, entry).await.map_err(|_| Refusal::Unavailable)
    }

    /// Whether work can be sent here.
    pub fn is_ready(&self) -> bool {
        let in_touch = self.cluster.as_ref().is_none_or(|cluster| cluster.is_in_touch());
        self.ready.load(Ordering::Acquire) && in_touch
    }
}

/// The routes of the operator listener.
pub fn router(operator: Arc<Operator>) -> Router {
    let guard = middleware::from_fn_with_state(operator.clone(), caller::authenticate);
    let (guarded, _) = guarded_routes().layer(guard).split_for_parts();
    let (open, _) = open_routes().split_for_parts();
    open.merge(guarded)
        .fallback(|| async { Refusal::NotFound })
        .method_not_allowed_fallback(|| async { Refusal::NotFound })
        .with_state(operator)
}

/// What everybody may ask who reaches the listener.
fn open_routes() -> OpenApiRouter<Arc<Operator>> {
    OpenApiRouter::default()
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
        .routes(routes!(openapi::serve))
}

/// What asks for a token.
fn guarded_routes() -> OpenApiRouter<Arc<Operator>> {
    OpenApiRouter::default()
        .routes(routes!(plugins::list, upload::upload))
        .routes(routes!(plugins::details::show, plugins::changes::remove))
        .routes(routes!(plugins::revisions))
        .routes(routes!(plugins::changes::activate))
        .routes(routes!(plugins::changes::promote))
        .routes(routes!(plugins::changes::rollback))
        .routes(routes!(plugins::changes::pause))
        .routes(routes!(plugins::changes::resume))
        .routes(routes!(plugins::changes::config))
        .routes(routes!(plugins::changes::limits))
        .routes(routes!(plugins::details::grants, plugins::changes::grants))
        .routes(routes!(logs::follow))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::redeliver))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(audit::list))
        .routes(routes!(cluster::show))
}
