//! The file that lists the plugins as they shall be.

use crate::plugin::{failure::Failure, files, plugin_file::PluginFile};
use host_api::{policy::Policy, settings::LimitOverrides};
use host_artifact::{Artifact, manifest::is_name};
use host_base::secret::Secret;
use host_config::plugins::secret_file;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

const PERCENT: RangeInclusive<u8> = 1..=99;
/// 30 days.
const PROMOTE_AFTER_SECONDS: RangeInclusive<u64> = 1..=2_592_000;

/// The plugins of a file.
pub(super) struct Desired {
    /// In the order of the file.
    pub(super) plugins: Vec<Wanted>,
}

/// A plugin as it shall be. Nothing changes a part that is not named.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) policy: Option<Policy>,
    pub(super) content: Option<Content>,
    pub(super) limits: Option<BTreeMap<String, u64>>,
    pub(super) settings: Option<BTreeMap<String, Setting>>,
    /// How its content becomes active, if another one is active.
    pub(super) canary: Option<Canary>,
    pub(super) paused: Option<bool>,
    /// Nothing else is named then.
    pub(super) absent: bool,
}

/// The plugin file of an entry.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) file: PluginFile,
    /// SHA-256, hexadecimal.
    pub(super) digest: String,
    /// The settings that its manifest declares, and whether each is a secret. None
    /// if this program cannot read the file. Then the host says why.
    pub(super) declared: Option<BTreeMap<String, bool>>,
}

/// The value of a setting.
#[derive(Debug)]
pub(super) enum Setting {
    Text(String),
    Secret(Secret),
}

/// The trial of a new revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Canary {
    pub(super) percent: u8,
    pub(super) promote_after_seconds: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    plugin: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    file: Option<PathBuf>,
    sha256: Option<String>,
    settings: Option<toml::Table>,
    limits: Option<LimitOverrides>,
    policy: Option<Policy>,
    canary: Option<Canary>,
    paused: Option<bool>,
    #[serde(default)]
    absent: bool,
}

impl Desired {
    /// Reads the file, and the files that it names.
    ///
    /// # Errors
    /// The first problem of the file, with its place.
    pub(super) async fn read(file: &Path) -> Result<Self, Failure> {
        let folder = file.parent().unwrap_or(Path::new("."));
        let mut plugins = Vec::new();
        for entry in entries(file)? {
            let name = entry.name.clone();
            let wanted = entry.read(folder).await;
            plugins.push(wanted.map_err(|problem| usage(file, &format!("{name}: {problem}")))?);
        }
        Ok(Self { plugins })
    }
}

/// The files that the file names, and the file itself. A file that cannot be read
/// names none.
pub(super) fn files_of(file: &Path) -> BTreeSet<PathBuf> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut files = BTreeSet::from([file.to_owned()]);
    for entry in entries(file).unwrap_or_default() {
        let secrets = entry.settings.iter().flat_map(|settings| settings.values()).filter_map(file_of_secret);
        files.extend(secrets.map(|secret| folder.join(secret)));
        files.extend(entry.plugin_file(folder).iter().flatten().filter_map(PluginFile::local).map(Path::to_owned));
    }
    files
}

fn entries(file: &Path) -> Result<Vec<Entry>, Failure> {
    let text = files::text(file)?;
    let document: Document = toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        usage(file, &format!("line {}: {}", before.matches('\n').count() + 1, error.message()))
    })?;
    if document.plugin.is_empty() {
        return Err(usage(file, "it names no plugin; add a table [[plugin]], see `ticketing apply --help`"));
    }
    let mut names = BTreeSet::new();
    match document.plugin.iter().find(|entry| !names.insert(&entry.name)) {
        Some(twice) => Err(usage(file, &format!("{}: it has two entries; make one of them", twice.name))),
        None => Ok(document.plugin),
    }
}

fn usage(file: &Path, problem: &str) -> Failure {
    Failure::Usage(format!("{}: {problem}", file.display()))
}

impl Entry {
    async fn read(self, folder: &Path) -> Result<Wanted, String> {
        self.check()?;
        let file = self.plugin_file(folder)?;
        let Self { name, sha256, settings, limits, policy, canary, paused, absent, .. } = self;
        let content = match file {
            Some(file) => Some(Content::read(file, sha256.as_deref(), &name).await?),
            None => None,
        };
        let setting = |(key, value)| match setting(folder, value) {
            Ok(setting) => Ok((key, setting)),
            Err(problem) => Err(format!("settings.{key}: {problem}")),
        };
        let settings = settings.map(|settings| settings.into_iter().map(setting).collect()).transpose()?;
        let limits = limits.map(|limits| numbers(&limits)).transpose()?;
        Ok(Wanted { name, policy, content, limits, settings, canary, paused, absent })
    }

