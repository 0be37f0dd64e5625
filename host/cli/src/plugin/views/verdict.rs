//! A host's verdict on a file, as people read it.

use crate::plugin::{
    failure::Failure,
    output::{joined, size},
};
use host_api::{
    policy::Excess,
    verdict::{TypeChange, Verdict},
};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display, Formatter};

/// The verdict on a file, several lines.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::plugin) struct VerdictText(pub(in crate::plugin) Verdict);

impl VerdictText {
    /// # Errors
    /// When the file is not compatible with the active revision.
    pub(in crate::plugin) fn require_compatible(&self) -> Result<(), Failure> {
        match (self.0.compatible, self.0.problems.as_slice()) {
            (true, _) => Ok(()),
            (false, []) if !self.0.beyond_policy.is_empty() => {
                let asks: Vec<String> = self.0.beyond_policy.iter().map(ToString::to_string).collect();
                Err(Failure::Incompatible(asks.join("; ")))
            }
            (false, []) => Err(Failure::Incompatible("it is not compatible with the active revision".to_owned())),
            (false, problems) => Err(Failure::Incompatible(problems.join("; "))),
        }
    }
}

impl Display for VerdictText {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let verdict = &self.0;
        let compiled = match verdict.from_cache {
            true => "compiled before".to_owned(),
            false => format!("compiled in {} ms", verdict.compile_ms),
        };
        writeln!(f, "{} {}  {}, {compiled}", verdict.plugin, verdict.revision, size(verdict.size_bytes))?;
        writeln!(f, "  imports     {}", joined(&verdict.imports))?;
        writeln!(f, "  exports     {}", joined(&verdict.exports))?;
        writeln!(f, "  wants       {}", joined(&verdict.capabilities.wanted))?;
        if !verdict.capabilities.new.is_empty() {
            writeln!(f, "  newly       {}", joined(&verdict.capabilities.new))?;
        }
        write_changes(f, "route", &verdict.routes.added, &verdict.routes.removed)?;
        let added = verdict.subscribes.added.iter().map(|subject| match verdict.from_now.contains(subject) {
            true => format!("{subject}, from the next event on"),
            false => subject.clone(),
        });
        write_changes(f, "subscribes", &added.collect::<Vec<_>>(), &verdict.subscribes.removed)?;
        write_changes(f, "publishes", &verdict.publishes.added, &verdict.publishes.removed)?;
        for change in &verdict.types {
            let TypeChange { interface, item, change, compatible } = change;
            let mark = if *compatible { "~" } else { "!" };
            writeln!(f, "{mark} {:<11} {interface} {item}: {change}", "type")?;
        }
        for change in &verdict.schemas {
            let mark = if change.compatible { "~" } else { "!" };
            writeln!(f, "{mark} {:<11} {change}", "event")?;
        }
        for migration in &verdict.migrations {
            let state = match (migration.applied, migration.compatible) {
                (true, true) => "applied".to_owned(),
                (false, true) => "to be applied".to_owned(),
                (_, false) => migration.problem.clone().unwrap_or_else(|| "not compatible".to_owned()),
            };
            let mark = if migration.compatible { " " } else { "!" };
            writeln!(f, "{mark} {:<11} {}: {state}", "migration", migration.name)?;
        }
        for Excess { asks, command } in &verdict.beyond_policy {
            writeln!(f, "! {:<11} it {asks}; an administrator can allow it: {command}", "policy")?;
        }
        for problem in &verdict.problems {
            writeln!(f, "! {problem}")?;
        }
        match (verdict.compatible, &verdict.against) {
            (true, Some(active)) => write!(f, "compatible with {active}"),
            // There is no active revision to compare it with.
            (true, None) => write!(f, "a host can run it"),
            (false, _) if verdict.migrations.iter().any(|migration| migration.applied && !migration.compatible) => {
                write!(f, "not compatible, and not to be forced: its migrations are not those that were applied")
            }
            (false, _) if !verdict.beyond_policy.is_empty() => {
                write!(f, "refused, and not to be forced: it asks for more than its policy allows")
            }
            (false, _) => write!(f, "not compatible; it can be activated with --force alone"),
        }
    }
}

fn write_changes<T: Display>(f: &mut Formatter<'_>, kind: &str, added: &[T], removed: &[T]) -> fmt::Result {
    for added in added {
        writeln!(f, "+ {kind:<11} {added}")?;
    }
    for removed in removed {
        writeln!(f, "- {kind:<11} {removed}")?;
    }
    Ok(())
}
