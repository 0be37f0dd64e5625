//! The overview: the plugins, the work that waits, and the problems for a person.

use crate::{
    api::{Refused, Rows, plugin_path, revision_path},
    format::{Tone, badge, duration, number, outcome, share, signed_time, word},
    layout::{Section, empty, page},
    session::Session,
};
use axum::response::Response;
use host_api::{
    Word,
    audit::AuditRow,
    cluster::{ClusterView, Status},
    dead_letters::DeadLetterSummary,
    plugins::{PluginStatus, PluginView},
};
use maud::{Markup, html};

/// The dead letters that the overview counts.
const COUNTED_LETTERS: usize = 100;
const RECENT_CHANGES: usize = 8;

/// The contents of the overview.
struct State {
    plugins: Vec<PluginView>,
    /// None if the database does not answer.
    cluster: Option<ClusterView>,
    /// None if the bus does not answer.
    letters: Option<Rows<DeadLetterSummary>>,
    changes: Vec<AuditRow>,
}

pub(crate) async fn show(session: Session) -> Response {
    let content = read(&session).await.map(|state| render(&session, &state));
    page(&session, Section::Overview, "Overview", content)
}

async fn read(session: &Session) -> Result<State, Refused> {
    let api = &session.api;
    let (letters, audit) = (format!("/dead-letters?limit={COUNTED_LETTERS}"), format!("/audit?limit={RECENT_CHANGES}"));
    let (plugins, cluster, letters, changes) =
        tokio::join!(api.list("/plugins?limit=1000"), api.get("/cluster"), api.list(&letters), api.list(&audit));
    let changes = changes.map(|rows| rows.rows).unwrap_or_default();
    Ok(State { plugins: plugins?.rows, cluster: cluster.ok(), letters: letters.ok(), changes })
}

fn render(session: &Session, state: &State) -> Markup {
    html! {
        div.title {
            h1 { "Overview" }
            @if session.may_upload() { a.button.primary href="/console/upload" { "Upload a plugin" } }
        }
        (figures(state))
        (attention(state))
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

fn figures(state: &State) -> Markup {
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

fn letter_count(state: &State) -> Markup {
    match &state.letters {
        None => html! { "unknown" },
        Some(letters) => html! { (letters.rows.len()) @if letters.next.is_some() { "+" } },
    }
}

fn hosts(state: &State) -> Markup {
    let Some(cluster) = &state.cluster else { return html! { "unknown" } };
    let ready = cluster.hosts.iter().filter(|host| host.status == Status::Ready).count();
    html! { (ready) small { " of " (cluster.hosts.len()) " ready" } }
}

/// The problems for a person.
fn attention(state: &State) -> Markup {
    let quarantined = state.plugins.iter().filter(|plugin| plugin.status == Word::Known(PluginStatus::Quarantined));
    let hosts = state.cluster.iter().flat_map(|cluster| &cluster.hosts);
    let lost: Vec<_> = hosts.clone().filter(|host| host.status == Status::Lost).collect();
    let behind: Vec<_> = hosts
        .flat_map(|host| {
            host.plugins.iter().filter_map(move |(name, plugin)| Some((host, name, plugin.behind.as_ref()?)))
        })
        .collect();
    let quarantined: Vec<_> = quarantined.collect();
    let unknown = state.cluster.is_none() || state.letters.is_none();
    html! {
        @if !quarantined.is_empty() || !lost.is_empty() || !behind.is_empty() || unknown {
            section.attention aria-labelledby="attention" {
                h2 #attention { "Needs attention" }
                ul {
                    @for plugin in quarantined {
                        li { a href={ "/console" (plugin_path(&plugin.name)) } { (plugin.name) }
                            " is in quarantine. Look at its failures, then resume it or roll it back." }
                    }
                    @for host in lost {
                        li { "The host " strong { (host.name) }
                            " has not reported for " (duration(u64::try_from(host.seen_ms_ago).unwrap_or(0))) "." } }
                    @for (host, name, reason) in behind {
                        li { strong { (host.name) } " does not run the decided revision of " (name) ": " (reason) } }
                    @if state.cluster.is_none() {
                        li { "The database does not answer, so the state of the hosts is not known." } }
                    @if state.letters.is_none() {
                        li { "The event bus does not answer, so the dead letters are not known." } }
                }
            }
        }
    }
}

fn first_run(session: &Session) -> Markup {
    empty(
        "No plugin runs yet.",
        &html! {
            ol {
                li { "Make one: " code { "ticketing plugin new hello" } }
                li { "Build it as its README says: " code { "ticketing plugin pack" } " writes the file." }
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
                    th scope="col" { "Canary" }
                    th.number scope="col" { "Running" } th.number scope="col" { "Calls" }
                    th.number scope="col" { "Failed" }
                } }
                tbody { @for plugin in plugins { (plugin_row(plugin)) } }
            }
        }
        p.hint { "Calls are requests, events and timers on this host since it loaded the revision." }
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
            td.number { (number(plugin.in_flight)) }
            td.number { (number(plugin.calls)) }
            td.number {
                @if plugin.failures == 0 { "0" } @else {
                    (badge(Tone::Bad, &format!("{} · {}", number(plugin.failures), share(plugin.failures, plugin.calls).unwrap_or_default())))
                }
            }
        }
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
