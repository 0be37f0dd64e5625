//! The operator console: pages at `/console` of the operator listener.
//!
//! The console is a client of the operator API in the same process. Each page and
//! each form sends requests to the routes of the API, with the token of its user.
//! So the API decides everything: a person can do nothing here that the API
//! refuses, sees nothing that the API hides, and the audit has every change.
//!
//! The host renders the pages. All of them work without JavaScript; the scripts
//! only show progress, the local time and the log.

mod api;
mod assets;
mod charts;
mod fields;
mod format;
mod guard;
mod layout;
mod pages;
mod session;
#[cfg(test)]
mod tests;

use axum::{
    Router,
    extract::{Request, State},
    middleware,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use http::{HeaderMap, header::ACCEPT};
use pages::{
    actions, audit, cluster, dead_letters, events, live_events, log, overview, plugin, policy, revision, routes,
    runbook, settings, tables, timers, tokens, traces, upload,
};
use tower::ServiceExt;

/// The address of the console.
const HOME: &str = "/console";

/// The parts of the host that the pages need.
#[derive(Clone)]
struct Console {
    /// The routes of the operator API.
    api: Router,
}

/// Adds the console to the routes of the operator API. The caller must put the
/// guard against other sites around both.
pub fn with_console(api: Router) -> Router {
    let guarded = console_routes().layer(middleware::from_fn(guard::protect));
    let console = Console { api: api.clone() };
    api.merge(Router::new().route("/", get(root)).merge(guarded).with_state(console))
}

/// Leads browsers to the console. For everyone else there is nothing here.
async fn root(State(console): State<Console>, request: Request) -> Response {
    if prefers_html(request.headers()) {
        return Redirect::to(HOME).into_response();
    }
    match console.api.oneshot(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    }
}

fn prefers_html(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}

fn console_routes() -> Router<Console> {
    Router::new()
        .route("/console", get(overview::show))
        .route("/console/sign-in", get(session::form).post(session::sign_in))
        .route("/console/sign-out", post(session::sign_out))
        .route("/console/assets/{version}/{file}", get(assets::serve))
        .route("/console/changes", get(pages::changes))
        .route("/console/upload", get(upload::form).post(upload::receive))
        .route("/console/plugins/{name}", get(plugin::show))
        .route("/console/plugins/{name}/log", get(log::show))
        .route("/console/plugins/{name}/log/lines", get(log::lines))
        .route("/console/plugins/{name}/tables", get(tables::list))
        .route("/console/plugins/{name}/settings", get(settings::show).post(settings::set))
        .route("/console/plugins/{name}/limits", post(settings::set_limits))
        .route("/console/plugins/{name}/policy", get(policy::show).post(policy::set))
        .route("/console/plugins/{name}/do/{action}", get(actions::confirm).post(actions::act))
        .route("/console/plugins/{name}/revisions/{id}", get(revision::show))
        .route("/console/plugins/{name}/revisions/{id}/activate", get(revision::confirm).post(revision::activate))
        .route("/console/plugins/{name}/revisions/{id}/discard", get(revision::confirm_discard).post(revision::discard))
        .route("/console/events", get(events::list))
        .route("/console/events/{subject}", get(events::show))
        .route("/console/live-events", get(live_events::show))
        .route("/console/live-events/stream", get(live_events::stream))
        .route("/console/timers", get(timers::list))
        .route("/console/traces", get(traces::list))
        .route("/console/traces/{trace}", get(traces::show))
        .route("/console/dead-letters", get(dead_letters::list))
        .route("/console/dead-letters/redeliver", post(dead_letters::redeliver))
        .route("/console/dead-letters/discard", post(dead_letters::discard))
        .route("/console/dead-letters/{id}", get(dead_letters::show))
        .route("/console/audit", get(audit::list))
        .route("/console/audit/export", get(audit::export))
        .route("/console/tokens", get(tokens::list).post(tokens::create))
        .route("/console/tokens/{id}/revoke", get(tokens::confirm).post(tokens::revoke))
        .route("/console/routes", get(routes::list))
        .route("/console/cluster", get(cluster::show))
        .route("/console/runbook", get(runbook::show))
        .route("/console/{*rest}", get(pages::missing))
        .method_not_allowed_fallback(pages::missing)
}
