//! The operator listener, which shows and changes the plugins of a host. It is
//! separate from the public listener. Every route except health, metrics and
//! the OpenAPI document asks for a token.

mod audit;
mod audit_export;
mod caller;
mod changes;
mod cluster;
mod credential;
mod csv;
mod dead_letters;
mod events;
mod gauges;
mod health;
mod input;
mod live_events;
mod log_filter;
mod logs;
mod openapi;
mod origin;
mod page;
mod plugins;
mod reading;
mod redact;
mod starting;
mod timers;
mod tokens;
mod traces;
mod upload;

pub use caller::Caller;
pub use gauges::Gauges;
pub use input::{Body, Query};
pub use logs::MAX_LOG_STREAMS;
pub use starting::{WaitsFor, starting_router};
pub use tokens::Tokens;
pub use upload::UploadQueue;

use axum::{Router, middleware};
use host_api::tokens::Role;
use host_bus::Bus;
use host_config::uploads::UploadsConfig;
use host_database::{
    audit::{Audit, Entry, Outcome},
    cluster::{Cluster, HostIdentity},
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

/// The parts of the host that the operator API shows and changes.
pub struct Operator {
    /// The tokens of callers.
    pub tokens: Tokens,
    /// The record of changes.
    pub audit: Audit,
    /// The plugins, and their changes.
    pub rollout: Arc<Rollout>,
    /// The uploads that are received or checked.
    pub uploads: UploadQueue,
    /// The limits of uploads.
    pub upload_limits: UploadsConfig,
    /// The event bus, which keeps the dead letters.
    pub bus: Arc<dyn Bus>,
    /// Delivers dead letters again.
    pub redelivery: Redelivery,
    /// Renders the metrics.
    pub metrics: Metrics,
    /// The identity of this host.
    pub this_host: HostIdentity,
    /// The hosts that share the database, if it is shared.
    pub cluster: Option<Arc<Cluster>>,
    /// The gauges that the host reads when a client asks for the metrics.
    pub gauges: Arc<Gauges>,
    /// Set once every component can serve. Unset when the host stops.
    pub ready: Arc<AtomicBool>,
    /// The tasks that a stopping host waits for. A change is a task, so it runs to
    /// its end even if the client disconnects.
    pub tasks: TaskTracker,
    /// The names under which clients reach the listener, in small letters.
    pub host_names: Arc<[String]>,
    /// A permit for each reader of a log.
    pub log_streams: Arc<Semaphore>,
    /// Cancelled when the host stops. It ends streams that have no end of their
    /// own.
    pub stopping: CancellationToken,
}

impl Operator {
    /// Allows a caller a change, or refuses it and records the refusal. Without a
    /// plugin it is a change of the host as a whole.
    ///
    /// # Errors
    /// 403 with the role or token that the caller lacks.
    pub async fn allow(&self, caller: &Caller, role: Role, action: &str, plugin: Option<&str>) -> Result<(), Problem> {
        match caller.require(role, plugin) {
            Ok(()) => Ok(()),
            Err(problem) => self.refuse(caller, action, plugin, problem).await,
        }
    }

    /// Allows an administrator a change of a plugin's policy or of all that the
    /// host has of it. A token that is bound to plugins may not make it.
    ///
    /// # Errors
    /// 403 with the role or token that the caller lacks.
    pub async fn allow_unbound(&self, caller: &Caller, action: &str, plugin: &str) -> Result<(), Problem> {
        match caller.require(Role::Admin, None) {
            Ok(()) => Ok(()),
            Err(problem) => self.refuse(caller, action, Some(plugin), problem).await,
        }
    }

    /// Records a refusal.
    async fn refuse(
        &self,
        caller: &Caller,
        action: &str,
        plugin: Option<&str>,
        problem: Problem,
    ) -> Result<(), Problem> {
        let detail = problem.message();
        let entry = Entry { plugin, detail: Some(&detail), ..Entry::new(action, Outcome::Refused) };
        self.record(caller, &entry).await?;
        Err(problem)
    }

    /// The same for a change of a plugin whose name is not known yet. A caller
    /// that is bound to plugins is allowed, and checked again when the name is
    /// known.
    ///
    /// # Errors
    /// 403 with the role or token that the caller lacks.
    pub async fn allow_before_name_is_known(&self, caller: &Caller, role: Role, action: &str) -> Result<(), Problem> {
        let bound = caller.plugins.as_ref().and_then(|plugins| plugins.first());
        self.allow(caller, role, action, bound.map(String::as_str)).await
    }

    /// Records a caller's change in the audit.
    ///
    /// # Errors
    /// 503 when the audit cannot be written.
    pub async fn record(&self, caller: &Caller, entry: &Entry<'_>) -> Result<(), Refusal> {
        self.audit.record(&caller.name, entry).await.map_err(|_| Refusal::Unavailable)
    }

    /// Why the database takes no work of this host, in words with the cure.
    fn database_problem(&self) -> Option<String> {
        let database = self.cluster.as_ref().and_then(|cluster| cluster.problem());
        database.or_else(|| self.redelivery.database_problem())
    }

    /// Whether the host takes work.
    pub fn is_ready(&self) -> bool {
        let is_connected = self.cluster.as_ref().is_none_or(|cluster| cluster.is_connected());
        self.ready.load(Ordering::Acquire) && is_connected
    }
}

/// The routes of the operator API. [`refuse_other_sites`] belongs around them.
pub fn router(operator: Arc<Operator>) -> Router {
    let guard = middleware::from_fn_with_state(operator.clone(), caller::authenticate);
    let (guarded, _) = guarded_routes().layer(guard).split_for_parts();
    let (open, _) = open_routes().split_for_parts();
    open.merge(guarded)
        .fallback(|| async { Refusal::NotFound })
        .method_not_allowed_fallback(|| async { Refusal::NotFound })
        .with_state(operator)
        .layer(middleware::from_fn(input::refuse_nul))
}

/// Lets routes answer only requests that no page of another site caused.
/// `host_names` are the names under which clients reach the listener, in small
/// letters.
pub fn refuse_other_sites(routes: Router, host_names: Arc<[String]>) -> Router {
    routes.layer(middleware::from_fn_with_state(host_names, origin::refuse_other_sites))
}

/// The routes that ask for no token.
fn open_routes() -> OpenApiRouter<Arc<Operator>> {
    OpenApiRouter::default()
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
        .routes(routes!(openapi::serve))
}

/// The routes that ask for a token.
fn guarded_routes() -> OpenApiRouter<Arc<Operator>> {
    OpenApiRouter::default()
        .routes(routes!(plugins::list, upload::upload))
        .routes(routes!(plugins::details::show, plugins::changes::remove))
        .routes(routes!(plugins::revisions))
        .routes(routes!(plugins::data::purge))
        .routes(routes!(plugins::data::reset))
        .routes(routes!(plugins::kept::discard))
        .routes(routes!(plugins::kept::verdict))
        .routes(routes!(plugins::changes::activate))
        .routes(routes!(plugins::changes::promote))
        .routes(routes!(plugins::changes::rollback))
        .routes(routes!(plugins::changes::pause))
        .routes(routes!(plugins::changes::resume))
        .routes(routes!(plugins::changes::config, plugins::changes::some_config))
        .routes(routes!(plugins::changes::limits))
        .routes(routes!(plugins::policy::show, plugins::policy::set))
        .routes(routes!(plugins::figures::failures))
        .routes(routes!(plugins::figures::history))
        .routes(routes!(plugins::tables::list))
        .routes(routes!(changes::follow))
        .routes(routes!(logs::follow))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::show, dead_letters::discard))
        .routes(routes!(dead_letters::redeliver))
        .routes(routes!(events::list))
        .routes(routes!(events::show))
        .routes(routes!(live_events::watch))
        .routes(routes!(timers::list))
        .routes(routes!(traces::list))
        .routes(routes!(traces::show))
        .routes(routes!(caller::show))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(audit::list))
        .routes(routes!(audit_export::export))
        .routes(routes!(cluster::show))
}
