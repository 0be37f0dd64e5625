//! Compares the manifest of a plugin with the policy of its name: what a file
//! asks beyond the policy, and what remains when the policy holds.

use crate::{
    manifest::{Manifest, Messaging, Requests, Route, is_name},
    permissions::grant_name,
    routes::Pattern,
};
use host_api::{
    policy::{Excess, Policy},
    settings::{Grant, LimitOverrides},
};
use host_config::limits::{LimitError, Limits};
use std::collections::BTreeSet;

/// The rights of one plugin name.
#[derive(Clone, Copy)]
pub struct Rights<'a> {
    /// The name.
    pub plugin: &'a str,
    /// The entries of administrators.
    pub policy: &'a Policy,
}

/// The policy that allows exactly the requests of a manifest. Bundled plugins,
/// plugins of the settings file and plugins of an older version of the host have
/// it until an administrator changes it.
pub fn policy_of(manifest: &Manifest, grants: BTreeSet<Grant>) -> Policy {
    let own = Rights { plugin: &manifest.name, policy: &Policy::default() };
    Policy {
        grants,
        publishes: chosen(&manifest.messaging.publishes, |subject| !own.may_publish(subject)),
        subscribes: chosen(&manifest.messaging.subscribes, |subject| !own.may_subscribe(subject)),
        paths: own.paths_beyond(manifest).map(str::to_owned).collect(),
        plugins: chosen(&manifest.requests.plugins, |plugin| !own.may_call(plugin)),
        same_origin: true,
        visitor: true,
        limits: overrides(exceeded(&manifest.limits, &Limits::ceilings())),
        ..Policy::default()
    }
}

fn chosen(names: &BTreeSet<String>, is_chosen: impl Fn(&str) -> bool) -> BTreeSet<String> {
    names.iter().filter(|name| is_chosen(name)).cloned().collect()
}

/// The limits that are above these ceilings, with their values.
fn exceeded(limits: &Limits, ceilings: &Limits) -> impl Iterator<Item = (&'static str, u64)> {
    let pairs = limits.values().into_iter().zip(ceilings.values());
    pairs.filter(|((_, value), (_, ceiling))| value > ceiling).map(|(limit, _)| limit)
}

/// The limits, none of them above its ceiling.
fn at_most(limits: &Limits, ceilings: &Limits) -> Limits {
    let pairs = limits.values().into_iter().zip(ceilings.values());
    let lowered = pairs.filter(|((_, value), (_, ceiling))| value > ceiling).map(|(_, ceiling)| ceiling);
    let mut limits = limits.clone();
    // Ceilings are limits that a plugin may have.
    let _ = limits.override_with(&overrides(lowered));
    limits
}

