//! The last slow and failed operations, each with all that belongs to it.

use crate::{
    api::{Refused, Rows, plugin_path, segment},
    charts,
    fields::{Fields, Search, query},
    format::{Tone, badge, micros, number, time},
    layout::{Section, empty, more, page},
    session::Session,
};
use axum::{extract::Path, response::Response};
use host_api::{
    Word,
    traces::{OperationKind, OperationView, TraceDetails, TraceView},
};
use maud::{Markup, html};

const ADDRESS: &str = "/console/traces";

pub(crate) async fn list(session: Session, Search(search): Search) -> Response {
    let content = listed(&session, &search).await;
    page(&session, Section::Traces, "Traces", content)
}

async fn listed(session: &Session, search: &Fields) -> Result<Markup, Refused> {
    let query = query([("limit", Some("100")), ("after", search.get("after"))]);
    let rows: Rows<TraceView> = session.api.list(&format!("/traces?{query}")).await?;
    Ok(html! {
        h1 { "Traces" }
        p { "The last requests, events and timers on this host that were slow or failed, with what they caused." }
        @if rows.rows.is_empty() {
            (empty("Nothing was slow and nothing failed since the host started.", &html! {
                p { "The setting " code { "log.slow_ms" } " says from which time on an operation is slow." }
            }))
        } @else { (table(&rows.rows)) }
        (more(ADDRESS, rows.next.as_ref()))
    })
}

fn table(rows: &[TraceView]) -> Markup {
    html! {
        div.table tabindex="0" role="group" aria-label="Traces" { table {
            thead { tr {
                th scope="col" { "First operation" } th scope="col" { "Outcome" } th scope="col" { "Began" }
                th.number scope="col" { "Took" } th.number scope="col" { "Operations" } th scope="col" { "Plugins" }
            } }
            tbody { @for row in rows { tr {
                th scope="row" { a href={ (ADDRESS) "/" (segment(&row.trace)) } { (row.first.name) } }
                td { (outcome(row.failed)) }
                td { (time(row.begun_ms)) }
                td.number { (micros(row.took_us)) }
                td.number { (number(row.operations)) }
                td { (row.plugins.join(", ")) }
            } } }
        } }
        p.hint { "A plugin causes at most 20 of these traces. A new one takes the place of its oldest." }
    }
}

fn outcome(failed: u64) -> Markup {
    match failed {
        0 => badge(Tone::Busy, "slow"),
        1 => badge(Tone::Bad, "failed"),
        _ => badge(Tone::Bad, &format!("failed {} times", number(failed))),
    }
}

pub(crate) async fn show(session: Session, Path(trace): Path<String>) -> Response {
    let details = session.api.get::<TraceDetails>(&format!("/traces/{}", segment(&trace))).await;
    page(&session, Section::Traces, "Trace", details.map(|details| render(&details)))
}

fn render(details: &TraceDetails) -> Markup {
    let view = &details.view;
    html! {
        p.crumbs { a href=(ADDRESS) { "Traces" } }
        div.title { h1 { (view.first.name) } (outcome(view.failed)) }
        dl.facts {
            dt { "Trace" } dd { code { (view.trace) } }
            dt { "Began" } dd { (time(view.begun_ms)) }
            dt { "Took" } dd { (micros(view.took_us)) }
        }
        div.table tabindex="0" role="group" aria-label="Operations" { table {
            thead { tr {
                th scope="col" { "Operation" } th scope="col" { "Plugin" } th.number scope="col" { "After" }
                th.number scope="col" { "Took" } th scope="col" { "When" } th scope="col" { "Outcome" }
            } }
            tbody { @for step in &details.steps { (row(view, step)) } }
        } }
        @if details.left_out > 0 { p.hint { (number(details.left_out)) " later operations are left out." } }
        p.hint { "The host keeps what happened on it. Another host of the cluster has its own part of the trace." }
    }
}

fn row(trace: &TraceView, step: &OperationView) -> Markup {
    let after_us = step.begun_ms.saturating_sub(trace.begun_ms) * 1_000;
    html! {
        tr {
            th scope="row" { (kind(&step.kind)) " " code { (step.name) }
                @if !step.id.is_empty() { " " span.quiet { (step.id) } } }
            td { @if step.plugin.is_empty() { span.quiet { "none" } } @else {
                a href={ "/console" (plugin_path(&step.plugin)) } { (step.plugin) } } }
            td.number { (micros(after_us)) }
            td.number { (micros(step.took_us)) }
            td { (charts::span(after_us, step.took_us, trace.took_us, step.failure.is_some())) }
            td { @match &step.failure { Some(reason) => { (badge(Tone::Bad, "failed")) " " (reason) }
                    None => { span.quiet { "done" } } } }
        }
    }
}

fn kind(kind: &Word<OperationKind>) -> &str {
    match kind {
        Word::Known(OperationKind::Request) => "Request",
        Word::Known(OperationKind::PluginRequest) => "Request of a plugin",
        Word::Known(OperationKind::Publication) => "Event to the bus",
        Word::Known(OperationKind::Event) => "Event",
        Word::Known(OperationKind::Timer) => "Timer",
        Word::Unknown(text) => text,
    }
}
