//! The answers of the operator API, as far as they are shown to people. What
//! an older or newer host leaves out or adds is no error.

use super::output::{ago, joined, size, table, text_of, until};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
};

mod verdict;

pub(super) use verdict::Verdict;

/// Plugins, a line each.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct PluginList(Vec<PluginView>);

/// One plugin.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PluginView {
    pub(super) name: String,
    revision: String,
    digest: String,
    size_bytes: u64,
    status: String,
    canary: Option<Canary>,
    imports: Vec<String>,
    routes: Vec<RouteView>,
    subscribes: Vec<String>,
    publishes: Vec<String>,
    in_flight: u64,
    calls: u64,
    failures: u64,
    pub(super) config: BTreeMap<String, serde_json::Value>,
    pub(super) config_set: BTreeMap<String, serde_json::Value>,
    pub(super) config_sources: BTreeMap<String, String>,
    pub(super) limits: BTreeMap<String, serde_json::Value>,
    pub(super) limits_in_force: BTreeMap<String, Sourced>,
    pub(super) grants: Vec<String>,
    pub(super) http_hosts: Vec<String>,
    previous: Option<String>,
    quarantined: Option<String>,
}

/// A value, and who decided it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Sourced {
    value: serde_json::Value,
    source: String,
}

/// Values with who decided them, a line each.
pub(super) struct SourcedList<'a>(pub(super) &'a BTreeMap<String, Sourced>);

/// What a plugin may use.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct GrantsView {
    pub(super) grants: Vec<String>,
    pub(super) http_hosts: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Canary {
    revision: String,
    percent: u8,
    calls: u64,
    failures: u64,
    promote_at_ms: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RouteView {
    path: String,
    methods: Vec<String>,
}

/// What an activation did.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SwapReport {
    plugin: String,
    old: Option<String>,
    new: Option<String>,
    canary_percent: Option<u8>,
    in_flight: u64,
    drained: u64,
    cut_off: u64,
    dropped: u64,
    swap_us: u64,
    took_ms: f64,
    migrations: Vec<String>,
    probe: Option<Probe>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Probe {
    path: String,
    status: u16,
}

/// Revisions, a line each.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct RevisionList(Vec<RevisionView>);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RevisionView {
    revision: String,
    digest: String,
    size_bytes: u64,
    status: String,
    source: String,
    uploaded_ms: u64,
    uploaded_by: String,
}

/// What was done, a line each.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct AuditList(Vec<AuditEntry>);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AuditEntry {
    time_ms: u64,
    actor: String,
    action: String,
    plugin: Option<String>,
    revision: Option<String>,
    outcome: String,
    detail: Option<serde_json::Value>,
}

/// Tokens, a line each.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct TokenList(Vec<TokenView>);

/// A token as it is known afterwards, or, once, with itself.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TokenView {
    pub(super) id: serde_json::Value,
    pub(super) name: String,
    pub(super) role: String,
    pub(super) plugins: Option<Vec<String>>,
    pub(super) token: String,
}

impl Display for PluginList {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut table = table(&["NAME", "REVISION", "STATUS", "SIZE", "CALLS", "FAILURES", "IN FLIGHT"]);
        for plugin in &self.0 {
            table.add_row([
                plugin.name.clone(),
                plugin.revision.clone(),
                plugin.state(),
                size(plugin.size_bytes),
                plugin.calls.to_string(),
                plugin.failures.to_string(),
                plugin.in_flight.to_string(),
            ]);
        }
        f.write_str(&text_of(&table))
    }
}

impl PluginView {
    /// Each declared setting with its value and who decided it.
    pub(super) fn config_in_force(&self) -> BTreeMap<String, Sourced> {
        let sourced = |(key, value): (&String, &serde_json::Value)| {
            let source = self.config_sources.get(key).cloned().unwrap_or_default();
            (key.clone(), Sourced { value: value.clone(), source })
        };
        self.config.iter().map(sourced).collect()
    }

    fn state(&self) -> String {
        match &self.canary {
            Some(canary) => format!("{} + {} at {}%", self.status, canary.revision, canary.percent),
            None => self.status.clone(),
        }
    }
}

