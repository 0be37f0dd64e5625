//! The data types of the operator API, as people read them: a newtype with a
//! `Display` for each.

mod verdict;

pub(super) use verdict::VerdictText;

use super::output::{ago, joined, size, table, text_of, until};
use host_api::{
    Word,
    audit::AuditRow,
    plugins::{CanaryView, LimitView, PluginDetails, PluginView},
    revisions::RevisionView,
    settings::ValueSource,
    swap::SwapReport,
    tokens::TokenView,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
};

/// Plugins, one line each.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct PluginTable(Vec<PluginView>);

/// One plugin without its settings.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct PluginText(PluginView);

/// One plugin with its settings.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct DetailsText(PluginDetails);

/// Values with their sources, one line each.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct SourceTable(BTreeMap<String, Sourced>);

/// A setting or limit with its source.
#[derive(Debug, Serialize)]
struct Sourced {
    value: Value,
    source: Word<ValueSource>,
}

/// The result of an activation.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct SwapText(pub(super) SwapReport);

/// Revisions, one line each.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct RevisionTable(Vec<RevisionView>);

/// Rows of the audit, one line each.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct AuditTable(Vec<AuditRow>);

/// Tokens, one line each.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct TokenTable(Vec<TokenView>);

impl Display for PluginTable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut table = table(&["NAME", "REVISION", "STATUS", "SIZE", "CALLS", "FAILURES", "IN FLIGHT"]);
        for plugin in &self.0 {
            table.add_row([
                plugin.name.clone(),
                plugin.revision.clone(),
                status(plugin),
                size(plugin.size_bytes),
                plugin.calls.to_string(),
                plugin.failures.to_string(),
                plugin.in_flight.to_string(),
            ]);
        }
        f.write_str(&text_of(&table))
    }
}

fn status(plugin: &PluginView) -> String {
    match &plugin.canary {
        Some(canary) => format!("{} + {} at {}%", plugin.status, canary.revision, canary.percent),
        None => plugin.status.to_string(),
    }
}

impl Display for PluginText {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_plugin(f, &self.0, None)
    }
}

impl Display for DetailsText {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_plugin(f, &self.0.plugin, Some(&self.0))
    }
}

fn write_plugin(f: &mut Formatter<'_>, plugin: &PluginView, details: Option<&PluginDetails>) -> fmt::Result {
    writeln!(f, "{}  {}  {}", plugin.name, plugin.revision, plugin.status)?;
    writeln!(f, "  digest      {}", plugin.digest)?;
    writeln!(f, "  size        {}", size(plugin.size_bytes))?;
    if let Some(canary) = &plugin.canary {
        let CanaryView { revision, percent, calls, failures, promote_at_ms, .. } = canary;
        write!(f, "  canary      {revision}: {percent}% of requests, {calls} calls, {failures} failures")?;
        match promote_at_ms {
            Some(time_ms) => writeln!(f, "; serves alone {} if it does no worse", until(*time_ms))?,
            None => writeln!(f)?,
        }
    }
    if let Some(PluginDetails { previous, quarantined, .. }) = details {
        for (name, text) in [("previous", previous), ("quarantined", quarantined)] {
            if let Some(text) = text {
                writeln!(f, "  {name:<11} {text}")?;
            }
        }
    }
    writeln!(f, "  calls       {}, {} failures, {} in flight", plugin.calls, plugin.failures, plugin.in_flight)?;
    for route in &plugin.routes {
        let reach = if route.private { " (plugins only)" } else { "" };
        writeln!(f, "  route       {} {}{reach}", route.methods.join(","), route.path)?;
    }
    writeln!(f, "  subscribes  {}", joined(&plugin.subscribes))?;
    writeln!(f, "  publishes   {}", joined(&plugin.publishes))?;
    writeln!(f, "  imports     {}", joined(&plugin.imports))?;
    match details {
        Some(details) => write_settings(f, details)?,
        // The answer does not have the grants.
        None => writeln!(f, "  grants      -")?,
    }
    write!(f, "  logs        ticketing plugin logs {} -f", plugin.name)
}

