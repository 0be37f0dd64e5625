//! The settings that differ.

use super::{Change, Sign, exposed};
use crate::{
    apply::{
        file::{Setting, Wanted},
        release::Release,
        state::Present,
    },
    plugin::failure::Failure,
};
use std::collections::BTreeMap;

/// The changed settings. The host takes only settings that the active revision
/// declares, so some can be set only after the release. None removes a value.
#[derive(Debug, Default)]
pub(in crate::apply) struct SettingsChange<'a> {
    pub(in crate::apply) before: BTreeMap<String, Option<&'a str>>,
    pub(in crate::apply) after: BTreeMap<String, Option<&'a str>>,
    /// Whether `before` replaces all values, because nobody can see the present ones.
    pub(in crate::apply) replaces: bool,
    pub(super) changes: Vec<Change>,
}

impl<'a> SettingsChange<'a> {
    /// Compares the settings that are named with those of the host.
    ///
    /// # Errors
    /// A setting is not declared, or a secret is named as a text or the reverse.
    pub(super) fn between(wanted: &'a Wanted, present: &Present, send_secrets: bool) -> Result<Self, Failure> {
        let mut change = Self::default();
        let Some(settings) = &wanted.settings else { return Ok(change) };
        let active = present.declared();
        let declared = match &wanted.content {
            Some(content) if present.digest() != Some(&content.digest) => content.declared.clone(),
            _ => active.clone(),
        };
        change.replaces = active.is_none();
        for (key, setting) in settings {
            check(key, setting, declared.as_ref())?;
            if change.compare(key, setting, present, send_secrets) {
                let is_known = active.as_ref().is_none_or(|active| active.contains_key(key));
                let values = if is_known { &mut change.before } else { &mut change.after };
                values.insert(key.clone(), Some(exposed(setting)));
            }
        }
        for (key, value) in present.active.iter().flat_map(|active| &active.config_set) {
            // The host ignores a value whose setting is no longer declared, and takes no change of it.
            if !settings.contains_key(key) && active.as_ref().is_some_and(|active| active.contains_key(key)) {
                change.before.insert(key.clone(), None);
                change.changes.extend(Change::of(&format!("setting {key}"), Some(value), None));
            }
        }
        Ok(change)
    }

    /// Adds the line if the values differ.
    fn compare(&mut self, key: &str, setting: &Setting, present: &Present, send_secrets: bool) -> bool {
        let line = match setting {
            Setting::Text(text) => Change::of(&format!("setting {key}"), present.set_value(key), Some(text)),
            Setting::Secret(_) if !present.is_set(key) => Some(Change::new(Sign::Added, format!("secret {key}"))),
            Setting::Secret(_) if send_secrets => Some(Change::new(Sign::Changed, format!("secret {key}"))),
            Setting::Secret(_) => None,
        };
        let differs = line.is_some();
        self.changes.extend(line);
        differs
    }

    /// Refuses a trial that needs a setting which only the new revision declares.
    pub(super) fn check(&self, release: Option<Release>) -> Result<(), Failure> {
        match (self.after.keys().next(), release) {
            (Some(key), Some(Release::Try(_))) => Err(Failure::Usage(format!(
                "the active revision declares no setting {key}, and the host sets none for a canary alone; remove `canary`, or set {key} after the trial"
            ))),
            _ => Ok(()),
        }
    }
}

fn check(key: &str, setting: &Setting, declared: Option<&BTreeMap<String, bool>>) -> Result<(), Failure> {
    let Some(declared) = declared else { return Ok(()) };
    let problem = match (declared.get(key), setting) {
        (Some(true), Setting::Text(_)) => {
            format!("{key} is a secret; write {{ file = \"PATH\" }} in place of its value")
        }
        (Some(false), Setting::Secret(_)) => format!("{key} is no secret; write its value in place of the file"),
        (None, _) => {
            let known: Vec<&str> = declared.keys().map(String::as_str).collect();
            format!("the plugin declares no setting {key}; it knows {}", known.join(", "))
        }
        _ => return Ok(()),
    };
    Err(Failure::Usage(problem))
}
