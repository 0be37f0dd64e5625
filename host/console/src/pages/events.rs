//! The catalogue of events: who publishes them, who receives them, how many wait, and
//! what is in them.

use crate::{
    api::{Refused, Rows, plugin_path, revision_path, segment},
    fields::{Fields, Search, query},
    format::number,
    layout::{Section, empty, more, page},
    session::Session,
};
use axum::{extract::Path, response::Response};
use host_api::events::{BacklogView, DeliveredView, ReceiverView, SchemaView, SubjectDetails, SubjectView};
use maud::{Markup, html};
use serde_json::Value;

const ADDRESS: &str = "/console/events";

pub(crate) async fn list(session: Session, Search(search): Search) -> Response {
    let content = listed(&session, &search).await;
    page(&session, Section::Events, "Events", content)
}

async fn listed(session: &Session, search: &Fields) -> Result<Markup, Refused> {
    let query = query([("limit", Some("200")), ("after", search.get("after"))]);
    let rows: Rows<SubjectView> = session.api.list(&format!("/events?{query}")).await?;
    Ok(html! {
        h1 { "Events" }
        p { "The manifests of the active revisions name these subjects, and the policies allow them." }
        @if session.may_administer() { p { a href="/console/live-events" { "Watch the events as they are published" } } }
        @if rows.rows.is_empty() {
            (empty("No plugin publishes or receives an event.", &html! {
                p { "A plugin names its subjects in its manifest, below " code { "[messaging]" } "." }
            }))
        } @else { (table(session, &rows.rows)) }
        (more(ADDRESS, rows.next.as_ref()))
    })
}

fn table(session: &Session, rows: &[SubjectView]) -> Markup {
    html! {
        div.table tabindex="0" role="group" aria-label="Events" { table {
            thead { tr {
                th scope="col" { "Subject" } th scope="col" { "Schema" }
                th scope="col" { "Published by" } th scope="col" { "Received by" }
            } }
            tbody { @for row in rows { tr {
                th scope="row" { a href={ (ADDRESS) "/" (segment(&row.subject)) } { code { (row.subject) } } }
                td { @if row.has_schema { "yes" } @else { span.quiet { "none" } } }
                td { (publishers(session, &row.publishers)) }
                td { (receivers(session, &row.receivers)) }
            } } }
        } }
        p.hint { "The events that wait are those of all subjects of a plugin together. The deliveries are those of this host \
            in the last minute; a repeated attempt counts too." }
    }
}

pub(crate) async fn show(session: Session, Path(subject): Path<String>) -> Response {
    let details = session.api.get::<SubjectDetails>(&format!("/events/{}", segment(&subject))).await;
    let content = details.map(|details| render(&session, &details));
    page(&session, Section::Events, "Event", content)
}

fn render(session: &Session, details: &SubjectDetails) -> Markup {
    html! {
        p.crumbs { a href=(ADDRESS) { "Events" } }
        h1 { code { (details.view.subject) } }
        dl.facts {
            dt { "Published by" } dd { (publishers(session, &details.view.publishers)) }
            dt { "Received by" } dd { (receivers(session, &details.view.receivers)) }
        }
        @if session.may_administer() {
            p { a href={ "/console/live-events?subject=" (segment(&details.view.subject)) } { "Watch these events" } }
        }
        @for (number, schema) in details.schemas.iter().enumerate() { (schema_section(number, schema)) }
        @if details.schemas.is_empty() {
            p.quiet { "No publisher has a schema of it. A plugin brings schemas in the file " code { "events.json" }
                " beside its manifest." }
        }
    }
}

fn schema_section(number: usize, SchemaView { plugin, revision, schema, sample }: &SchemaView) -> Markup {
    html! {
        section aria-labelledby={ "schema-" (number) } {
            h2 id={ "schema-" (number) } { "Schema of " (plugin) }
            p { "Revision " a href={ "/console" (revision_path(plugin, revision)) } { code { (revision) } } }
            pre tabindex="0" { code { (lines(schema)) } }
            @if let Some(sample) = sample {
                h3 { "Sample" }
                p.hint { "Made from the examples in the schema. It comes from no event." }
                pre tabindex="0" { code { (lines(sample)) } }
            }
        }
    }
}

fn lines(json: &Value) -> String {
    format!("{json:#}")
}

fn publishers(session: &Session, publishers: &[String]) -> Markup {
    html! {
        @if publishers.is_empty() { (nobody(session)) } @else {
            ul.codes { @for plugin in publishers { li { (link(plugin)) } } }
        }
    }
}

fn receivers(session: &Session, receivers: &[ReceiverView]) -> Markup {
    html! {
        @if receivers.is_empty() { (nobody(session)) } @else {
            ul.codes { @for ReceiverView { plugin, backlog, delivered } in receivers {
                li { (link(plugin)) " " (waiting(backlog.as_ref())) span.quiet { ", " (rate(delivered)) } }
            } }
        }
    }
}

/// A token that is bound to plugins does not learn whether there are others.
fn nobody(session: &Session) -> Markup {
    let text = if session.caller.plugins.is_some() { "none of your plugins" } else { "nobody" };
    html! { span.quiet { (text) } }
}

fn link(plugin: &str) -> Markup {
    html! { a href={ "/console" (plugin_path(plugin)) } { (plugin) } }
}

fn waiting(backlog: Option<&BacklogView>) -> Markup {
    html! {
        span.quiet {
            @match backlog {
                None => { "the bus does not answer" }
                Some(BacklogView { pending: 0, unacknowledged: 0, .. }) => { "nothing waits" }
                Some(backlog) => {
                    (number(backlog.pending)) " wait, " (number(backlog.unacknowledged)) " are tried"
                    @if backlog.redelivered > 0 { ", " (number(backlog.redelivered)) " again" }
                }
            }
        }
    }
}

/// How many events were delivered lately.
fn rate(delivered: &DeliveredView) -> String {
    match *delivered {
        DeliveredView { last_15_minutes: 0, .. } => "none delivered in 15 minutes".to_owned(),
        DeliveredView { last_minute, last_15_minutes } => {
            format!("{} delivered a minute, {} in 15 minutes", number(last_minute), number(last_15_minutes))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_is_told_in_words() {
        let text = |backlog: Option<BacklogView>| waiting(backlog.as_ref()).into_string();
        assert!(text(None).contains("does not answer") && text(Some(BacklogView::default())).contains("nothing waits"));
        let some = BacklogView { pending: 7, unacknowledged: 2, redelivered: 1 };
        assert!(text(Some(some)).contains("7 wait, 2 are tried, 1 again"), "{}", text(Some(some)));
    }

    #[test]
    fn a_rate_is_told_in_words() {
        assert_eq!(rate(&DeliveredView::default()), "none delivered in 15 minutes");
        let some = DeliveredView { last_minute: 12, last_15_minutes: 80 };
        assert_eq!(rate(&some), "12 delivered a minute, 80 in 15 minutes");
    }
}