fn write_settings(f: &mut Formatter<'_>, details: &PluginDetails) -> fmt::Result {
    writeln!(f, "  grants      {}", joined(&details.grants))?;
    if !details.http_hosts.is_empty() {
        writeln!(f, "  http hosts  {}", joined(&details.http_hosts))?;
    }
    if !details.calls_plugins.is_empty() {
        writeln!(f, "  plugins     {}", joined(&details.calls_plugins))?;
    }
    for (key, value) in &details.config {
        let source = details.config_sources.get(key).map(Word::to_string).unwrap_or_default();
        writeln!(f, "  config      {key} = {value} ({source})")?;
    }
    for (key, LimitView { value, source }) in &details.limits_in_force {
        writeln!(f, "  limit       {key} = {value} ({source})")?;
    }
    Ok(())
}

impl SourceTable {
    /// The declared settings of a plugin.
    pub(super) fn of_config(details: PluginDetails) -> Self {
        let mut sources = details.config_sources;
        let sourced = |(key, value): (String, String)| {
            let source = sources.remove(&key).unwrap_or_else(|| Word::Unknown(String::new()));
            (key, Sourced { value: value.into(), source })
        };
        Self(details.config.into_iter().map(sourced).collect())
    }

    /// The limits of a plugin.
    pub(super) fn of_limits(details: PluginDetails) -> Self {
        let sourced =
            |(key, LimitView { value, source }): (String, LimitView)| (key, Sourced { value: value.into(), source });
        Self(details.limits_in_force.into_iter().map(sourced).collect())
    }
}

impl Display for SourceTable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut table = table(&["KEY", "VALUE", "SOURCE"]);
        for (key, Sourced { value, source }) in &self.0 {
            // A text without its quotes.
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            table.add_row([key.clone(), value, source.to_string()]);
        }
        f.write_str(&text_of(&table))
    }
}

impl Display for SwapText {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let report = &self.0;
        let new = report.new.as_deref().unwrap_or("nothing");
        match report.canary_percent {
            Some(percent) => write!(f, "{} {new} gets {percent}% of the work", report.plugin)?,
            None => write!(f, "{} {new} is active", report.plugin)?,
        }
        match &report.old {
            Some(old) => writeln!(f, " (before: {old})")?,
            // A canary replaces no revision.
            None if report.canary_percent.is_some() => writeln!(f)?,
            None => writeln!(f, " (nothing before it)")?,
        }
        let SwapReport { in_flight, drained, cut_off, dropped, .. } = report;
        writeln!(f, "  {in_flight} in flight at the swap: {drained} drained, {cut_off} cut off; {dropped} dropped")?;
        for migration in &report.migrations {
            writeln!(f, "  migrated {migration}")?;
        }
        if let Some(probe) = &report.probe {
            writeln!(f, "  the probe GET {} answered {}", probe.path, probe.status)?;
        }
        write!(f, "  swapped in {} µs, activated in {} ms", report.swap_us, report.took_ms)
    }
}

impl Display for RevisionTable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut table = table(&["REVISION", "STATUS", "SIZE", "SOURCE", "UPLOADED", "BY", "DIGEST"]);
        for revision in &self.0 {
            table.add_row([
                revision.revision.clone(),
                revision.status.to_string(),
                size(revision.size_bytes),
                revision.source.to_string(),
                if revision.uploaded_ms == 0 { "-".to_owned() } else { ago(revision.uploaded_ms) },
                revision.uploaded_by.clone(),
                revision.digest.chars().take(12).collect(),
            ]);
        }
        f.write_str(&text_of(&table))
    }
}

impl Display for AuditTable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut table = table(&["WHEN", "WHO", "WHAT", "PLUGIN", "REVISION", "OUTCOME", "DETAIL"]);
        for row in &self.0 {
            table.add_row([
                ago(u64::try_from(row.time_ms).unwrap_or_default()),
                row.actor.clone(),
                row.action.clone(),
                row.plugin.clone().unwrap_or_default(),
                row.revision.clone().unwrap_or_default(),
                row.outcome.clone(),
                row.detail.clone().unwrap_or_default(),
            ]);
        }
        f.write_str(&text_of(&table))
    }
}

impl Display for TokenTable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut table = table(&["ID", "NAME", "ROLE", "PLUGINS", "EXPIRES"]);
        for token in &self.0 {
            let plugins = token.plugins.as_ref().filter(|plugins| !plugins.is_empty());
            table.add_row([
                token.id.clone(),
                token.name.clone(),
                token.role.to_string(),
                plugins.map_or_else(|| "all".to_owned(), joined),
                token.expires_ms.map_or_else(|| "never".to_owned(), until),
            ]);
        }
        f.write_str(&text_of(&table))
    }
}
