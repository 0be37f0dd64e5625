//! What a plugin's file would change, before anything of it runs: the verdict
//! that an upload is answered with, and that a check on an author's machine
//! gives too.
//!
//! Everything here is a function of its arguments. [`Interfaces`] are read
//! from a component and compared by `types`; `migrations` are compared
//! with what the revision that serves can live with.

mod interfaces;
mod migrations;
mod render;
mod types;

pub use interfaces::{Interfaces, InterfacesError};

use crate::manifest::Manifest;
use crate::permissions;
use host_sql::{Applied, Migration};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt};
use utoipa::ToSchema;

/// What a file is, and what it would change if it were activated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Verdict {
    /// The plugin's name.
    pub plugin: String,
    /// The version that its manifest says.
    pub version: String,
    /// What identifies the revision within the plugin.
    pub revision: String,
    /// The active revision, with which it was compared; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<String>,
    /// SHA-256 of the file, hexadecimal.
    pub digest: String,
    /// The file's size.
    pub size_bytes: usize,
    /// How long compiling took, or reading what was compiled before.
    pub compile_ms: u64,
    /// Whether it had been compiled before.
    pub from_cache: bool,
    /// What the component imports.
    pub imports: Vec<String>,
    /// What the component exports.
    pub exports: Vec<String>,
    /// What its imports let it do.
    pub capabilities: Capabilities,
    /// What it answers and the active revision does not, and the other way
    /// round.
    pub routes: RouteChanges,
    /// Subjects that it receives.
    pub subscribes: SubjectChanges,
    /// Subjects that it publishes.
    pub publishes: SubjectChanges,
    /// Differences between its interfaces and those of the active revision.
    pub types: Vec<TypeChange>,
    /// Its migrations, in the order in which they run.
    pub migrations: Vec<MigrationView>,
    /// Whether there is no problem.
    pub compatible: bool,
    /// Why it is not activated unless that is forced.
    pub problems: Vec<String>,
}

/// What the imports of a component let it do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Capabilities {
    /// The grants that it takes.
    pub wanted: Vec<String>,
    /// Those among them that the active revision does not take.
    pub new: Vec<String>,
}

/// Routes that differ from those of the active revision.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RouteChanges {
    /// Answered by the new revision only.
    pub added: Vec<RouteView>,
    /// Answered by the active revision only.
    pub removed: Vec<RouteView>,
}

/// A method on a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct RouteView {
    /// In upper case.
    pub method: String,
    /// The pattern, such as `/api/things/{id}`.
    pub path: String,
}

/// Subjects that differ from those of the active revision.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubjectChanges {
    /// Of the new revision only.
    pub added: Vec<String>,
    /// Of the active revision only.
    pub removed: Vec<String>,
}

/// One difference between two interfaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TypeChange {
    /// Such as `platform:http/types@1.0.0`.
    pub interface: String,
    /// Such as `record principal`, `func handle` or `interface`.
    pub item: String,
    /// Such as `field age: u32 is now string`.
    pub change: String,
    /// Whether what was compiled against the other interface goes on.
    pub compatible: bool,
}

/// One migration of the new revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MigrationView {
    /// The file's name.
    pub name: String,
    /// Whether the database has it already.
    pub applied: bool,
    /// Whether it is what was applied, or the active revision can live with
    /// it.
    pub compatible: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A revision, as far as it is compared.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// What it says of itself.
    pub manifest: &'a Manifest,
    /// What its component imports and exports.
    pub interfaces: &'a Interfaces,
}

/// What a new revision would come into.
#[derive(Clone, Copy, Default)]
pub struct Surroundings<'a> {
    /// The revision of the same plugin that serves now.
    pub active: Option<Subject<'a>>,
    /// What identifies it.
    pub active_revision: Option<&'a str>,
    /// What is active of other plugins.
    pub others: &'a [&'a Manifest],
    /// The migrations that the plugin's database has had, whichever revision
    /// brought them.
    pub applied: &'a [Applied],
}

/// What was measured of a new revision.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// What identifies it within the plugin.
    pub revision: String,
    /// SHA-256 of the file, hexadecimal.
    pub digest: String,
    /// The file's size.
    pub size_bytes: usize,
    /// How long compiling took.
    pub compile_ms: u64,
    /// Whether it had been compiled before.
    pub from_cache: bool,
}