/// Limits by name, as a table.
fn overrides(values: impl Iterator<Item = (&'static str, u64)>) -> LimitOverrides {
    let table = values.map(|(limit, value)| (limit.to_owned(), value.into())).collect();
    // The names are those of the table.
    serde_json::from_value(serde_json::Value::Object(table)).unwrap_or_default()
}

impl<'a> Rights<'a> {
    /// Whether the plugin may publish a subject.
    fn may_publish(&self, subject: &str) -> bool {
        self.owns_subject(subject) || names_subject(&self.policy.publishes, subject)
    }

    /// Whether the plugin may receive the events of a subject.
    fn may_subscribe(&self, subject: &str) -> bool {
        self.owns_subject(subject) || names_subject(&self.policy.subscribes, subject)
    }

    /// Whether the plugin may answer the paths of a pattern.
    fn may_answer(&self, path: &str) -> bool {
        let pattern = Pattern::of(path);
        let own = [format!("/{}", self.plugin), format!("/{}/*", self.plugin)];
        own.iter().chain(&self.policy.paths).any(|entry| is_in_path_entry(&pattern, entry))
    }

    /// Whether the plugin may call the routes of a plugin.
    fn may_call(&self, plugin: &str) -> bool {
        plugin == self.plugin || self.policy.plugins.contains(plugin)
    }

    /// The requests of a manifest that the policy does not allow. `wanted` are
    /// the grants that the imports need.
    pub fn excesses(&self, manifest: &Manifest, wanted: &BTreeSet<Grant>) -> Vec<Excess> {
        let grants = wanted.difference(&self.policy.grants).map(|grant| {
            let grant = grant_name(*grant);
            self.excess(format!("needs the grant {grant}"), format!("--grant {grant}"))
        });
        let messaging = &manifest.messaging;
        let publishes = messaging.publishes.iter().filter(|subject| !self.may_publish(subject));
        let publishes =
            publishes.map(|subject| self.excess(format!("publishes {subject}"), format!("--publish {subject}")));
        let subscribes = messaging.subscribes.iter().filter(|subject| !self.may_subscribe(subject));
        let subscribes =
            subscribes.map(|subject| self.excess(format!("subscribes to {subject}"), format!("--subscribe {subject}")));
        let paths = self.paths_beyond(manifest);
        let paths = paths.map(|path| self.excess(format!("answers {path}"), format!("--path '{path}'")));
        let plugins = manifest.requests.plugins.iter().filter(|plugin| !self.may_call(plugin));
        let plugins =
            plugins.map(|plugin| self.excess(format!("calls the plugin {plugin}"), format!("--plugin {plugin}")));
        // A default that is above a low ceiling is no request of the manifest.
        let defaults = Limits::default().values();
        let ceilings = self.ceilings();
        let limits = exceeded(&manifest.limits, &ceilings);
        let limits = self.limit_excesses(limits.filter(|limit| !defaults.contains(limit)));
        grants.chain(publishes).chain(subscribes).chain(paths).chain(plugins).chain(limits).collect()
    }

    /// The limits among these that are above the ceilings of the policy.
    pub fn limits_beyond(&self, limits: &LimitOverrides) -> Vec<Excess> {
        let mut wanted = self.ceilings();
        match wanted.override_with(limits) {
            Ok(()) => self.limit_excesses(exceeded(&wanted, &self.ceilings())),
            // No plugin may have such a limit, and the swap says so.
            Err(_) => Vec::new(),
        }
    }

    fn limit_excesses(&self, limits: impl Iterator<Item = (&'static str, u64)>) -> Vec<Excess> {
        let excess = |(limit, value)| {
            let command = self.command_to_raise(limit, value);
            Excess { asks: format!("wants the limit {limit} = {value}"), command }
        };
        limits.map(excess).collect()
    }

    /// The manifest without the requests that the policy does not allow.
    pub fn narrow(&self, manifest: &Manifest) -> Manifest {
        let routes: Vec<Route> = manifest.routes.iter().filter(|route| self.may_answer(&route.path)).cloned().collect();
        // Without the store no event can be applied, and none can be published.
        let has_store = self.policy.grants.contains(&Grant::Store);
        let health = manifest.health.clone().filter(|health| routes.iter().any(|route| route.path == *health));
        Manifest {
            health,
            routes,
            messaging: Messaging {
                subscribes: chosen(&manifest.messaging.subscribes, |subject| has_store && self.may_subscribe(subject)),
                from_now: chosen(&manifest.messaging.from_now, |subject| has_store && self.may_subscribe(subject)),
                publishes: chosen(&manifest.messaging.publishes, |subject| has_store && self.may_publish(subject)),
            },
            requests: Requests { plugins: chosen(&manifest.requests.plugins, |plugin| self.may_call(plugin)) },
            limits: at_most(&manifest.limits, &self.ceilings()),
            ..manifest.clone()
        }
    }

    /// The highest limits of the plugin.
    fn ceilings(&self) -> Limits {
        let mut ceilings = Limits::ceilings();
        // The policy was checked when an administrator set it.
        if ceilings.override_with(&self.policy.limits).is_err() {
            return Limits::ceilings();
        }
        ceilings
    }

    /// The policy with higher ceilings, if some of these limits are above its own.
    pub fn raised(&self, limits: &LimitOverrides) -> Option<Policy> {
        let (ceilings, mut wanted) = (self.ceilings(), self.ceilings());
        wanted.override_with(limits).ok()?;
        let above = overrides(exceeded(&wanted, &ceilings));
        let is_above = above != LimitOverrides::default();
        is_above.then(|| Policy { limits: above.at_least(&self.policy.limits), ..self.policy.clone() })
    }

    fn owns_subject(&self, subject: &str) -> bool {
        subject.strip_prefix(self.plugin).is_some_and(|rest| rest.starts_with('.'))
    }

    fn paths_beyond<'m>(&'m self, manifest: &'m Manifest) -> impl Iterator<Item = &'m str> {
        manifest.routes.iter().map(|route| route.path.as_str()).filter(|path| !self.may_answer(path))
    }

    fn excess(&self, asks: String, flag: String) -> Excess {
        Excess { asks, command: self.command(&flag) }
    }

    /// The command with which an administrator raises the ceiling of a limit.
    pub fn command_to_raise(&self, limit: &str, value: u64) -> String {
        self.command(&format!("--limit {limit}={value}"))
    }

    fn command(&self, flag: &str) -> String {
        format!("ticketing plugin policy {} {flag}", self.plugin)
    }
}

fn names_subject(entries: &BTreeSet<String>, subject: &str) -> bool {
    entries.iter().any(|entry| match entry.strip_suffix(".*") {
        Some(prefix) => subject.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.')),
        None => entry == subject,
    })
}

fn is_in_path_entry(pattern: &Pattern, entry: &str) -> bool {
    match entry.strip_suffix("/*") {
        Some(prefix) => pattern.is_below(&Pattern::of(prefix)),
        None => *pattern == Pattern::of(entry),
    }
}

/// Checks the entries of a policy.
///
/// # Errors
/// The field and its problem.
pub fn check_policy(policy: &Policy) -> Result<(), (&'static str, String)> {
    let subject = |field: &'static str, entries: &BTreeSet<String>| {
        let wrong =
            entries.iter().find(|entry| !super::manifest::is_subject(entry.strip_suffix(".*").unwrap_or(entry)));
        wrong.map_or(Ok(()), |entry| Err((field, format!("{entry:?} is neither a subject nor of the form WORD.*"))))
    };
    subject("publishes", &policy.publishes)?;
    subject("subscribes", &policy.subscribes)?;
    for entry in &policy.paths {
        let path = entry.strip_suffix("/*").unwrap_or(entry);
        let problem = match path.starts_with('/') || entry == "/*" {
            false => Some("must begin with /"),
            true => crate::routes::problem(path),
        };
        if let Some(problem) = problem {
            return Err(("paths", format!("{entry:?} {problem}")));
        }
    }
    if let Some(entry) = policy.plugins.iter().find(|entry| !is_name(entry)) {
        return Err(("plugins", format!("{entry:?} is no name of a plugin")));
    }
    if let Some(entry) = policy.registries.iter().find(|entry| !is_registry(entry)) {
        return Err((
            "registries",
            format!("{entry:?} is not of the form REGISTRY or REGISTRY/REPOSITORY, without a tag"),
        ));
    }
    Limits::default().override_with(&policy.limits).map_err(|error: LimitError| ("limits", error.to_string()))?;
    match policy.lowest_version.as_deref().map(semver::Version::parse) {
        Some(Err(error)) => Err(("lowest_version", format!("is no version: {error}"))),
        _ => Ok(()),
    }
}

/// Whether a text names a registry of OCI, or repositories in one.
fn is_registry(text: &str) -> bool {
    let (host, repository) = text.split_once('/').unwrap_or((text, "x"));
    let is_part = |part: &str, more: &str| {
        let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || more.contains(c);
        !part.is_empty() && part.chars().all(is_allowed)
    };
    is_part(host, ".:-") && is_registry_host(host) && repository.split('/').all(|part| is_part(part, "._-"))
}

/// Whether the first part of a place in a registry of OCI names the registry. Otherwise it
/// is a part of a repository's name.
pub fn is_registry_host(part: &str) -> bool {
    part == "localhost" || part.contains(['.', ':'])
}

#[cfg(test)]
mod tests;
