//! What a plugin says of itself: `plugin.toml`, carried in the component as
//! the custom section `platform:manifest`.

use crate::config::plugins::{ConfigKey, LimitOverrides};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A checked manifest.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `[a-z][a-z0-9-]{0,39}`, unique in a host.
    pub name: String,
    /// The plugin's own version.
    pub version: semver::Version,
    /// A `GET` path among its routes that answers below 500 when it can serve.
    #[serde(default)]
    pub health: Option<String>,
    /// What it answers.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// What it publishes and subscribes to.
    #[serde(default)]
    pub messaging: Messaging,
    /// Its limits, where they differ from the defaults.
    #[serde(default)]
    pub limits: Limits,
    /// How its instances are used.
    #[serde(default)]
    pub instance: InstancePolicy,
    /// The settings that an operator may give it.
    #[serde(default)]
    pub config: BTreeMap<String, ConfigKey>,
}

/// A path and the methods answered on it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// A pattern such as `/api/things/{id}`; `{*rest}` matches what follows.
    pub path: String,
    /// In upper case.
    pub methods: Vec<String>,
}

/// Subjects, such as `thing.created`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Messaging {
    /// Handed to the component's `platform:messaging/handler`.
    #[serde(default)]
    pub subscribes: BTreeSet<String>,
    /// What its transactions may publish.
    #[serde(default)]
    pub publishes: BTreeSet<String>,
}

/// What one plugin may use. The unit is in the name.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Linear memory of one instance.
    pub memory_mib: usize,
    /// One call, from its start to its answer.
    pub wall_time_ms: u64,
    /// One transaction, from `begin` to `commit`.
    pub transaction_ms: u64,
    /// Calls at the same time.
    pub concurrency: usize,
    /// Calls that wait for their turn; one more is refused.
    pub queue: usize,
    /// A request's body.
    pub body_bytes: usize,
    /// A response's body.
    pub response_bytes: usize,
    /// An event's payload.
    pub event_bytes: usize,
    /// Calls from the component into the host in one invocation.
    pub host_calls: u32,
    /// Deliveries of one event or timer before it is a dead letter.
    pub delivery_attempts: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_mib: 64,
            wall_time_ms: 10_000,
            transaction_ms: 5_000,
            concurrency: 64,
            queue: 512,
            body_bytes: 1 << 20,
            response_bytes: 8 << 20,
            event_bytes: 256 << 10,
            host_calls: 10_000,
            delivery_attempts: 10,
        }
    }
}

/// How often an instance is used again.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InstancePolicy {
    /// Calls after which an instance is thrown away; 1 for a fresh one each
    /// time. Unset: 10000, 1000 for `wasi:http` 0.3 and 1 for 0.2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_requests: Option<u32>,
}

/// Why a manifest is refused.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not the TOML that is expected; the text has the line.
    #[error("the manifest is not valid: {0}")]
    Syntax(#[from] toml::de::Error),
    /// A value that makes no sense.
    #[error("the manifest's {field} {problem}")]
    Value {
        /// Such as `routes[0].path`.
        field: String,
        /// Such as `must begin with /`.
        problem: String,
    },
}

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

impl Manifest {
    /// Parses and checks a `plugin.toml`.
    ///
    /// # Errors
    /// Names the line or the field that is wrong.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = toml::from_str(text)?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), ManifestError> {
        if !is_name(&self.name) {
            return Err(wrong("name", "must match [a-z][a-z0-9-]{0,39}"));
        }
        for (index, route) in self.routes.iter().enumerate() {
            check_route(index, route)?;
        }
        for subject in self.messaging.subscribes.iter().chain(&self.messaging.publishes) {
            if !is_subject(subject) {
                return Err(wrong(
                    "messaging",
                    &format!("names the subject {subject:?}, which must be words of [a-z0-9_-] joined by dots"),
                ));
            }
        }
        if let Some(health) = &self.health
            && !self.routes.iter().any(|route| route.path == *health && route.methods.iter().any(|m| m == "GET"))
        {
            return Err(wrong("health", "must be the path of one of its GET routes"));
        }
        self.limits.check()?;
        for (key, declaration) in &self.config {
            declaration
                .check()
                .map_err(|problem| wrong(&format!("config.{key}"), &format!("makes no sense: {problem}")))?;
        }
        if self.instance.max_requests == Some(0) {
            return Err(wrong("instance.max_requests", "must be at least 1"));
        }
        Ok(())
    }
}

