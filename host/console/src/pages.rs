//! The pages. Each module has the handlers of one part of the console.

pub(crate) mod actions;
mod alerts;
pub(crate) mod audit;
pub(crate) mod cluster;
pub(crate) mod dead_letters;
pub(crate) mod events;
mod failures;
pub(crate) mod live_events;
pub(crate) mod log;
pub(crate) mod overview;
pub(crate) mod plugin;
pub(crate) mod policy;
mod report;
pub(crate) mod revision;
pub(crate) mod routes;
pub(crate) mod runbook;
pub(crate) mod settings;
pub(crate) mod tables;
pub(crate) mod timers;
pub(crate) mod tokens;
pub(crate) mod traces;
mod trial;
pub(crate) mod upload;
mod verdict;

use crate::{
    api::Refused,
    layout::{Section, page},
    session::Session,
};
use axum::{body::Body, extract::Request, response::Response};
use http::StatusCode;
use maud::{Markup, html};

/// The answer for an address without a page.
pub(crate) async fn missing(session: Session) -> Response {
    page(&session, Section::Overview, "Not found", Err(not_found("There is no such page")))
}

/// The stream of the API that tells when a page is old.
pub(crate) async fn changes(session: Session) -> Response {
    session.api.forward(Request::get("/changes").body(Body::empty()).unwrap_or_default()).await
}

/// Content that the script of the page keeps up to date. Without a script it is as it was.
fn live(content: &Markup) -> Markup {
    html! {
        div data-content { (content) }
        p.quiet.live data-live role="status" {}
    }
}

fn not_found(message: &'static str) -> Refused {
    Refused::new(StatusCode::NOT_FOUND, message)
}
