//! `bundled`, `[[plugin]]` and `[plugins.NAME]`: which plugins are loaded, and
//! the settings that they declare.
//!
//! What a plugin declares is known only once it is loaded, so what may be
//! meant for one is kept until then: [`PluginsConfig::settings`] hands it out, and
//! [`PluginsConfig::check_all_used`] refuses what nobody wanted.

use super::problem::{ConfigError, Invalid};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
};

pub use super::config_key::{ConfigKey, ConfigType};
pub use host_api::settings::{Grant, LimitOverrides, ValueSource};

/// The variables of plugins' settings begin with it.
pub(super) const PREFIX: &str = "TICKETING_";

/// Which plugins there are, and what operators set for them.
#[derive(Clone)]
pub struct PluginsConfig {
    /// Which of those in the binary are loaded.
    pub bundled: Bundled,
    /// Plugins from files.
    pub extra: Vec<ExtraPlugin>,
    file: String,
    overrides: BTreeMap<String, Overrides>,
    flags: BTreeMap<(String, String), String>,
    environment: BTreeMap<String, String>,
}

/// Which of the plugins in the binary are loaded.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected true, false or a list of names")]
pub enum Bundled {
    /// All or none.
    All(bool),
    /// Those with these names.
    Named(BTreeSet<String>),
}

impl Bundled {
    /// Whether the plugin of this name is to be loaded.
    pub fn includes(&self, name: &str) -> bool {
        match self {
            Self::All(all) => *all,
            Self::Named(names) => names.contains(name),
        }
    }

    pub(super) fn from_text(text: &str) -> Self {
        match text {
            "true" => Self::All(true),
            "false" => Self::All(false),
            names => Self::Named(names.split(',').map(|name| name.trim().to_owned()).collect()),
        }
    }
}

/// A plugin that is loaded from a file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtraPlugin {
    /// The component's file.
    pub path: PathBuf,
    /// What it may import; unset: whatever the host offers.
    pub grants: Option<BTreeSet<Grant>>,
}

/// The value of a declared setting.
#[derive(Clone, PartialEq, Eq)]
pub struct Setting {
    /// As the plugin reads it.
    pub value: String,
    /// Who decided it.
    pub source: ValueSource,
    /// Whether nobody else may see it.
    pub is_secret: bool,
}

impl Setting {
    /// The value for people. A secret has another text in its place.
    pub fn shown(&self) -> &str {
        if self.is_secret { "(secret)" } else { &self.value }
    }
}

/// Shows no secret.
impl fmt::Debug for Setting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} from {:?}", self.shown(), self.source)
    }
}

/// `[plugins.NAME]`: what an operator changes in one plugin.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Overrides {
    config: BTreeMap<String, toml::Value>,
    limits: LimitOverrides,
}

/// As in the file, with what flags and environment add.
#[derive(Debug, Default)]
pub(super) struct RawPluginsConfig {
    pub(super) file: String,
    pub(super) bundled: Option<Bundled>,
    pub(super) extra: Vec<ExtraPlugin>,
    pub(super) overrides: RawOverrides,
    pub(super) set: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
}

/// The tables of `[plugins]`.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct RawOverrides(BTreeMap<String, Overrides>);

impl TryFrom<RawPluginsConfig> for PluginsConfig {
    type Error = Invalid;

    fn try_from(raw: RawPluginsConfig) -> Result<Self, Invalid> {
        let mut flags = BTreeMap::new();
        for assignment in raw.set {
            let (plugin, key, value) = split(&assignment)
                .ok_or_else(|| Invalid::new("--set", format!("`{assignment}` is not of the form PLUGIN.KEY=VALUE")))?;
            flags.insert((plugin.to_owned(), key.to_owned()), value.to_owned());
        }
        Ok(Self {
            bundled: raw.bundled.unwrap_or(Bundled::All(true)),
            extra: raw.extra,
            file: raw.file,
            overrides: raw.overrides.0,
            flags,
            environment: raw.environment,
        })
    }
}

fn split(assignment: &str) -> Option<(&str, &str, &str)> {
    let (name, value) = assignment.split_once('=')?;
    let (plugin, key) = name.split_once('.')?;
    (!plugin.is_empty() && !key.is_empty()).then_some((plugin, key, value))
}

/// Leaves the settings out: some may be secret.
impl fmt::Debug for PluginsConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PluginsConfig")
            .field("bundled", &self.bundled)
            .field("extra", &self.extra)
            .finish_non_exhaustive()
    }
}

impl PluginsConfig {
    /// What the plugin reads through `wasi:config`: every declared key that is
    /// set or has a default. A flag beats the environment, which beats the
    /// file, which beats the default.
    ///
    /// # Errors
    /// Names each value that the declaration does not allow, with its source.
    pub fn settings(
        &self,
        plugin: &str,
        declared: &BTreeMap<String, ConfigKey>,
    ) -> Result<BTreeMap<String, Setting>, ConfigError> {
        let mut settings = BTreeMap::new();
        let mut problems = Vec::new();
        for (key, declaration) in declared {
            match self.setting(plugin, key, declaration) {
                Some((source, Ok(value))) => {
                    settings.insert(key.clone(), Setting { value, source, is_secret: declaration.is_secret() });
                }
                Some((_, Err(problem))) => problems.push(problem),
                None => {}
            }
        }
        ConfigError::unless_empty(problems).map(|()| settings)
    }