impl Limits {
    /// Puts an operator's limits in the place of the author's.
    ///
    /// # Errors
    /// Names a limit that is out of its bounds.
    pub fn override_with(&mut self, overrides: &LimitOverrides) -> Result<(), ManifestError> {
        fn set<T: Copy>(limit: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *limit = value;
            }
        }
        set(&mut self.memory_mib, overrides.memory_mib);
        set(&mut self.wall_time_ms, overrides.wall_time_ms);
        set(&mut self.transaction_ms, overrides.transaction_ms);
        set(&mut self.concurrency, overrides.concurrency);
        set(&mut self.queue, overrides.queue);
        set(&mut self.body_bytes, overrides.body_bytes);
        set(&mut self.response_bytes, overrides.response_bytes);
        set(&mut self.event_bytes, overrides.event_bytes);
        set(&mut self.host_calls, overrides.host_calls);
        set(&mut self.delivery_attempts, overrides.delivery_attempts);
        self.check()
    }

    fn check(&self) -> Result<(), ManifestError> {
        let bounds: [(&str, u64, u64, u64); 10] = [
            ("memory_mib", self.memory_mib as u64, 1, 512),
            ("wall_time_ms", self.wall_time_ms, 1, 300_000),
            ("transaction_ms", self.transaction_ms, 1, 60_000),
            ("concurrency", self.concurrency as u64, 1, 1_000),
            ("queue", self.queue as u64, 0, 100_000),
            ("body_bytes", self.body_bytes as u64, 0, 64 << 20),
            ("response_bytes", self.response_bytes as u64, 1, 64 << 20),
            ("event_bytes", self.event_bytes as u64, 1, 1 << 20),
            ("host_calls", u64::from(self.host_calls), 1, 10_000_000),
            ("delivery_attempts", u64::from(self.delivery_attempts), 1, 1_000),
        ];
        match bounds.into_iter().find(|(_, value, low, high)| value < low || value > high) {
            Some((name, _, low, high)) => Err(wrong(&format!("limits.{name}"), &format!("must be {low} to {high}"))),
            None => Ok(()),
        }
    }
}

fn check_route(index: usize, route: &Route) -> Result<(), ManifestError> {
    let field = format!("routes[{index}]");
    if !route.path.starts_with('/') || route.path.len() > 512 {
        return Err(wrong(&format!("{field}.path"), "must begin with / and have at most 512 bytes"));
    }
    if let Err(error) = matchit::Router::new().insert(route.path.clone(), ()) {
        return Err(wrong(&format!("{field}.path"), &format!("is not a pattern: {error}")));
    }
    if route.methods.is_empty() {
        return Err(wrong(&format!("{field}.methods"), "must name a method"));
    }
    match route.methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
        Some(method) => {
            Err(wrong(&format!("{field}.methods"), &format!("names {method:?}; known are {}", METHODS.join(", "))))
        }
        None => Ok(()),
    }
}

/// Whether a plugin may have this name.
pub fn is_name(name: &str) -> bool {
    name.len() <= 40
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn is_subject(subject: &str) -> bool {
    subject.len() <= 200
        && subject.split('.').all(|word| {
            !word.is_empty()
                && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
        })
}

fn wrong(field: &str, problem: &str) -> ManifestError {
    ManifestError::Value { field: field.to_owned(), problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        Manifest::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_small_manifest_gets_the_defaults() {
        let manifest = Manifest::parse("name = 'echo'\nversion = '1.0.0'").unwrap();
        assert_eq!(manifest.limits.memory_mib, 64);
        assert_eq!(manifest.instance.max_requests, None);
    }

    #[test]
    fn a_refusal_names_the_field() {
        let with = |more: &str| refusal(&format!("name = 'echo'\nversion = '1.0.0'\n{more}"));
        assert!(refusal("name = 'Echo'\nversion = '1.0.0'").contains("name must match"));
        assert!(with("[[routes]]\npath = 'x'\nmethods = ['GET']").contains("routes[0].path must begin with /"));
        assert!(with("[[routes]]\npath = '/{a'\nmethods = ['GET']").contains("routes[0].path is not a pattern"));
        assert!(with("[[routes]]\npath = '/x'\nmethods = ['get']").contains("routes[0].methods names \"get\""));
        assert!(with("[messaging]\npublishes = ['A b']").contains("names the subject \"A b\""));
        assert!(with("[limits]\nmemory_mib = 100000").contains("limits.memory_mib must be 1 to 512"));
        assert!(with("[limits]\nmemroy = 1").contains("unknown field `memroy`"));
        assert!(with("health = '/x'").contains("health must be the path of one of its GET routes"));
    }
}
