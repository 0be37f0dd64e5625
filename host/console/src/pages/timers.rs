//! The timers of each plugin, as figures.

use crate::{
    api::{Refused, Rows, plugin_path},
    fields::{Fields, Search, query},
    format::{Tone, badge, duration, number, time, word},
    layout::{Section, empty, more, page},
    session::Session,
};
use axum::response::Response;
use host_api::timers::{MAX_COUNTED_TIMERS, TimerFigures, TimersView};
use maud::{Markup, html};

const ADDRESS: &str = "/console/timers";

pub(crate) async fn list(session: Session, Search(search): Search) -> Response {
    let content = listed(&session, &search).await;
    page(&session, Section::Timers, "Timers", content)
}

async fn listed(session: &Session, search: &Fields) -> Result<Markup, Refused> {
    let query = query([("limit", Some("200")), ("after", search.get("after"))]);
    let rows: Rows<TimersView> = session.api.list(&format!("/timers?{query}")).await?;
    Ok(html! {
        h1 { "Timers" }
        p { "A timer wakes its plugin at its time. The host tries a timer again until the plugin has handled it, \
            or it becomes a " a href="/console/dead-letters" { "dead letter" } "." }
        @if rows.rows.is_empty() {
            (empty("No plugin has a database, so none can set a timer.", &html! {
                p { "A plugin needs the grant " code { "store" } " and sets timers with " code { "platform:timers" } "." }
            }))
        } @else { (table(&rows.rows)) }
        (more(ADDRESS, rows.next.as_ref()))
    })
}

fn table(rows: &[TimersView]) -> Markup {
    html! {
        div.table tabindex="0" role="group" aria-label="Timers" { table {
            thead { tr {
                th scope="col" { "Plugin" } th scope="col" { "State" }
                th.number scope="col" { "Set" } th.number scope="col" { "Due" }
                th.number scope="col" { "Most overdue" } th scope="col" { "Next" }
            } }
            tbody { @for row in rows { tr {
                th scope="row" { a href={ "/console" (plugin_path(&row.plugin)) } { (row.plugin) } }
                td { (word(&row.status)) }
                @match &row.timers {
                    Some(timers) => { (figures(timers)) }
                    None => { td colspan="4" { (badge(Tone::Bad, "its database does not answer")) } }
                }
            } } }
        } }
        p.hint { "The timers of a plugin that is paused or in quarantine wait until it serves again." }
    }
}

fn figures(timers: &TimerFigures) -> Markup {
    html! {
        td.number { (count(timers.set)) }
        td.number { (count(timers.due)) }
        td.number { @if timers.due > 0 { (duration(timers.overdue_ms)) } @else { span.quiet { "none" } } }
        td { @match timers.next_due_ms { Some(at) => { (time(at)) } None => { span.quiet { "none" } } } }
    }
}

/// A count that ends at the limit is not the whole number.
fn count(value: u64) -> Markup {
    html! { (number(value)) @if value >= MAX_COUNTED_TIMERS.into() { "+" } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_at_the_limit_says_that_there_may_be_more() {
        assert_eq!(count(9_999).into_string(), "9\u{202f}999");
        assert_eq!(count(10_000).into_string(), "10\u{202f}000+");
    }
}
