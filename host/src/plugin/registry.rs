//! Which revisions are active: one immutable [`Snapshot`] behind an atomic
//! pointer. A request, an event or a timer takes the pointer once and sees one
//! state of the host from its beginning to its end; readers never lock.

use super::revision::Revision;
use crate::trigger::{Handler, Handlers, red::RedMetrics};
use arc_swap::{ArcSwap, Guard};
use std::{collections::BTreeMap, sync::Arc};

/// Holds the current snapshot.
#[derive(Default)]
pub struct Registry {
    current: ArcSwap<Snapshot>,
}

/// Everything that decides where work goes.
#[derive(Default)]
pub struct Snapshot {
    plugins: BTreeMap<String, Arc<Revision>>,
    routes: matchit::Router<RouteEntry>,
}

/// One pattern and who answers which method on it.
struct RouteEntry {
    pattern: String,
    endpoints: Vec<Endpoint>,
}

/// A method on a route.
pub struct Endpoint {
    method: String,
    /// Who answers it.
    pub revision: Arc<Revision>,
    /// What is counted of it.
    pub metrics: RedMetrics,
}

/// Where a request goes.
pub struct Target<'a> {
    /// Who answers it.
    pub endpoint: &'a Endpoint,
    /// The pattern that matched, as the manifest has it.
    pub pattern: &'a str,
    /// The segments that the pattern names, as they were sent.
    pub params: matchit::Params<'a, 'a>,
}

/// Why a set of revisions cannot be active together.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Two plugins answer the same method on the same path.
    #[error("the route {method} {path} of {plugin} belongs to {owner} already")]
    Owned {
        /// The method.
        method: String,
        /// The pattern.
        path: String,
        /// Who wants it.
        plugin: String,
        /// Who has it.
        owner: String,
    },
    /// The pattern cannot be told from another one.
    #[error("the route {path} of {plugin} cannot be added: {reason}")]
    Pattern {
        /// The pattern.
        path: String,
        /// Whose it is.
        plugin: String,
        /// The router's words.
        reason: String,
    },
}

impl Registry {
    /// The state of this moment.
    pub fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.current.load()
    }

    /// Makes another state the current one, at once and for all that begins
    /// from now on.
    pub fn replace(&self, snapshot: Snapshot) {
        self.current.store(Arc::new(snapshot));
    }
}

impl Handlers for Registry {
    fn current(&self, component: &str) -> Option<Arc<dyn Handler>> {
        let revision = self.snapshot().plugin(component)?.clone();
        Some(revision)
    }
}

impl Snapshot {
    /// Builds the state in which these revisions are active.
    ///
    /// # Errors
    /// When two of them want the same route.
    pub fn new(revisions: impl IntoIterator<Item = Arc<Revision>>) -> Result<Self, SnapshotError> {
        let plugins: BTreeMap<_, _> =
            revisions.into_iter().map(|revision| (revision.name().to_owned(), revision)).collect();
        let mut entries: BTreeMap<String, RouteEntry> = BTreeMap::new();
        for revision in plugins.values() {
            for route in &revision.manifest.routes {
                let entry = entries
                    .entry(route.path.clone())
                    .or_insert_with(|| RouteEntry { pattern: route.path.clone(), endpoints: Vec::new() });
                for method in &route.methods {
                    entry.add(method, revision)?;
                }
            }
        }
        let mut routes = matchit::Router::new();
        for (path, entry) in entries {
            let plugin =
                entry.endpoints.first().map(|endpoint| endpoint.revision.name().to_owned()).unwrap_or_default();
            routes.insert(path.clone(), entry).map_err(|error| SnapshotError::Pattern {
                path,
                plugin,
                reason: error.to_string(),
            })?;
        }
        Ok(Self { plugins, routes })
    }

    /// Who answers this method on this path; none if nobody does.
    pub fn route<'a>(&'a self, method: &str, path: &'a str) -> Option<Target<'a>> {
        let found = self.routes.at(path).ok()?;
        let endpoint = found.value.endpoints.iter().find(|endpoint| endpoint.method == method)?;
        Some(Target { endpoint, pattern: &found.value.pattern, params: found.params })
    }

    /// The active revision of a plugin.
    pub fn plugin(&self, name: &str) -> Option<&Arc<Revision>> {
        self.plugins.get(name)
    }

    /// All active revisions, by name.
    pub fn plugins(&self) -> impl Iterator<Item = &Arc<Revision>> {
        self.plugins.values()
    }
}

impl RouteEntry {
    fn add(&mut self, method: &str, revision: &Arc<Revision>) -> Result<(), SnapshotError> {
        if let Some(owner) = self.endpoints.iter().find(|endpoint| endpoint.method == method) {
            return Err(SnapshotError::Owned {
                method: method.to_owned(),
                path: self.pattern.clone(),
                plugin: revision.name().to_owned(),
                owner: owner.revision.name().to_owned(),
            });
        }
        self.endpoints.push(Endpoint {
            method: method.to_owned(),
            metrics: RedMetrics::new(revision.name(), &revision.id, &self.pattern, method),
            revision: revision.clone(),
        });
        Ok(())
    }
}