impl Display for PluginView {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}  {}  {}", self.name, self.revision, self.status)?;
        writeln!(f, "  digest      {}", self.digest)?;
        writeln!(f, "  size        {}", size(self.size_bytes))?;
        if let Some(canary) = &self.canary {
            let Canary { revision, percent, calls, failures, promote_at_ms } = canary;
            write!(f, "  canary      {revision}: {percent}% of requests, {calls} calls, {failures} failures")?;
            match promote_at_ms {
                Some(time_ms) => writeln!(f, "; serves alone {} if it does no worse", until(*time_ms))?,
                None => writeln!(f)?,
            }
        }
        for (name, text) in [("previous", &self.previous), ("quarantined", &self.quarantined)] {
            if let Some(text) = text {
                writeln!(f, "  {name:<11} {text}")?;
            }
        }
        writeln!(f, "  calls       {}, {} failures, {} in flight", self.calls, self.failures, self.in_flight)?;
        for route in &self.routes {
            writeln!(f, "  route       {} {}", route.methods.join(","), route.path)?;
        }
        writeln!(f, "  subscribes  {}", joined(&self.subscribes))?;
        writeln!(f, "  publishes   {}", joined(&self.publishes))?;
        writeln!(f, "  imports     {}", joined(&self.imports))?;
        writeln!(f, "  grants      {}", joined(&self.grants))?;
        if !self.http_hosts.is_empty() {
            writeln!(f, "  http hosts  {}", joined(&self.http_hosts))?;
        }
        for (key, Sourced { value, source }) in self.config_in_force() {
            writeln!(f, "  config      {key} = {} ({source})", text_of_value(&value))?;
        }
        for (key, Sourced { value, source }) in &self.limits_in_force {
            writeln!(f, "  limit       {key} = {value} ({source})")?;
        }
        write!(f, "  logs        ticketing plugin logs {} -f", self.name)
    }
}

impl Display for SourcedList<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut table = table(&["KEY", "VALUE", "SOURCE"]);
        for (key, Sourced { value, source }) in self.0 {
            table.add_row([key.clone(), text_of_value(value), source.clone()]);
        }
        f.write_str(&text_of(&table))
    }
}

impl Display for GrantsView {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "grants      {}", joined(&self.grants))?;
        write!(f, "http hosts  {}", joined(&self.http_hosts))
    }
}

/// A text without its quotes; anything else as JSON has it.
fn text_of_value(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Display for SwapReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let new = self.new.as_deref().unwrap_or("nothing");
        match self.canary_percent {
            Some(percent) => write!(f, "{} {new} gets {percent}% of the work", self.plugin)?,
            None => write!(f, "{} {new} is active", self.plugin)?,
        }
        match &self.old {
            Some(old) => writeln!(f, " (before: {old})")?,
            // A canary takes nobody's place.
            None if self.canary_percent.is_some() => writeln!(f)?,
            None => writeln!(f, " (nothing before it)")?,
        }
        let Self { in_flight, drained, cut_off, dropped, .. } = self;
        writeln!(f, "  {in_flight} in flight at the swap: {drained} drained, {cut_off} cut off; {dropped} dropped")?;
        for migration in &self.migrations {
            writeln!(f, "  migrated {migration}")?;
        }
        if let Some(probe) = &self.probe {
            writeln!(f, "  the probe GET {} answered {}", probe.path, probe.status)?;
        }
        write!(f, "  swapped in {} µs, activated in {:.0} ms", self.swap_us, self.took_ms)
    }
}

impl Display for RevisionList {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut table = table(&["REVISION", "STATUS", "SIZE", "SOURCE", "UPLOADED", "BY", "DIGEST"]);
        for revision in &self.0 {
            table.add_row([
                revision.revision.clone(),
                revision.status.clone(),
                size(revision.size_bytes),
                revision.source.clone(),
                if revision.uploaded_ms == 0 { "-".to_owned() } else { ago(revision.uploaded_ms) },
                revision.uploaded_by.clone(),
                revision.digest.chars().take(12).collect(),
            ]);
        }
        f.write_str(&text_of(&table))
    }
}

impl Display for AuditList {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut table = table(&["WHEN", "WHO", "WHAT", "PLUGIN", "REVISION", "OUTCOME", "DETAIL"]);
        for entry in &self.0 {
            let detail = match &entry.detail {
                Some(serde_json::Value::String(text)) => text.clone(),
                Some(serde_json::Value::Null) | None => String::new(),
                Some(other) => other.to_string(),
            };
            table.add_row([
                ago(entry.time_ms),
                entry.actor.clone(),
                entry.action.clone(),
                entry.plugin.clone().unwrap_or_default(),
                entry.revision.clone().unwrap_or_default(),
                entry.outcome.clone(),
                detail,
            ]);
        }
        f.write_str(&text_of(&table))
    }
}

impl Display for TokenList {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut table = table(&["ID", "NAME", "ROLE", "PLUGINS"]);
        for token in &self.0 {
            let plugins = token.plugins.as_ref().filter(|plugins| !plugins.is_empty());
            table.add_row([
                token.id(),
                token.name.clone(),
                token.role.clone(),
                plugins.map_or_else(|| "all".to_owned(), |plugins| plugins.join(", ")),
            ]);
        }
        f.write_str(&text_of(&table))
    }
}

impl TokenView {
    pub(super) fn id(&self) -> String {
        match &self.id {
            serde_json::Value::String(id) => id.clone(),
            other => other.to_string(),
        }
    }
}