    /// The place of the plugin file.
    fn plugin_file(&self, folder: &Path) -> Result<Option<PluginFile>, String> {
        let Some(file) = &self.file else { return Ok(None) };
        match PluginFile::parse(file.clone().into())? {
            PluginFile::Local(path) => Ok(Some(PluginFile::Local(folder.join(path)))),
            // The tag of a registry may name another file tomorrow.
            PluginFile::Registry(place) if !place.is_by_digest() => {
                Err(format!("{place} may change; name the digest that `ticketing plugin publish` printed"))
            }
            file => Ok(Some(file)),
        }
    }

    /// Checks what needs no other file.
    fn check(&self) -> Result<(), String> {
        let Self { name, file, sha256, settings, limits, policy, canary, paused, absent } = self;
        let has_parts = [settings.is_some(), limits.is_some(), policy.is_some(), paused.is_some(), file.is_some()];
        let needs_file = [("sha256", sha256.is_some()), ("canary", canary.is_some())];
        let named = has_parts.contains(&true) || needs_file.iter().any(|(_, is_named)| *is_named);
        if !is_name(name) {
            return Err("no plugin can have this name; it is that of its plugin.toml".to_owned());
        }
        match (absent, named) {
            (true, true) => return Err("`absent = true` removes the plugin; remove the other keys".to_owned()),
            (false, false) => return Err("the entry says nothing; add `file = \"PATH\"` or `absent = true`".to_owned()),
            _ => {}
        }
        match needs_file.iter().find(|(_, is_named)| *is_named && file.is_none()) {
            Some((key, _)) => Err(format!("{key} needs `file = \"PATH\"`")),
            None => canary.as_ref().map_or(Ok(()), Canary::check),
        }
    }
}

impl Canary {
    fn check(&self) -> Result<(), String> {
        if !PERCENT.contains(&self.percent) {
            return Err("canary.percent must be 1 to 99; without `canary` the file gets all work".to_owned());
        }
        match self.promote_after_seconds {
            Some(seconds) if !PROMOTE_AFTER_SECONDS.contains(&seconds) => {
                Err("canary.promote_after_seconds must be 1 to 2592000".to_owned())
            }
            _ => Ok(()),
        }
    }
}

impl Content {
    async fn read(file: PluginFile, sha256: Option<&str>, name: &str) -> Result<Self, String> {
        let bytes = file.read().await.map_err(|failure| failure.to_string())?.bytes;
        let digest = hex::encode(Sha256::digest(&bytes));
        if let Some(wanted) = sha256.filter(|wanted| !wanted.eq_ignore_ascii_case(&digest)) {
            let advice = "take the file that you mean, or correct sha256";
            return Err(format!("{file} has the digest {digest}, and sha256 is {wanted}; {advice}"));
        }
        let manifest = Artifact::parse(bytes, None).ok().map(|artifact| artifact.manifest);
        if let Some(other) = manifest.as_ref().filter(|manifest| manifest.name != name) {
            return Err(format!("{file} contains the plugin {}; correct name or file", other.name));
        }
        let declared = manifest.map(|manifest| {
            manifest.config.iter().map(|(key, declaration)| (key.clone(), declaration.is_secret())).collect()
        });
        Ok(Self { file, digest, declared })
    }
}

fn setting(folder: &Path, value: toml::Value) -> Result<Setting, String> {
    if let Some(file) = file_of_secret(&value) {
        let path = folder.join(file);
        let path = path.to_str().ok_or("the path is not UTF-8")?;
        return secret_file::read(path).map(Secret::new).map(Setting::Secret);
    }
    match value {
        toml::Value::String(text) => Ok(Setting::Text(text)),
        toml::Value::Integer(number) => Ok(Setting::Text(number.to_string())),
        toml::Value::Boolean(truth) => Ok(Setting::Text(truth.to_string())),
        _ => Err("must be a text, a whole number, true, false, or { file = \"PATH\" } for a secret".to_owned()),
    }
}

/// The path in `{ file = "PATH" }`.
fn file_of_secret(value: &toml::Value) -> Option<&str> {
    value.as_table().filter(|table| table.len() == 1)?.get("file")?.as_str()
}

/// The limits that are set, by name.
fn numbers(limits: &LimitOverrides) -> Result<BTreeMap<String, u64>, String> {
    serde_json::to_value(limits).and_then(serde_json::from_value).map_err(|error| format!("limits: {error}"))
}

#[cfg(test)]
mod tests;
