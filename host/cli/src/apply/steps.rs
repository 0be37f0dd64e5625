//! The steps that remove a difference, in their order.

use super::{difference::Difference, file::Canary, file::Wanted, release::Release, state::Present};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Changed settings. None removes a value.
pub(super) type Values<'a> = &'a BTreeMap<String, Option<&'a str>>;

/// One step. It is one request, or two.
#[derive(Debug, PartialEq)]
pub(super) enum Step<'a> {
    /// Sets the policy in place of this version.
    Policy {
        replaces: u64,
        policy: &'a Map<String, Value>,
    },
    /// Uploads the file. A verdict with problems ends the steps.
    Upload,
    /// Compares a revision that the host has. A verdict with problems ends the steps.
    Judge(String),
    /// Replaces the limits.
    Limits(&'a BTreeMap<String, u64>),
    /// Replaces all settings but secrets.
    AllSettings(Values<'a>),
    /// Changes some settings.
    Settings(Values<'a>),
    /// Activates the revision of `Upload` or `Judge`.
    Activate(Option<Canary>),
    /// Gives the canary all work.
    Promote,
    /// Ends the canary.
    EndCanary,
    Pause,
    Resume,
    Remove,
}

/// The steps in their order. A policy comes first, because an upload may need it. The
/// plugin serves with its new limits and settings before its new revision does.
pub(super) fn steps<'a>(wanted: &Wanted, present: &Present, difference: &'a Difference<'_>) -> Vec<Step<'a>> {
    let Difference { policy, limits, settings, release, removed, .. } = difference;
    let mut steps = Vec::new();
    if difference.changes.is_empty() {
        return steps;
    }
    steps.extend(policy.as_ref().map(|policy| Step::Policy { replaces: present.policy.version, policy }));
    let content = wanted.content.as_ref().filter(|_| matches!(release, Some(Release::Activate | Release::Try(_))));
    steps.extend(content.map(|content| match present.revision_of(&content.digest) {
        Some(revision) => Step::Judge(revision.to_owned()),
        None => Step::Upload,
    }));
    steps.extend(limits.map(Step::Limits));
    match settings.replaces {
        true => steps.push(Step::AllSettings(&settings.before)),
        false if !settings.before.is_empty() => steps.push(Step::Settings(&settings.before)),
        false => {}
    }
    steps.extend(release.map(|release| match release {
        Release::Activate => Step::Activate(None),
        Release::Try(canary) => Step::Activate(Some(canary)),
        Release::Promote => Step::Promote,
        Release::EndCanary => Step::EndCanary,
    }));
    if !settings.after.is_empty() {
        steps.push(Step::Settings(&settings.after));
    }
    steps.extend(if *removed { Some(Step::Remove) } else { standing(present, difference) });
    steps
}

/// An activation and a swap of settings end a pause.
fn standing<'a>(present: &Present, difference: &Difference<'_>) -> Option<Step<'a>> {
    let was_paused = present.is(host_api::plugins::PluginStatus::Paused);
    let is_paused = was_paused && !difference.ends_pause(present);
    match (is_paused, difference.paused) {
        (false, true) => Some(Step::Pause),
        (true, false) => Some(Step::Resume),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
