//! The operator listener: what runs, how it is changed, and by whom. It is
//! separate from the public one, and all but health and metrics asks for a
//! token.

mod audit;
mod caller;
mod credential;
mod dead_letters;
mod health;
mod input;
mod openapi;
mod tokens;

pub use audit::{Audit, Entry, Outcome};
pub use caller::{Caller, Role};
pub use input::{Body, Query};
pub use tokens::Tokens;

use crate::{
    capability::messaging::Bus,
    envelope::{Problem, Refusal},
    plugin::{Registry, Revision},
    telemetry::Metrics,
    trigger::Redelivery,
};
use axum::{Json, Router, extract::State, middleware};
use serde::Serialize;
use std::sync::{Arc, atomic::AtomicBool};
use tokio_util::task::TaskTracker;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// What the operator's side of the host works on.
pub struct Operator {
    /// Who may call.
    pub tokens: Tokens,
    /// Who did what.
    pub audit: Audit,
    /// What runs.
    pub registry: Arc<Registry>,
    /// Where dead letters are.
    pub bus: Arc<dyn Bus>,
    /// Sends them again.
    pub redelivery: Redelivery,
    /// Renders the metrics.
    pub metrics: Metrics,
    /// Set once every component can serve; unset when the host stops.
    pub ready: Arc<AtomicBool>,
    /// Changes under way, each to its end, whether or not the caller waits.
    pub work: TaskTracker,
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
        self.audit.record(caller, &entry).await?;
        Err(problem)
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
        .routes(routes!(list_plugins))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::redeliver))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(audit::list))
}

/// A loaded plugin, as operators see it.
#[derive(Serialize, ToSchema)]
struct PluginView {
    name: String,
    version: String,
    revision: String,
    digest: String,
    size_bytes: usize,
    status: &'static str,
    imports: Vec<String>,
    routes: Vec<RouteView>,
    subscribes: Vec<String>,
    publishes: Vec<String>,
    in_flight: usize,
    calls: u64,
    failures: u64,
}

#[derive(Serialize, ToSchema)]
struct RouteView {
    path: String,
    methods: Vec<String>,
}

impl From<&Arc<Revision>> for PluginView {
    fn from(revision: &Arc<Revision>) -> Self {
        let manifest = &revision.manifest;
        let routes = manifest.routes.iter();
        Self {
            name: manifest.name.clone(),
            version: manifest.version.to_string(),
            revision: revision.id.clone(),
            digest: revision.digest.clone(),
            size_bytes: revision.size_bytes,
            status: "active",
            imports: revision.imports.clone(),
            routes: routes.map(|r| RouteView { path: r.path.clone(), methods: r.methods.clone() }).collect(),
            subscribes: manifest.messaging.subscribes.iter().cloned().collect(),
            publishes: manifest.messaging.publishes.iter().cloned().collect(),
            in_flight: revision.in_flight(),
            calls: revision.calls(),
            failures: revision.failures(),
        }
    }
}

/// What runs.
#[utoipa::path(get, path = "/plugins", tag = "plugins", responses((status = 200, body = [PluginView])))]
async fn list_plugins(State(operator): State<Arc<Operator>>, caller: Caller) -> Json<Vec<PluginView>> {
    let snapshot = operator.registry.snapshot();
    let seen = snapshot.plugins().filter(|revision| caller.covers(revision.name()));
    Json(seen.map(PluginView::from).collect())
}
