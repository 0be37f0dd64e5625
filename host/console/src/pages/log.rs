//! The log of a plugin, as it is written.

use super::plugin::{Tab, tabs};
use crate::{
    api::plugin_path,
    layout::{Section, page},
    session::Session,
};
use axum::{
    body::Body,
    extract::{Path, Request},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use maud::html;

pub(crate) async fn show(session: Session, Path(name): Path<String>) -> Response {
    let path = plugin_path(&name);
    let content = html! {
        h1 { "Log of " (name) }
        (tabs(&name, Tab::Log, true))
        noscript {
            p.notice { "This page needs JavaScript. In a terminal, run " code { "ticketing plugin logs " (name) }
                "." } }
        p.quiet data-log-state role="status" { "The lines from now on appear here." }
        div.log tabindex="0" role="log" aria-label={ "Log of " (name) } data-log={ "/console" (path) "/log/lines" } {}
    };
    page(&session, Section::Overview, &format!("Log of {name}"), Ok(content))
}

/// The stream of the API, for the script of the page.
pub(crate) async fn lines(session: Session, Path(name): Path<String>) -> Response {
    match Request::get(format!("{}/logs", plugin_path(&name))).body(Body::empty()) {
        Ok(request) => session.api.forward(request).await,
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}
