//! The operator listener of a host that starts: it tells that the process lives
//! and what it waits for. Everything else is unavailable.

use crate::health;
use axum::{Router, extract::State, response::IntoResponse, routing::get};
use host_http::error::{Problem, Refusal};
use http::StatusCode;
use parking_lot::Mutex;
use std::sync::Arc;

/// The cause for which the start of a host waits, in words without secrets.
#[derive(Debug, Clone, Default)]
pub struct WaitsFor(Arc<Mutex<String>>);

impl WaitsFor {
    /// Sets the words.
    pub fn set(&self, what: String) {
        *self.0.lock() = what;
    }

    /// The words.
    pub fn text(&self) -> String {
        self.0.lock().clone()
    }
}

/// The routes of the operator listener until [`router`](crate::router) replaces
/// them. `host_names` are the names under which clients reach the listener.
pub fn starting_router(waits_for: WaitsFor, host_names: Arc<[String]>) -> Router {
    let routes = Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(not_ready))
        .fallback(|| async { Refusal::Unavailable })
        .method_not_allowed_fallback(|| async { Refusal::Unavailable })
        .with_state(waits_for);
    crate::refuse_other_sites(routes, host_names)
}

async fn not_ready(State(waits_for): State<WaitsFor>) -> impl IntoResponse {
    let text = format!("the host starts: it waits for {}", waits_for.text());
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, text)
}
