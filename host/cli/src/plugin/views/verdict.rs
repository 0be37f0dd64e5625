//! What a host says of an upload.

use crate::plugin::{
    failure::Failure,
    output::{joined, size},
};
use serde::Deserialize;
use std::fmt::{self, Display, Formatter};

/// What a plugin is and what would change with it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::plugin) struct Verdict {
    pub(in crate::plugin) plugin: String,
    pub(in crate::plugin) revision: String,
    against: Option<String>,
    size_bytes: u64,
    compile_ms: f64,
    from_cache: bool,
    imports: Vec<String>,
    exports: Vec<String>,
    capabilities: Capabilities,
    routes: Changes<Route>,
    subscribes: Changes<String>,
    publishes: Changes<String>,
    types: Vec<TypeChange>,
    migrations: Vec<Migration>,
    compatible: bool,
    pub(in crate::plugin) problems: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Capabilities {
    wanted: Vec<String>,
    new: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Changes<T> {
    #[serde(default = "Vec::new")]
    added: Vec<T>,
    #[serde(default = "Vec::new")]
    removed: Vec<T>,
}

impl<T> Default for Changes<T> {
    fn default() -> Self {
        Self { added: Vec::new(), removed: Vec::new() }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Route {
    method: String,
    path: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TypeChange {
    interface: String,
    item: String,
    change: String,
    compatible: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Migration {
    name: String,
    applied: bool,
    compatible: bool,
    problem: Option<String>,
}

impl Verdict {
    /// # Errors
    /// When it does not fit what is active.
    pub(in crate::plugin) fn fits(&self) -> Result<(), Failure> {
        match (self.compatible, self.problems.as_slice()) {
            (true, _) => Ok(()),
            (false, []) => Err(Failure::Incompatible("it does not fit what is active".to_owned())),
            (false, problems) => Err(Failure::Incompatible(problems.join("; "))),
        }
    }
}

impl Display for Route {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let compiled = match self.from_cache {
            true => "compiled before".to_owned(),
            false => format!("compiled in {:.0} ms", self.compile_ms),
        };
        writeln!(f, "{} {}  {}, {compiled}", self.plugin, self.revision, size(self.size_bytes))?;
        writeln!(f, "  imports     {}", joined(&self.imports))?;
        writeln!(f, "  exports     {}", joined(&self.exports))?;
        writeln!(f, "  wants       {}", joined(&self.capabilities.wanted))?;
        if !self.capabilities.new.is_empty() {
            writeln!(f, "  newly       {}", joined(&self.capabilities.new))?;
        }
        changes(f, "route", &self.routes)?;
        changes(f, "subscribes", &self.subscribes)?;
        changes(f, "publishes", &self.publishes)?;
        for change in &self.types {
            let TypeChange { interface, item, change, compatible } = change;
            let mark = if *compatible { "~" } else { "!" };
            writeln!(f, "{mark} {:<11} {interface} {item}: {change}", "type")?;
        }
        for migration in &self.migrations {
            let state = match (migration.applied, migration.compatible) {
                (true, true) => "applied".to_owned(),
                (false, true) => "to be applied".to_owned(),
                (_, false) => migration.problem.clone().unwrap_or_else(|| "not compatible".to_owned()),
            };
            let mark = if migration.compatible { " " } else { "!" };
            writeln!(f, "{mark} {:<11} {}: {state}", "migration", migration.name)?;
        }
        for problem in &self.problems {
            writeln!(f, "! {problem}")?;
        }
        match (self.compatible, &self.against) {
            (true, Some(active)) => write!(f, "compatible with {active}"),
            // There is nothing that it would have to fit.
            (true, None) => write!(f, "a host can run it"),
            (false, _) if self.migrations.iter().any(|migration| migration.applied && !migration.compatible) => {
                write!(f, "not compatible, and not to be forced: its migrations are not those that were applied")
            }
            (false, _) => write!(f, "not compatible; it can be activated with --force alone"),
        }
    }
}

fn changes<T: Display>(f: &mut Formatter<'_>, what: &str, changes: &Changes<T>) -> fmt::Result {
    for added in &changes.added {
        writeln!(f, "+ {what:<11} {added}")?;
    }
    for removed in &changes.removed {
        writeln!(f, "- {what:<11} {removed}")?;
    }
    Ok(())
}
