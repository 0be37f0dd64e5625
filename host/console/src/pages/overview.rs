//! The overview: the plugins, the work that waits, and the problems for a person.

use super::{alerts, live};
use crate::{
    api::{Refused, Rows, plugin_path, revision_path},
    charts::sparkline,
    format::{Tone, badge, duration, micros, number, outcome, percent, rate, share, signed_time, size, time, word},
    layout::{Section, empty, page},
    session::Session,
};
use axum::response::Response;
use host_api::{
    Word,
    audit::AuditRow,
    cluster::{ClusterView, Status},
    dead_letters::DeadLetterSummary,
    figures::RecentView,
    plugins::{PluginStatus, PluginView},
};
use host_http::compression::compress;
use http::HeaderMap;
use maud::{Markup, html};

/// The dead letters that the overview counts.
const COUNTED_LETTERS: usize = 100;
const RECENT_CHANGES: usize = 8;

/// The contents of the overview.
pub(super) struct Standing {
    pub(super) plugins: Vec<PluginView>,
    /// None if the database does not answer.
    pub(super) cluster: Option<ClusterView>,
    /// None if the bus does not answer.
    pub(super) letters: Option<Rows<DeadLetterSummary>>,
    pub(super) changes: Vec<AuditRow>,
    /// The text of `/readyz`, or the reason why this host takes no work.
    pub(super) readiness: Result<String, Refused>,
}

/// The overview of many plugins is long. It has no secret and no text of the request,
/// so its length tells nothing.
pub(crate) async fn show(session: Session, headers: HeaderMap) -> Response {
    let content = read(&session).await.map(|state| live(&render(&session, &state)));
    let mut answer = page(&session, Section::Overview, "Overview", content);
    compress(&headers, &mut answer);
    answer
}

async fn read(session: &Session) -> Result<Standing, Refused> {
    let api = &session.api;
    let (letters, audit) = (format!("/dead-letters?limit={COUNTED_LETTERS}"), format!("/audit?limit={RECENT_CHANGES}"));
    let (plugins, cluster, letters, changes, readiness) = tokio::join!(
        api.list("/plugins?limit=1000"),
        api.get("/cluster"),
        api.list(&letters),
        api.list(&audit),
        api.text("/readyz")
    );
    let changes = changes.map(|rows| rows.rows).unwrap_or_default();
    Ok(Standing { plugins: plugins?.rows, cluster: cluster.ok(), letters: letters.ok(), changes, readiness })
}

fn render(session: &Session, state: &Standing) -> Markup {
    html! {
        div.title {
            h1 { "Overview" }
            @if session.may_upload() { a.button.primary href="/console/upload" { "Upload a plugin" } }
        }
        (figures(state))
        (alerts::section(state))
        section aria-labelledby="plugins" {
            h2 #plugins { "Plugins" }
            @if state.plugins.is_empty() { (first_run(session)) } @else { (plugins(&state.plugins)) }
        }
        section aria-labelledby="changes" {
            h2 #changes { "Recent changes" }
            @if state.changes.is_empty() {
                (empty("Nobody has changed anything yet.", &html! {}))
            } @else { (changes(&state.changes)) }
        }
    }
}

fn figures(state: &Standing) -> Markup {
    let serving =
        |plugin: &&PluginView| matches!(plugin.status, Word::Known(PluginStatus::Active | PluginStatus::Canary));
    let outbox = state.cluster.as_ref().map(|cluster| cluster.lag.values().map(|lag| lag.outbox_ms).max().unwrap_or(0));
    let (calls, failures) = state
        .plugins
        .iter()
        .fold((0, 0), |(calls, failures), plugin| (calls + plugin.calls, failures + plugin.failures));
    let failed = share(failures, calls).unwrap_or_else(|| "0 %".to_owned());
    let serving = state.plugins.iter().filter(serving).count();
    let oldest = outbox.map_or_else(|| "unknown".to_owned(), duration);
    let serving = html! { (serving) small { " of " (state.plugins.len()) } };
    let failed = html! { (failed) small { " of " (number(calls)) } };
    html! {
        dl.figures {
            (figure("Plugins that serve", &serving, "/console/routes"))
            (figure("Failed calls", &failed, "#plugins"))
            (figure("Oldest unsent event", &html! { (oldest) }, "/console/cluster"))
            (figure("Dead letters", &letter_count(state), "/console/dead-letters"))
            (figure("Hosts", &hosts(state), "/console/cluster"))
        }
    }
}

