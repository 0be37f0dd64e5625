//! The difference between a plugin as it shall be and as it is: pure functions.

use super::{
    file::{Setting, Wanted},
    release::{Release, release},
    state::Present,
};
use crate::plugin::failure::Failure;
use host_api::{plugins::PluginStatus, policy::Policy};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

mod settings;

pub(super) use settings::SettingsChange;

/// The characters of a digest that a line shows.
const SHOWN_DIGEST: usize = 12;

/// One line of the difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Change {
    pub(super) change: Sign,
    pub(super) what: String,
}

/// The kind of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Sign {
    #[serde(rename = "+")]
    Added,
    #[serde(rename = "-")]
    Removed,
    #[serde(rename = "~")]
    Changed,
}

/// All that differs for one plugin. Without a line there is nothing to do.
#[derive(Debug, Default)]
pub(super) struct Difference<'a> {
    pub(super) changes: Vec<Change>,
    pub(super) policy: Option<Map<String, Value>>,
    /// All limits from now on.
    pub(super) limits: Option<&'a BTreeMap<String, u64>>,
    pub(super) settings: SettingsChange<'a>,
    pub(super) release: Option<Release>,
    /// Whether it is paused in the end.
    pub(super) paused: bool,
    pub(super) removed: bool,
}

impl Change {
    pub(super) fn new(change: Sign, what: String) -> Self {
        Self { change, what }
    }

    /// The line for a value that was there before, or is there from now on, or both.
    fn of(what: &str, before: Option<&str>, after: Option<&str>) -> Option<Self> {
        match (before, after) {
            (Some(before), Some(after)) if before == after => None,
            (Some(before), Some(after)) => Some(Self::new(Sign::Changed, format!("{what} = {before} -> {after}"))),
            (Some(before), None) => Some(Self::new(Sign::Removed, format!("{what} = {before}"))),
            (None, Some(after)) => Some(Self::new(Sign::Added, format!("{what} = {after}"))),
            (None, None) => None,
        }
    }
}

impl Sign {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Added => "+",
            Self::Removed => "-",
            Self::Changed => "~",
        }
    }
}

impl<'a> Difference<'a> {
    /// Compares both.
    ///
    /// # Errors
    /// The entry cannot be applied to this host.
    pub(super) fn between(wanted: &'a Wanted, present: &Present, send_secrets: bool) -> Result<Self, Failure> {
        if wanted.absent {
            return Ok(Self::removal(present));
        }
        if present.active.is_none() && wanted.content.is_none() {
            return Self::of_policy_alone(wanted, present);
        }
        let mut difference = Self::default();
        difference.compare_policy(wanted, present)?;
        difference.compare_limits(wanted, present);
        difference.settings = SettingsChange::between(wanted, present, send_secrets)?;
        let (release, changes) = release(wanted, present, difference.swaps_before(present));
        difference.release = release;
        difference.settings.check(release)?;
        difference.changes.splice(0..0, changes);
        difference.changes.append(&mut difference.settings.changes);
        difference.compare_standing(wanted, present);
        if present.is(PluginStatus::Starting) && !difference.changes.is_empty() {
            return Err(Failure::Failed("the host still loads the plugin; try again in a moment".to_owned()));
        }
        Ok(difference)
    }

    fn removal(present: &Present) -> Self {
        let Some(digest) = present.digest() else { return Self::default() };
        let text = format!("plugin with revision {}; its database and revisions stay", short(digest));
        Self { changes: vec![Change::new(Sign::Removed, text)], removed: true, ..Self::default() }
    }

    /// A plugin can have a policy before its first upload, and nothing else.
    fn of_policy_alone(wanted: &Wanted, present: &Present) -> Result<Self, Failure> {
        if wanted.limits.is_some() || wanted.settings.is_some() || wanted.paused.is_some() {
            return Err(Failure::Usage("it is not active; add `file = \"PATH\"` to its entry".to_owned()));
        }
        let mut difference = Self::default();
        difference.compare_policy(wanted, present)?;
        Ok(difference)
    }

    /// Whether new limits or settings are swapped in before the release.
    fn swaps_before(&self, present: &Present) -> bool {
        present.active.is_some() && (self.limits.is_some() || !self.settings.before.is_empty())
    }

    /// Whether one of the steps ends a pause.
    pub(super) fn ends_pause(&self, present: &Present) -> bool {
        self.swaps_before(present) || self.release == Some(Release::Activate) || !self.settings.after.is_empty()
    }

