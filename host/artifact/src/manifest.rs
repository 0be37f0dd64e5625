//! The manifest of a plugin: `plugin.toml`. The component carries it in the custom
//! section `platform:manifest`.

pub use crate::messaging::Messaging;

use crate::{Schedule, routes};
use host_config::{
    limits::{LimitError, Limits},
    plugins::ConfigKey,
    rate::Rate,
};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::collections::{BTreeMap, BTreeSet};

/// A checked manifest.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The name of the plugin, `[a-z][a-z0-9-]{0,39}`. It is unique in a host.
    pub name: String,
    /// The version of the plugin.
    #[serde(deserialize_with = "version")]
    pub version: semver::Version,
    /// The path of a `GET` route that answers with a status below 500 when the
    /// plugin can serve.
    #[serde(default)]
    pub health: Option<String>,
    /// The routes that the plugin answers.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// The subjects that the plugin publishes and subscribes to.
    #[serde(default)]
    pub messaging: Messaging,
    /// The times at which the host calls the handler of timers.
    #[serde(default, rename = "schedule", skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<Schedule>,
    /// The other plugins that the plugin sends requests to.
    #[serde(default, skip_serializing_if = "Requests::is_empty")]
    pub requests: Requests,
    /// The limits that differ from the defaults.
    #[serde(default)]
    pub limits: Limits,
    /// How the host reuses the instances.
    #[serde(default)]
    pub instance: InstancePolicy,
    /// The settings that an operator can set.
    #[serde(default)]
    pub config: BTreeMap<String, ConfigKey>,
}

/// A path and the methods that the plugin answers on it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// A pattern such as `/api/things/{id}`. `{*rest}` matches the rest of a path.
    pub path: String,
    /// The methods, in upper case.
    pub methods: Vec<String>,
    /// Whether POST and PATCH take an `Idempotency-Key`: a repetition of a request
    /// gets the stored answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub idempotent: bool,
    /// The most requests of one address, such as `10/h`. An operator can set another
    /// rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// The callers that reach the route.
    #[serde(default, skip_serializing_if = "Visibility::is_public")]
    pub visibility: Visibility,
}

/// The callers that reach a route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Visitors and plugins.
    #[default]
    Public,
    /// Only plugins of the same host.
    Plugins,
}

impl Visibility {
    /// Whether visitors reach the route.
    pub fn is_public(&self) -> bool {
        *self == Self::Public
    }
}

/// Requests of a plugin.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requests {
    /// The names of the plugins that it calls.
    #[serde(default)]
    pub plugins: BTreeSet<String>,
}

impl Requests {
    fn is_empty(&self) -> bool {
        self.plugins.is_empty()
    }
}

/// How the host reuses the instances of a plugin.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InstancePolicy {
    /// The number of calls after which the host discards an instance. With 1,
    /// each call gets a new instance. Default: 10000, for components of `wasi:http`
    /// 1000 (version 0.3) or 1 (version 0.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_requests: Option<u32>,
}

/// Why the host refuses a manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The text is not the expected TOML. The message names the line.
    #[error("the manifest is not valid: {0}")]
    Syntax(#[from] toml::de::Error),
    /// A value is not allowed.
    #[error("the manifest's {field} {problem}")]
    Value {
        /// The field, such as `routes[0].path`.
        field: String,
        /// The problem, such as `must begin with /`.
        problem: String,
    },
}

/// How many routes, subjects to publish, subjects to receive, plugins to call, or
/// settings a manifest can name.
const MAX_NAMED: usize = 1_000;

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

