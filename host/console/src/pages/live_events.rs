//! The events as they are published, with their payloads.

use crate::{
    fields::{Fields, Search, query},
    layout::{Section, page},
    session::Session,
};
use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use maud::html;

pub(crate) async fn show(session: Session, Search(search): Search) -> Response {
    let content = html! {
        p.crumbs { a href="/console/events" { "Events" } }
        h1 { "Events as they are published" }
        p.alert { "The payloads may contain personal data. The audit has everyone who opens this page." }
        noscript { p.notice { "This page needs JavaScript. In a terminal, run " code { "ticketing events --watch" } "." } }
        form.filter method="get" {
            div.field { label for="subject" { "Subject" }
                input #subject name="subject" value=(search.get("subject").unwrap_or_default()) autocomplete="off"; }
            button type="submit" { "Filter" }
        }
        p.quiet data-log-state role="status" { "No event was published since the page opened." }
        div.log tabindex="0" role="log" aria-label="Events" data-events={ "/console/live-events/stream?" (filter(&search)) } {}
    };
    page(&session, Section::Events, "Live events", Ok(content))
}

fn filter(search: &Fields) -> String {
    query([("subject", search.get("subject"))])
}

/// The stream of the API, for the script of the page.
pub(crate) async fn stream(session: Session, Search(search): Search) -> Response {
    match Request::get(format!("/live-events?{}", filter(&search))).body(Body::empty()) {
        Ok(request) => session.api.forward(request).await,
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}