fn figure(name: &str, value: &Markup, address: &str) -> Markup {
    html! { div { dt { a href=(address) { (name) } } dd { (value) } } }
}

fn letter_count(state: &Standing) -> Markup {
    match &state.letters {
        None => html! { "unknown" },
        Some(letters) => html! { (letters.rows.len()) @if letters.next.is_some() { "+" } },
    }
}

fn hosts(state: &Standing) -> Markup {
    let Some(cluster) = &state.cluster else { return html! { "unknown" } };
    let ready = cluster.hosts.iter().filter(|host| host.status == Status::Ready).count();
    html! { (ready) small { " of " (cluster.hosts.len()) " ready" } }
}

fn first_run(session: &Session) -> Markup {
    empty(
        "No plugin runs yet.",
        &html! {
            ol {
                li { "Make one: " code { "ticketing plugin new hello" } }
                li { "Build it: " code { "ticketing plugin build hello" } " writes the file." }
                @if session.may_upload() {
                    li { a href="/console/upload" { "Upload the file" } " and activate it." }
                } @else { li { "Ask a colleague with the role " code { "deploy" } " to upload the file." } }
            }
        },
    )
}

fn plugins(plugins: &[PluginView]) -> Markup {
    html! {
        div.table tabindex="0" role="group" aria-labelledby="plugins" {
            table {
                thead { tr {
                    th scope="col" { "Plugin" } th scope="col" { "State" } th scope="col" { "Revision" }
                    th scope="col" { "Canary" } th scope="col" { "Calls, 15 min" }
                    th.number scope="col" { "Calls" } th.number scope="col" { "Errors" }
                    th.number scope="col" { "p50" } th.number scope="col" { "p99" }
                    th.number scope="col" { "Memory" } th scope="col" { "Last failure" }
                } }
                tbody { @for plugin in plugins { (plugin_row(plugin)) } }
            }
        }
        p.hint { "Calls are requests, events and timers of the last minute on this host. An error is a failure or an answer \
            of 500 and above. Half of the calls took less than p50, 99 of 100 less than p99; both are right within a \
            factor of two. Memory is that of all instances." }
    }
}

fn plugin_row(plugin: &PluginView) -> Markup {
    html! {
        tr {
            th scope="row" { a href={ "/console" (plugin_path(&plugin.name)) } { (plugin.name) } }
            td { (word(&plugin.status)) }
            td { a href={ "/console" (revision_path(&plugin.name, &plugin.revision)) } { code { (plugin.revision) } } }
            td {
                @match &plugin.canary {
                    Some(canary) => { (canary.percent) " % " code { (canary.revision) } }
                    None => { span.quiet { "none" } }
                }
            }
            (recent_cells(plugin.recent.as_ref()))
            td {
                @match &plugin.last_failure {
                    Some(failure) => {
                        a href={ "/console" (plugin_path(&plugin.name)) "#failures" } title=(failure.message) { (failure.kind) }
                        " " (time(failure.time_ms))
                    }
                    None => { span.quiet { "none" } }
                }
            }
        }
    }
}

/// The calls of the last minutes. A plugin that is being loaded has none.
fn recent_cells(recent: Option<&RecentView>) -> Markup {
    let Some(recent) = recent else { return html! { td colspan="6" { span.quiet { "not yet" } } } };
    let quantile = |us: Option<u64>| html! { td.number { @match us { Some(us) => { (micros(us)) } None => { "–" } } } };
    html! {
        td { (sparkline(&recent.calls)) }
        td.number { (rate(recent.calls_per_second)) }
        td.number {
            @if recent.error_percent > 0.0 { (badge(Tone::Bad, &percent(recent.error_percent))) } @else { "0 %" }
        }
        (quantile(recent.p50_us)) (quantile(recent.p99_us))
        td.number { (size(recent.memory_bytes)) }
    }
}

/// A few rows of the audit, with links to what they are about.
fn changes(rows: &[AuditRow]) -> Markup {
    html! {
        ul.changes {
            @for row in rows {
                li {
                    (outcome(&row.outcome)) " " strong { (row.actor) } " " (row.action)
                    @if let Some(plugin) = &row.plugin { " " a href={ "/console" (plugin_path(plugin)) } { (plugin) } }
                    @if let (Some(plugin), Some(revision)) = (&row.plugin, &row.revision) {
                        " " a href={ "/console" (revision_path(plugin, revision)) } { code { (revision) } }
                    }
                    " " span.quiet { (signed_time(row.time_ms)) }
                }
            }
        }
    }
}