    /// The same with what an operator has set while the host runs, which beats
    /// everything else. A key that the plugin does not declare any more is
    /// left out.
    ///
    /// # Errors
    /// Names each value that the declaration does not allow.
    pub fn settings_with(
        &self,
        plugin: &str,
        declared: &BTreeMap<String, ConfigKey>,
        set: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, Setting>, ConfigError> {
        let mut settings = self.settings(plugin, declared)?;
        let mut problems = Vec::new();
        for (key, text) in set {
            let Some(declaration) = declared.get(key) else { continue };
            match declaration.text_value(text) {
                Ok(value) => {
                    let is_secret = declaration.is_secret();
                    settings.insert(key.clone(), Setting { value, source: ValueSource::Operator, is_secret });
                }
                Err(reason) => problems.push(format!("{plugin}.{key}: {reason}")),
            }
        }
        ConfigError::unless_empty(problems).map(|()| settings)
    }

    /// The limits that an operator has changed for the plugin.
    pub fn limits(&self, plugin: &str) -> LimitOverrides {
        self.overrides.get(plugin).map(|overrides| overrides.limits.clone()).unwrap_or_default()
    }

    /// Refuses what was set for a plugin that is not loaded, or under a key
    /// that no loaded plugin declares.
    ///
    /// # Errors
    /// Names each such flag, variable and key.
    pub fn check_all_used<'a>(
        &self,
        loaded: impl IntoIterator<Item = (&'a str, &'a BTreeMap<String, ConfigKey>)>,
    ) -> Result<(), ConfigError> {
        let loaded: BTreeMap<_, _> = loaded.into_iter().collect();
        let mut problems = Vec::new();
        for (plugin, key) in self.flags.keys() {
            if let Some(problem) = unknown(&loaded, plugin, Some(key)) {
                problems.push(format!("--set {plugin}.{key}: {problem}"));
            }
        }
        let variables: BTreeSet<String> = loaded.values().copied().flat_map(variables).collect();
        for name in self.environment.keys() {
            if !variables.contains(name) {
                problems.push(format!("{name}: no such setting, and no loaded plugin declares it"));
            }
        }
        for (plugin, overrides) in &self.overrides {
            if let Some(problem) = unknown(&loaded, plugin, None) {
                problems.push(format!("{} (plugins.{plugin}): {problem}", self.file));
                continue;
            }
            for key in overrides.config.keys() {
                if let Some(problem) = unknown(&loaded, plugin, Some(key)) {
                    problems.push(format!("{} (plugins.{plugin}.config.{key}): {problem}", self.file));
                }
            }
        }
        ConfigError::unless_empty(problems)
    }

    fn setting(
        &self,
        plugin: &str,
        key: &str,
        declaration: &ConfigKey,
    ) -> Option<(ValueSource, Result<String, String>)> {
        let named = |source: String| move |reason: String| format!("{source}: {reason}");
        if let Some(text) = self.flags.get(&(plugin.to_owned(), key.to_owned())) {
            let source = format!("--set {plugin}.{key}");
            let value = match declaration.is_secret() {
                true => {
                    Err(format!("other users of the machine see a command line; name a file in {}", file_variable(key)))
                }
                false => declaration.text_value(text),
            };
            return Some((ValueSource::Flag, value.map_err(named(source))));
        }
        if let Some((variable, value)) = self.environment_value(key, declaration) {
            return Some((ValueSource::Environment, value.map_err(named(variable))));
        }
        let in_file = self.overrides.get(plugin).and_then(|o| o.config.get(key));
        if let Some(value) = in_file {
            let source = format!("{} (plugins.{plugin}.config.{key})", self.file);
            return Some((ValueSource::File, declaration.toml_value(value).map_err(named(source))));
        }
        let source = format!("the default of {plugin}.{key}");
        Some((ValueSource::Manifest, declaration.default_text()?.map_err(named(source))))
    }

    /// The variable that sets a key, and the value.
    fn environment_value(&self, key: &str, declaration: &ConfigKey) -> Option<(String, Result<String, String>)> {
        let (variable, file) = (variable(key), file_variable(key));
        let path = self.environment.get(&file).filter(|_| declaration.is_secret());
        match (self.environment.get(&variable), path) {
            (None, None) => None,
            (Some(text), None) => Some((variable, declaration.text_value(text))),
            (None, Some(path)) => Some((file, secret_file::read(path).and_then(|text| declaration.text_value(&text)))),
            (Some(_), Some(_)) => Some((variable, Err(format!("{file} is set too; set one of them")))),
        }
    }
}

/// The variables that set the declared keys.
fn variables(declared: &BTreeMap<String, ConfigKey>) -> impl Iterator<Item = String> {
    declared.iter().flat_map(|(key, declaration)| {
        [Some(variable(key)), declaration.is_secret().then(|| file_variable(key))].into_iter().flatten()
    })
}

fn unknown(loaded: &BTreeMap<&str, &BTreeMap<String, ConfigKey>>, plugin: &str, key: Option<&str>) -> Option<String> {
    match (loaded.get(plugin), key) {
        (None, _) => Some(format!("no plugin named {plugin} is loaded")),
        (Some(declared), Some(key)) if !declared.contains_key(key) => {
            let known: Vec<_> = declared.keys().map(String::as_str).collect();
            Some(match known.as_slice() {
                [] => format!("{plugin} declares no settings"),
                _ => format!("{plugin} declares no such setting; it knows {}", known.join(", ")),
            })
        }
        _ => None,
    }
}

/// The variable that sets a declared key.
fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase().replace('-', "_"))
}

/// The variable that names a file with the value of a declared secret.
fn file_variable(key: &str) -> String {
    format!("{}_FILE", variable(key))
}

pub mod secret_file;
#[cfg(test)]
mod tests;