impl Manifest {
    /// Parses and checks a `plugin.toml`.
    ///
    /// # Errors
    /// The line or the field that is wrong.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = toml::from_str(text)?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), ManifestError> {
        if !is_name(&self.name) {
            return Err(invalid("name", "must match [a-z][a-z0-9-]{0,39}"));
        }
        self.routes.iter().enumerate().try_for_each(|(index, route)| check_route(index, route))?;
        self.messaging.check().map_err(|problem| invalid("messaging", &problem))?;
        self.check_schedules()?;
        if let Some(name) = self.requests.plugins.iter().find(|name| !is_name(name)) {
            return Err(invalid("requests.plugins", &format!("names {name:?}, which is no name of a plugin")));
        }
        self.check_health()?;
        self.limits.check()?;
        for (key, declaration) in &self.config {
            declaration
                .check()
                .map_err(|problem| invalid(&format!("config.{key}"), &format!("is not valid: {problem}")))?;
        }
        if self.instance.max_requests == Some(0) {
            return Err(invalid("instance.max_requests", "must be at least 1"));
        }
        Ok(())
    }

    /// Checks that the manifest does not name too much, and that no proxy and no
    /// browser would change the paths of the routes. The host checks only uploads,
    /// because older versions accepted such manifests.
    ///
    /// # Errors
    /// The first field with such a value.
    pub fn check_upload(&self) -> Result<(), ManifestError> {
        let counts = [
            ("routes", self.routes.len()),
            ("messaging.subscribes", self.messaging.subscribes.len()),
            ("messaging.publishes", self.messaging.publishes.len()),
            ("requests.plugins", self.requests.plugins.len()),
            ("config", self.config.len()),
            ("schedule", self.schedules.len()),
        ];
        if let Some((field, count)) = counts.into_iter().find(|(_, count)| *count > MAX_NAMED) {
            return Err(invalid(field, &format!("has {count} entries, more than the {MAX_NAMED} that are accepted")));
        }
        for (index, route) in self.routes.iter().enumerate() {
            if let Some(problem) = routes::problem(&route.path) {
                return Err(invalid(&format!("routes[{index}].path"), problem));
            }
        }
        Ok(())
    }

    /// Whether a route takes an `Idempotency-Key`.
    pub fn has_idempotent_routes(&self) -> bool {
        self.routes.iter().any(|route| route.idempotent)
    }

    fn check_schedules(&self) -> Result<(), ManifestError> {
        let mut names = BTreeSet::new();
        for (index, schedule) in self.schedules.iter().enumerate() {
            let field = format!("schedule[{index}]");
            schedule.check().map_err(|problem| invalid(&field, &format!("is not valid: {problem}")))?;
            if !names.insert(&schedule.name) {
                return Err(invalid(&field, &format!("has the name {:?} of another one", schedule.name)));
            }
        }
        Ok(())
    }

    fn check_health(&self) -> Result<(), ManifestError> {
        let Some(health) = &self.health else { return Ok(()) };
        let mut routes = self.routes.iter();
        match routes.any(|route| route.path == *health && route.methods.iter().any(|method| method == "GET")) {
            true => Ok(()),
            false => Err(invalid("health", "must be the path of one of its GET routes")),
        }
    }
}

impl From<LimitError> for ManifestError {
    fn from(error: LimitError) -> Self {
        invalid(&format!("limits.{}", error.limit), &error.problem)
    }
}

fn check_route(index: usize, route: &Route) -> Result<(), ManifestError> {
    let field = format!("routes[{index}]");
    if !route.path.starts_with('/') || route.path.len() > 512 {
        return Err(invalid(&format!("{field}.path"), "must begin with / and have at most 512 bytes"));
    }
    if let Err(error) = matchit::Router::new().insert(route.path.clone(), ()) {
        return Err(invalid(&format!("{field}.path"), &format!("is not a pattern: {error}")));
    }
    if route.methods.is_empty() {
        return Err(invalid(&format!("{field}.methods"), "must name a method"));
    }
    if route.idempotent && !route.methods.iter().any(|method| takes_keys(method)) {
        return Err(invalid(&format!("{field}.idempotent"), "needs the method POST or PATCH"));
    }
    match route.methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
        Some(method) => Err(invalid(
            &format!("{field}.methods"),
            &format!("names {method:?}; the host knows {}", METHODS.join(", ")),
        )),
        None => Ok(()),
    }
}