    fn compare_policy(&mut self, wanted: &Wanted, present: &Present) -> Result<(), Failure> {
        let Some(policy) = &wanted.policy else { return Ok(()) };
        let (before, after) = (with_defaults(&present.policy.policy)?, merged(&present.policy.policy, policy)?);
        let fields: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let changes = fields.into_iter().flat_map(|field| policy_changes(field, before.get(field), after.get(field)));
        let changes: Vec<Change> = changes.collect();
        if !changes.is_empty() {
            self.policy = Some(after);
            self.changes.extend(changes);
        }
        Ok(())
    }

    fn compare_limits(&mut self, wanted: &'a Wanted, present: &Present) {
        let Some(limits) = &wanted.limits else { return };
        let none = BTreeMap::new();
        let before = present.active.as_ref().map_or(&none, |active| &active.limits);
        let texts = |limits: &BTreeMap<String, u64>| -> BTreeMap<String, String> {
            limits.iter().map(|(key, value)| (key.clone(), value.to_string())).collect()
        };
        self.changes.extend(table_changes("limit", &texts(before), &texts(limits)));
        // Nobody can see what the host keeps for a plugin that is not active.
        if limits != before || present.active.is_none() {
            self.limits = Some(limits);
        }
    }

    fn compare_standing(&mut self, wanted: &Wanted, present: &Present) {
        let is_paused = present.is(PluginStatus::Paused);
        self.paused = wanted.paused.unwrap_or(is_paused);
        match (is_paused, self.paused) {
            (false, true) => self.changes.push(Change::new(Sign::Changed, "paused".to_owned())),
            (true, false) => self.changes.push(Change::new(Sign::Changed, "serves again after its pause".to_owned())),
            _ => {}
        }
    }
}

/// A policy with the default for each field that a host leaves out.
fn with_defaults(policy: &Map<String, Value>) -> Result<Map<String, Value>, Failure> {
    let mut all = fields(&Policy::default())?;
    all.extend(policy.clone());
    Ok(all)
}

/// The wanted policy. Fields that only a newer host knows stay as they are.
fn merged(present: &Map<String, Value>, wanted: &Policy) -> Result<Map<String, Value>, Failure> {
    let mut merged = present.clone();
    // The type leaves this field out if it is empty.
    merged.remove("lowest_version");
    merged.extend(fields(wanted)?);
    Ok(merged)
}

fn fields(policy: &Policy) -> Result<Map<String, Value>, Failure> {
    match serde_json::to_value(policy) {
        Ok(Value::Object(fields)) => Ok(fields),
        _ => Err(Failure::Failed("the policy cannot be written as JSON".to_owned())),
    }
}

/// One line for each entry of a list or a table, and for each other value.
fn policy_changes(field: &str, before: Option<&Value>, after: Option<&Value>) -> Vec<Change> {
    let what = format!("policy {field}");
    match (before, after) {
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            let lacks = |list: &[Value], sign, other: &[Value]| -> Vec<Change> {
                let lacking = list.iter().filter(|entry| !other.contains(entry));
                lacking.map(|entry| Change::new(sign, format!("{what} {}", text(entry)))).collect()
            };
            [lacks(before, Sign::Removed, after), lacks(after, Sign::Added, before)].concat()
        }
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let texts = |table: &Map<String, Value>| -> BTreeMap<String, String> {
                table.iter().map(|(key, value)| (key.clone(), text(value))).collect()
            };
            table_changes(&what, &texts(before), &texts(after))
        }
        (before, after) => {
            Change::of(&what, before.map(text).as_deref(), after.map(text).as_deref()).into_iter().collect()
        }
    }
}

/// One line for each key whose values differ.
fn table_changes(what: &str, before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<Change> {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let value = |table: &'_ BTreeMap<String, String>, key: &String| table.get(key).cloned();
    let change = |key: &String| {
        Change::of(&format!("{what} {key}"), value(before, key).as_deref(), value(after, key).as_deref())
    };
    keys.into_iter().filter_map(change).collect()
}

/// A value without the quotes of JSON.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The beginning of a digest.
pub(super) fn short(digest: &str) -> &str {
    digest.get(..SHOWN_DIGEST).unwrap_or(digest)
}

/// The text that a request has for a setting.
pub(super) fn exposed(setting: &Setting) -> &str {
    match setting {
        Setting::Text(text) => text,
        Setting::Secret(secret) => secret.expose(),
    }
}

#[cfg(test)]
mod tests;
