//! The problems for a person that the host knows now, with the chapter of the
//! runbook for each.

use super::{overview::Standing, runbook};
use crate::{
    api::plugin_path,
    format::{duration, number, percent, size},
};
use host_api::{
    Word,
    cluster::{ClusterView, Status},
    plugins::{Budget, BudgetView, PluginStatus, PluginView},
};
use maud::{Markup, html};

/// An event that has waited for longer does not reach the bus, as in the rules for
/// Prometheus.
const MAX_OUTBOX_MS: u64 = 30_000;
/// More errors among the calls of a minute are too many, as in the rules for
/// Prometheus.
const MAX_ERROR_PERCENT: f64 = 1.0;

const HOST_NOT_READY: &str = "HostNotReady";
const HOST_DOWN: &str = "HostDown";
const DISK_NEARLY_FULL: &str = "DiskNearlyFull";
const BUS_AWAY: &str = "BusAway";
const BUS_PROBLEM: &str = "BusProblem";
const COMPONENT_QUARANTINED: &str = "ComponentQuarantined";
const ERROR_RATE: &str = "ErrorRate";
const OUTBOX_STUCK: &str = "OutboxStuck";
const DEAD_LETTERS: &str = "DeadLetters";
const MEMORY_GROWS: &str = "MemoryGrows";
const QUOTA_NEARLY_USED: &str = "QuotaNearlyUsed";

/// The chapters of the runbook that these alerts have.
#[cfg(test)]
pub(super) const CHAPTERS: [&str; 11] = [
    HOST_NOT_READY,
    HOST_DOWN,
    DISK_NEARLY_FULL,
    BUS_AWAY,
    BUS_PROBLEM,
    COMPONENT_QUARANTINED,
    ERROR_RATE,
    OUTBOX_STUCK,
    DEAD_LETTERS,
    MEMORY_GROWS,
    QUOTA_NEARLY_USED,
];

/// A problem.
struct Alert {
    text: Markup,
    /// The chapter of the runbook.
    chapter: Option<&'static str>,
}

impl Alert {
    fn new(chapter: &'static str, text: Markup) -> Self {
        Self { text, chapter: Some(chapter) }
    }

    fn without_chapter(text: Markup) -> Self {
        Self { text, chapter: None }
    }
}

/// The section of the alerts. It is not there when there is none.
pub(super) fn section(standing: &Standing) -> Markup {
    let alerts = all(standing);
    html! {
        @if !alerts.is_empty() {
            section.attention aria-labelledby="attention" {
                h2 #attention { "Needs attention" }
                ul {
                    @for Alert { text, chapter } in &alerts {
                        li { (text) @if let Some(chapter) = chapter { " " (runbook::link(chapter)) } }
                    }
                }
            }
        }
    }
}

fn all(standing: &Standing) -> Vec<Alert> {
    let mut alerts = Vec::from_iter(readiness(standing));
    alerts.extend(standing.plugins.iter().flat_map(of_plugin));
    match &standing.cluster {
        Some(cluster) => alerts.extend(of_cluster(cluster)),
        None => alerts.push(Alert::without_chapter(html! {
            "The database does not answer, so the state of the hosts is not known."
        })),
    }
    match &standing.letters {
        Some(letters) if letters.rows.is_empty() => {}
        Some(letters) => alerts.push(Alert::new(
            DEAD_LETTERS,
            html! {
                a href="/console/dead-letters" {
                    (letters.rows.len()) @if letters.next.is_some() { "+" } " dead letters" } " wait for a decision."
            },
        )),
        None => alerts.push(Alert::without_chapter(html! {
            "The event bus does not answer, so the dead letters are not known."
        })),
    }
    alerts
}

/// The reason why this host takes no work, or the problem that it works with.
fn readiness(standing: &Standing) -> Option<Alert> {
    match &standing.readiness {
        Err(refused) => {
            let reasons: Vec<_> = refused.faults.iter().map(|fault| &*fault.message).collect();
            Some(Alert::new(HOST_NOT_READY, html! { "This host takes no work: " (reasons.join("; ")) }))
        }
        Ok(text) => {
            let problem = text.trim().strip_prefix("ready, and ")?;
            let chapter = match problem {
                problem if problem.starts_with("the disk") => DISK_NEARLY_FULL,
                problem if problem.contains("out of reach") => BUS_AWAY,
                _ => BUS_PROBLEM,
            };
            Some(Alert::new(chapter, html! { "This host works, and " (problem) "." }))
        }
    }
}

fn of_plugin(plugin: &PluginView) -> impl Iterator<Item = Alert> {
    let link = || html! { a href={ "/console" (plugin_path(&plugin.name)) } { (plugin.name) } };
    let quarantined = (plugin.status == Word::Known(PluginStatus::Quarantined)).then(|| {
        let advice = " is in quarantine. Look at its failures, then resume it or roll it back.";
        Alert::new(COMPONENT_QUARANTINED, html! { (link()) (advice) })
    });
    let errors = plugin.recent.as_ref().map(|recent| recent.error_percent);
    let fails = errors.filter(|errors| *errors > MAX_ERROR_PERCENT).map(|errors| {
        Alert::new(
            ERROR_RATE,
            html! { (link()) ": " (percent(errors)) " of its calls of the last minute were errors." },
        )
    });
    quarantined.into_iter().chain(fails).chain(plugin.nearly_used.iter().map(move |budget| of_budget(plugin, budget)))
}

