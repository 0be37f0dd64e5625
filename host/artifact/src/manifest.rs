//! What a plugin says of itself: `plugin.toml`, carried in the component as
//! the custom section `platform:manifest`.

use host_config::{
    limits::{LimitError, Limits},
    plugins::ConfigKey,
};
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
        self.limits.check().map_err(ManifestError::from)?;
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

impl From<LimitError> for ManifestError {
    fn from(error: LimitError) -> Self {
        wrong(&format!("limits.{}", error.limit), &error.problem)
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
