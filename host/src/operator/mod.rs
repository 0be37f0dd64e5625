//! The operator listener: health, metrics, and what runs. It is separate from
//! the public one, and everything that shows or changes the host's state asks
//! for the operator token.

use crate::{
    capability::{
        identity::OperatorToken,
        messaging::{Bus, DeadLetter},
    },
    envelope::{self, Refusal},
    plugin::{Registry, Revision},
    telemetry::Metrics,
    trigger::{RedeliverError, Redelivery},
};
use axum::{
    Json, Router,
    extract::{Path, Query, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{
    StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use serde::{Deserialize, Serialize};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// What the operator's side of the host works on.
pub struct Operator {
    /// Asked for by everything but health and metrics.
    pub token: OperatorToken,
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
}

/// The routes of the operator listener.
pub fn router(operator: Arc<Operator>) -> Router {
    let guarded = Router::new()
        .route("/plugins", get(list_plugins))
        .route("/dead-letters", get(list_dead_letters))
        .route("/dead-letters/{id}/redeliver", post(redeliver))
        .layer(middleware::from_fn_with_state(operator.clone(), require_token));
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_text))
        .merge(guarded)
        .fallback(|| async { Refusal::NotFound })
        .method_not_allowed_fallback(|| async { Refusal::NotFound })
        .with_state(operator)
}

async fn require_token(State(operator): State<Arc<Operator>>, request: Request, next: Next) -> Response {
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    match given {
        Some(authorization) if operator.token.allows(authorization) => next.run(request).await,
        _ => Refusal::Unauthorized.into_response(),
    }
}

async fn ready(State(operator): State<Arc<Operator>>) -> Response {
    if operator.ready.load(Ordering::Acquire) {
        "ready\n".into_response()
    } else {
        Refusal::Unavailable.into_response()
    }
}

async fn metrics_text(State(operator): State<Arc<Operator>>) -> Response {
    for revision in operator.registry.snapshot().plugins() {
        metrics::gauge!("plugin_calls_in_flight", "component" => revision.name().to_owned())
            .set(revision.in_flight() as f64);
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], operator.metrics.render()).into_response()
}

/// A loaded plugin, as operators see it.
#[derive(Serialize)]
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

#[derive(Serialize)]
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

async fn list_plugins(State(operator): State<Arc<Operator>>) -> Json<Vec<PluginView>> {
    Json(operator.registry.snapshot().plugins().map(PluginView::from).collect())
}

#[derive(Deserialize)]
struct Listing {
    #[serde(default = "Listing::default_limit")]
    limit: u32,
}

impl Listing {
    fn default_limit() -> u32 {
        100
    }
}

async fn list_dead_letters(
    State(operator): State<Arc<Operator>>,
    listing: Result<Query<Listing>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Vec<DeadLetter>>, Response> {
    let limit = match listing {
        Ok(Query(listing)) if (1..=1_000).contains(&listing.limit) => listing.limit,
        _ => return Err(envelope::respond(StatusCode::BAD_REQUEST, "limit must be 1 to 1000")),
    };
    operator.bus.dead_letters(limit).await.map(Json).map_err(|error| {
        tracing::error!(%error, "dead letters could not be read");
        Refusal::Unavailable.into_response()
    })
}

async fn redeliver(State(operator): State<Arc<Operator>>, Path(id): Path<String>) -> Response {
    match operator.redelivery.redeliver(&id).await {
        Ok(()) => (StatusCode::ACCEPTED, Json(serde_json::json!({ "id": id }))).into_response(),
        Err(RedeliverError::Unknown) => Refusal::NotFound.into_response(),
        Err(error) => {
            tracing::error!(%error, id, "a dead letter could not be sent again");
            Refusal::Unavailable.into_response()
        }
    }
}
