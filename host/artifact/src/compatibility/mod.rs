//! Compares a plugin file with the active revision before any of its code runs.
//! The result is the verdict that an upload returns, and that `ticketing plugin
//! check` prints on the machine of an author.
//!
//! The functions of this module depend only on their arguments. `interfaces` reads
//! the interfaces of a component, `type_comparer` compares them, `schemas` compares
//! the schemas of events, and `migrations` judges whether the active revision works
//! with a migration.

mod baseline;
mod describe;
mod handlers;
mod interfaces;
mod members;
mod migrations;
mod schemas;
mod type_comparer;

pub use interfaces::{Interfaces, InterfacesError};

use crate::{
    EventSchemas,
    manifest::{Manifest, Route, takes_keys},
    permissions::{Offers, grant_name},
};
use host_api::verdict::{Capabilities, Endpoint, MigrationView, RouteChanges, SchemaChange, SubjectChanges, Verdict};
use host_sql::{Applied, Migration};
use std::collections::BTreeSet;

/// The compared parts of a revision.
#[derive(Clone, Copy)]
pub struct ComparedRevision<'a> {
    /// The manifest.
    pub manifest: &'a Manifest,
    /// The imports and exports of the component.
    pub interfaces: &'a Interfaces,
    /// The schemas of the events that it publishes.
    pub events: &'a EventSchemas,
}

/// The state of the host that a new revision is compared with.
#[derive(Clone, Copy, Default)]
pub struct HostContext<'a> {
    /// The interfaces that the host offers, with the grants that they need.
    pub offers: Offers,
    /// The active revision of the same plugin.
    pub active: Option<ComparedRevision<'a>>,
    /// The identifier of the active revision.
    pub active_revision: Option<&'a str>,
    /// The manifests of the active revisions of all plugins.
    pub others: &'a [&'a Manifest],
    /// The migrations that are applied to the database of the plugin, from any
    /// revision.
    pub applied: &'a [Applied],
}

/// Facts about the new revision that are not in its file.
#[derive(Debug, Clone, Default)]
pub struct RevisionInfo {
    /// The identifier of the revision.
    pub revision: String,
    /// SHA-256 of the file, in hexadecimal.
    pub digest: String,
    /// The size of the file.
    pub size_bytes: usize,
    /// How long it took to compile the component.
    pub compile_ms: u64,
    /// Whether the compiled component was in the cache.
    pub from_cache: bool,
}

/// Compares a new revision with the state of the host.
pub fn compare(
    new: ComparedRevision<'_>,
    migrations: &[Migration],
    host: HostContext<'_>,
    info: RevisionInfo,
) -> Verdict {
    let active = host.active;
    let (added, removed) = changes(routes(new.manifest), active.map(|active| routes(active.manifest)));
    let subscribes =
        subjects(&new.manifest.messaging.subscribes, active.map(|active| &active.manifest.messaging.subscribes));
    let is_from_now = |subject: &&String| new.manifest.messaging.from_now.contains(*subject);
    let from_now = subscribes.added.iter().filter(is_from_now).cloned().collect();
    let publishes =
        subjects(&new.manifest.messaging.publishes, active.map(|active| &active.manifest.messaging.publishes));
    let types = active.map_or_else(Vec::new, |active| new.interfaces.against(active.interfaces));
    let schemas = active.map_or_else(Vec::new, |active| schemas::compare(new, active));
    let migrations = migrations::judge(migrations, host.applied, active.is_some());

    let others = host.others.iter().filter(|other| other.name != new.manifest.name).copied();
    let mut problems = subjects_without_source(&publishes.removed, others);
    problems.extend(active.iter().flat_map(|active| routes_without_keys(new.manifest, active.manifest)));
    problems.extend(types.iter().filter(|change| !change.compatible).map(ToString::to_string));
    problems.extend(schemas.iter().filter(|change| !change.compatible).map(schema_line));
    problems.extend(migrations.iter().filter_map(problem_line));
    Verdict {
        plugin: new.manifest.name.clone(),
        version: new.manifest.version.to_string(),
        revision: info.revision,
        against: active.and(host.active_revision).map(str::to_owned),
        digest: info.digest,
        size_bytes: info.size_bytes,
        compile_ms: info.compile_ms,
        from_cache: info.from_cache,
        imports: new.interfaces.imports(),
        exports: new.interfaces.exports(),
        capabilities: capabilities(host.offers, new.interfaces, active.map(|active| active.interfaces)),
        routes: RouteChanges { added, removed },
        subscribes,
        from_now,
        publishes,
        types,
        schemas,
        migrations,
        beyond_policy: Vec::new(),
        compatible: problems.is_empty(),
        problems,
    }
}

/// Lists a problem for each removed subject that another plugin subscribes to and
/// no other plugin publishes.
pub fn subjects_without_source<'a>(
    removed: &[String],
    others: impl Iterator<Item = &'a Manifest> + Clone,
) -> Vec<String> {
    let problems = removed.iter().filter_map(|subject| {
        let consumers: Vec<_> = others
            .clone()
            .filter(|other| other.messaging.subscribes.contains(subject))
            .map(|other| other.name.as_str())
            .collect();
        let published = others.clone().any(|other| other.messaging.publishes.contains(subject));
        (!consumers.is_empty() && !published).then(|| {
            format!(
                "no plugin would publish the subject {subject} any more, but these plugins subscribe to it: {}",
                consumers.join(", ")
            )
        })
    });
    problems.collect()
}

/// Lists a problem for each endpoint that took an `Idempotency-Key` and would ignore
/// it. Clients that repeat their requests would make things twice.
fn routes_without_keys(new: &Manifest, active: &Manifest) -> Vec<String> {
    let lost = keyed_endpoints(active)
        .into_iter()
        .filter(|endpoint| routes(new).contains(endpoint) && !keyed_endpoints(new).contains(endpoint));
    lost.map(|endpoint| format!("{endpoint} would ignore the Idempotency-Key of its requests")).collect()
}

fn keyed_endpoints(manifest: &Manifest) -> BTreeSet<Endpoint> {
    let keyed = Manifest {
        routes: manifest.routes.iter().filter(|route| route.idempotent).cloned().collect(),
        ..manifest.clone()
    };
    routes(&keyed).into_iter().filter(|endpoint| takes_keys(&endpoint.method)).collect()
}

/// A change of a schema, for the list of all problems.
fn schema_line(change: &SchemaChange) -> String {
    format!("the subscribers of an event may miss something: {change}")
}

/// A migration's problem, for the list of all problems.
fn problem_line(migration: &MigrationView) -> Option<String> {
    let (name, problem) = (&migration.name, migration.problem.as_ref()?);
    Some(match migration.applied {
        true => format!("migration {name}: {problem}"),
        false => format!("migration {name}: the active revision does not work with it: {problem}"),
    })
}

fn capabilities(offers: Offers, new: &Interfaces, active: Option<&Interfaces>) -> Capabilities {
    let wanted_by = |interfaces: &Interfaces| -> BTreeSet<String> {
        interfaces.imports().iter().filter_map(|import| offers.grant_of(import)).map(grant_name).collect()
    };
    let wanted = wanted_by(new);
    let before = active.map(wanted_by).unwrap_or_default();
    Capabilities { new: wanted.difference(&before).cloned().collect(), wanted: wanted.into_iter().collect() }
}

fn routes(manifest: &Manifest) -> BTreeSet<Endpoint> {
    let of_one = |route: &Route| {
        let (path, private) = (route.path.clone(), !route.visibility.is_public());
        route.methods.clone().into_iter().map(move |method| Endpoint { method, path: path.clone(), private })
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