/// A budget that a plugin has nearly used.
fn of_budget(plugin: &PluginView, BudgetView { budget, used, limit }: &BudgetView) -> Alert {
    let (chapter, what, shown): (_, _, fn(u64) -> String) = match budget {
        Word::Known(Budget::Memory) => (MEMORY_GROWS, "of memory for its instances", size),
        Word::Known(Budget::Database) => (QUOTA_NEARLY_USED, "of its database", size),
        Word::Known(Budget::Outbox) => (QUOTA_NEARLY_USED, "events in its outbox", number),
        Word::Known(Budget::Timers) => (QUOTA_NEARLY_USED, "timers", number),
        Word::Unknown(_) => (QUOTA_NEARLY_USED, "of a budget", number),
    };
    let text = html! {
        a href={ "/console" (plugin_path(&plugin.name)) } { (plugin.name) }
        " has used " (shown(*used)) " of " (shown(*limit)) " " (what) "."
    };
    Alert::new(chapter, text)
}

fn of_cluster(cluster: &ClusterView) -> Vec<Alert> {
    let mut alerts = Vec::new();
    for host in &cluster.hosts {
        if host.status == Status::Lost {
            let silent = duration(u64::try_from(host.seen_ms_ago).unwrap_or(0));
            let text = html! { "The host " strong { (host.name) } " has not reported for " (silent) "." };
            alerts.push(Alert::new(HOST_DOWN, text));
        }
        for (name, plugin) in &host.plugins {
            if let Some(reason) = &plugin.behind {
                alerts.push(Alert::without_chapter(html! {
                    strong { (host.name) } " does not run the decided revision of " (name) ": " (reason)
                }));
            }
        }
    }
    for (name, lag) in cluster.lag.iter().filter(|(_, lag)| lag.outbox_ms > MAX_OUTBOX_MS) {
        alerts.push(Alert::new(
            OUTBOX_STUCK,
            html! {
                "An event of " a href={ "/console" (plugin_path(name)) } { (name) } " has waited for the bus for "
                (duration(lag.outbox_ms)) "."
            },
        ));
    }
    alerts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Refused, Rows};
    use http::StatusCode;
    use serde_json::json;

    fn well() -> Standing {
        Standing {
            plugins: Vec::new(),
            cluster: serde_json::from_value(json!({ "this": "a", "hosts": [], "lag": {} })).ok(),
            letters: Some(Rows { rows: Vec::new(), next: None }),
            changes: Vec::new(),
            readiness: Ok("ready\n".to_owned()),
        }
    }

    #[test]
    fn a_host_that_is_well_has_no_alert() {
        assert_eq!(section(&well()).into_string(), "");
    }

    #[test]
    fn readiness_tells_why_and_leads_to_its_chapter() {
        for (readiness, chapter, text) in [
            (Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, "it starts")), HOST_NOT_READY, "no work: it starts"),
            (Ok("ready, and the disk of the data directory is almost full: x"), DISK_NEARLY_FULL, "the disk"),
            (Ok("ready, and the event bus is out of reach: x\n"), BUS_AWAY, "out of reach: x."),
            (Ok("ready, and the event bus has a problem: x; y\n"), BUS_PROBLEM, "problem: x; y."),
        ] {
            let shown = section(&Standing { readiness: readiness.map(str::to_owned), ..well() }).into_string();
            assert!(shown.contains(text) && shown.contains(&format!("Runbook: {chapter}<")), "{shown}");
        }
    }

    #[test]
    fn a_budget_that_is_nearly_used_is_an_alert_with_its_unit() {
        for (budget, used, limit, text, chapter) in [
            ("memory", 57 << 20, 64 << 20, "57.0 MiB of 64.0 MiB of memory", MEMORY_GROWS),
            ("database", 230 << 20, 256 << 20, "230.0 MiB of 256.0 MiB of its database", QUOTA_NEARLY_USED),
            ("outbox", 9_000, 10_000, "9\u{202f}000 of 10\u{202f}000 events in its outbox", QUOTA_NEARLY_USED),
            ("timers", 80, 100, "80 of 100 timers", QUOTA_NEARLY_USED),
            ("sky", 8, 9, "8 of 9 of a budget", QUOTA_NEARLY_USED),
        ] {
            let plugin = json!({
                "name": "hello", "version": "1.0.0", "revision": "1.0.0+a", "digest": "a", "size_bytes": 1,
                "status": "active", "imports": [], "exports": [], "routes": [], "subscribes": [], "publishes": [],
                "in_flight": 0, "calls": 0, "failures": 0,
                "nearly_used": [{ "budget": budget, "used": used, "limit": limit }],
            });
            let plugins = vec![serde_json::from_value(plugin).unwrap()];
            let shown = section(&Standing { plugins, ..well() }).into_string();
            assert!(shown.contains(text) && shown.contains(&format!("Runbook: {chapter}<")), "{shown}");
        }
    }

    #[test]
    fn only_an_old_outbox_is_an_alert() {
        let with = |outbox_ms: u64| {
            let lag = json!({ "hello": { "outbox_ms": outbox_ms, "timers_ms": 0 } });
            let cluster = serde_json::from_value(json!({ "this": "a", "hosts": [], "lag": lag })).ok();
            section(&Standing { cluster, ..well() }).into_string()
        };
        assert_eq!(with(MAX_OUTBOX_MS), "");
        assert!(with(90_000).contains("Runbook: OutboxStuck<"));
    }
}