impl MigrationView {
    /// Its problem, for the list of all.
    fn told(&self) -> Option<String> {
        let (name, problem) = (&self.name, self.problem.as_ref()?);
        Some(match self.applied {
            true => format!("migration {name}: {problem}"),
            false => format!("migration {name}: the active revision cannot live with it: {problem}"),
        })
    }
}

impl fmt::Display for TypeChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, {}: {}", self.interface, self.item, self.change)
    }
}

/// Compares a new revision with what it would come into.
pub fn compare(
    new: Subject<'_>,
    migrations: &[Migration],
    surroundings: Surroundings<'_>,
    measured: Measured,
) -> Verdict {
    let active = surroundings.active;
    let (added, removed) = changes(routes(new.manifest), active.map(|active| routes(active.manifest)));
    let subscribes =
        subjects(&new.manifest.messaging.subscribes, active.map(|active| &active.manifest.messaging.subscribes));
    let publishes =
        subjects(&new.manifest.messaging.publishes, active.map(|active| &active.manifest.messaging.publishes));
    let types = active.map_or_else(Vec::new, |active| new.interfaces.against(active.interfaces));
    let migrations = migrations::judge(migrations, surroundings.applied, active.is_some());

    let others = surroundings.others.iter().filter(|other| other.name != new.manifest.name).copied();
    let mut problems = subjects_without_source(&publishes.removed, others);
    problems.extend(types.iter().filter(|change| !change.compatible).map(ToString::to_string));
    problems.extend(migrations.iter().filter_map(MigrationView::told));
    Verdict {
        plugin: new.manifest.name.clone(),
        version: new.manifest.version.to_string(),
        revision: measured.revision,
        against: active.and(surroundings.active_revision).map(str::to_owned),
        digest: measured.digest,
        size_bytes: measured.size_bytes,
        compile_ms: measured.compile_ms,
        from_cache: measured.from_cache,
        imports: new.interfaces.imports(),
        exports: new.interfaces.exports(),
        capabilities: capabilities(new.interfaces, active.map(|active| active.interfaces)),
        routes: RouteChanges { added, removed },
        subscribes,
        publishes,
        types,
        migrations,
        compatible: problems.is_empty(),
        problems,
    }
}

/// What is wrong with publishing these subjects no more: each that somebody
/// subscribes to and that nobody else publishes.
pub fn subjects_without_source<'a>(
    removed: &[String],
    others: impl Iterator<Item = &'a Manifest> + Clone,
) -> Vec<String> {
    let lost = removed.iter().filter_map(|subject| {
        let consumers: Vec<_> = others
            .clone()
            .filter(|other| other.messaging.subscribes.contains(subject))
            .map(|other| other.name.as_str())
            .collect();
        let published = others.clone().any(|other| other.messaging.publishes.contains(subject));
        (!consumers.is_empty() && !published).then(|| {
            format!(
                "the subject {subject} would not be published any more, and is subscribed to by {}",
                consumers.join(", ")
            )
        })
    });
    lost.collect()
}

fn capabilities(new: &Interfaces, active: Option<&Interfaces>) -> Capabilities {
    let wanted_by = |interfaces: &Interfaces| -> BTreeSet<String> {
        let grants = interfaces.imports();
        grants.iter().filter_map(|import| permissions::capability_of(import)).map(permissions::grant_name).collect()
    };
    let wanted = wanted_by(new);
    let before = active.map(wanted_by).unwrap_or_default();
    Capabilities { new: wanted.difference(&before).cloned().collect(), wanted: wanted.into_iter().collect() }
}

fn routes(manifest: &Manifest) -> BTreeSet<RouteView> {
    let of_one = |route: &crate::manifest::Route| {
        let path = route.path.clone();
        route.methods.clone().into_iter().map(move |method| RouteView { method, path: path.clone() })
    };
    manifest.routes.iter().flat_map(of_one).collect()
}

fn subjects(new: &BTreeSet<String>, active: Option<&BTreeSet<String>>) -> SubjectChanges {
    let (added, removed) = changes(new.clone(), active.cloned());
    SubjectChanges { added, removed }
}

fn changes<T: Ord + Clone>(new: BTreeSet<T>, active: Option<BTreeSet<T>>) -> (Vec<T>, Vec<T>) {
    let active = active.unwrap_or_default();
    (new.difference(&active).cloned().collect(), active.difference(&new).cloned().collect())
}

#[cfg(test)]
mod tests;
