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
use axum::response::Response;
use http::StatusCode;

/// The answer for an address without a page.
pub(crate) async fn missing(session: Session) -> Response {
    page(&session, Section::Overview, "Not found", Err(not_found("There is no such page")))
}

fn not_found(message: &'static str) -> Refused {
    Refused::new(StatusCode::NOT_FOUND, message)
}