/// Reads a version. The refusal of one with too few numbers shows the right spelling.
fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<semver::Version, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|error| {
        let mut complete = [".0", ".0.0"].into_iter().map(|zeros| format!("{text}{zeros}"));
        match complete.find(|complete| complete.parse::<semver::Version>().is_ok()) {
            Some(complete) => D::Error::custom(format!(
                "the version {text:?} has too few numbers; a version has three, such as {complete:?}"
            )),
            None => D::Error::custom(format!("{text:?} is no version such as \"1.0.0\": {error}")),
        }
    })
}

/// Whether requests with this method can have an `Idempotency-Key`. The other
/// methods are idempotent or safe themselves.
pub fn takes_keys(method: &str) -> bool {
    matches!(method, "POST" | "PATCH")
}

/// Whether this is a valid name for a plugin.
pub fn is_name(name: &str) -> bool {
    name.len() <= 40
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

pub(crate) fn is_subject(subject: &str) -> bool {
    subject.len() <= 200
        && subject.split('.').all(|word| {
            !word.is_empty()
                && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
        })
}

fn invalid(field: &str, problem: &str) -> ManifestError {
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
        assert!(
            with("[[routes]]\npath = '/x'\nmethods = ['GET', 'PUT']\nidempotent = true")
                .contains("routes[0].idempotent needs the method POST or PATCH")
        );
        assert!(with("[messaging]\npublishes = ['A b']").contains("names the subject \"A b\""));
        assert!(with("[messaging]\nsubscribes = [{ subject = 'a', from = 'then' }]").contains("from = \"now\""));
        assert!(with("[requests]\nplugins = ['A b']").contains("requests.plugins names \"A b\""));
        assert!(
            with("[[routes]]\npath = '/x'\nmethods = ['GET']\nvisibility = 'nobody'")
                .contains("unknown variant `nobody`")
        );
        assert!(with("[limits]\nmemory_mib = 100000").contains("limits.memory_mib must be 1 to 512"));
        assert!(with("[limits]\nmemroy = 1").contains("unknown field `memroy`"));
        assert!(with("health = '/x'").contains("health must be the path of one of its GET routes"));
    }

    #[test]
    fn a_refused_version_shows_the_right_spelling() {
        let with = |version: &str| refusal(&format!("name = 'echo'\nversion = {version}"));
        for (version, complete) in [("'1.0'", "1.0.0"), ("'2'", "2.0.0"), ("'0.10'", "0.10.0")] {
            let refusal = with(version);
            assert!(refusal.contains("has too few numbers"), "{refusal}");
            assert!(refusal.contains(&format!("such as \"{complete}\"")), "{refusal}");
        }
        for version in ["'v1.0.0'", "''", "'1.0.0.0'", "'1.x'", "'01.0'", "'1.0-beta'"] {
            assert!(with(version).contains("is no version such as \"1.0.0\""), "{}", with(version));
        }
        assert!(with("1.0").contains("expected a string"), "{}", with("1.0"));
    }

    #[test]
    fn a_manifest_names_a_limited_number_of_things() {
        let manifest = |more: &str| Manifest::parse(&format!("name = 'echo'\nversion = '1.0.0'\n{more}")).unwrap();
        let list = |count: usize| (0..count).map(|number| format!("'echo.e{number}'")).collect::<Vec<_>>().join(", ");
        let repeated = |count: usize, text: &dyn Fn(usize) -> String| (0..count).map(text).collect::<String>();
        let route = |number: usize| format!("[[routes]]\npath = '/echo/{number}'\nmethods = ['GET']\n");
        let setting = |number: usize| format!("[config.key-{number}]\ntype = 'string'\ndefault = ''\n");
        let of = |count: usize| {
            [
                repeated(count, &route),
                format!("[messaging]\nsubscribes = [{}]", list(count)),
                format!("[messaging]\npublishes = [{}]", list(count)),
                repeated(count, &setting),
            ]
        };
        for (most, more) in of(1_000).iter().zip(of(1_001)) {
            manifest(most).check_upload().unwrap();
            let refusal = manifest(&more).check_upload().unwrap_err().to_string();
            assert!(refusal.contains("has 1001 entries, more than the 1000 that are accepted"), "{refusal}");
        }
    }
}
