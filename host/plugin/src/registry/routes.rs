//! The routes of a snapshot: those that visitors reach, and all of them for requests
//! of plugins.

use super::{Endpoint, Plugin, SnapshotError, Starting};
use crate::revision::OwnEndpoint;
use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

/// Finds a pattern for a path.
pub(super) type Router = matchit::Router<RouteEntry>;

/// The routes of a snapshot.
#[derive(Default)]
pub(super) struct Routes {
    pub(super) public: Router,
    /// None if visitors reach all routes.
    all: Option<Router>,
}

/// A pattern with its endpoints.
pub(super) struct RouteEntry {
    pub(super) pattern: String,
    pub(super) endpoints: Vec<Endpoint>,
}

impl Routes {
    /// The routes of plugins that serve or that are being loaded.
    ///
    /// # Errors
    /// Two plugins want the same route.
    pub(super) fn new(
        plugins: &BTreeMap<String, Plugin>,
        starting: &BTreeMap<String, Arc<Starting>>,
    ) -> Result<Self, SnapshotError> {
        let active = plugins.values().map(|plugin| &plugin.revision.manifest);
        let mut manifests = active.chain(starting.values().map(|starting| &starting.manifest));
        let has_private = manifests.any(|manifest| manifest.routes.iter().any(|route| !route.visibility.is_public()));
        let all = has_private.then(|| router(plugins, starting, false)).transpose()?;
        Ok(Self { public: router(plugins, starting, true)?, all })
    }

    /// The routes that plugins reach.
    pub(super) fn all(&self) -> &Router {
        self.all.as_ref().unwrap_or(&self.public)
    }
}

fn router(
    plugins: &BTreeMap<String, Plugin>,
    starting: &BTreeMap<String, Arc<Starting>>,
    only_public: bool,
) -> Result<Router, SnapshotError> {
    let mut entries: BTreeMap<&str, RouteEntry> = BTreeMap::new();
    for plugin in plugins.values() {
        let endpoints = plugin.revision.endpoints.iter();
        for endpoint in endpoints.filter(|endpoint| !only_public || endpoint.visibility.is_public()) {
            let entry = match entries.entry(&endpoint.path) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(vacant) => vacant.insert(RouteEntry::new(&endpoint.path)),
            };
            entry.add(endpoint, plugin)?;
        }
    }
    let mut router = Router::new();
    for (path, entry) in entries {
        let plugin = entry.endpoints.first().map(|endpoint| endpoint.plugin.clone()).unwrap_or_default();
        let refused = |error: matchit::InsertError| SnapshotError::Pattern {
            path: path.to_owned(),
            plugin,
            reason: error.to_string(),
        };
        router.insert(path, entry).map_err(refused)?;
    }
    starting.values().for_each(|starting| reserve(&mut router, starting, only_public));
    Ok(router)
}

/// Adds the routes of a plugin that is being loaded. A route that another plugin
/// has is left out; the conflict shows when the plugin is loaded.
fn reserve(router: &mut Router, starting: &Starting, only_public: bool) {
    let manifest = &starting.manifest;
    for route in manifest.routes.iter().filter(|route| !only_public || route.visibility.is_public()) {
        let endpoints = route.methods.iter().map(|method| Endpoint::starting(method, &manifest.name)).collect();
        let _ = router.insert(route.path.clone(), RouteEntry { pattern: route.path.clone(), endpoints });
    }
}

impl RouteEntry {
    fn new(pattern: &str) -> Self {
        Self { pattern: pattern.to_owned(), endpoints: Vec::new() }
    }

    fn add(&mut self, new: &OwnEndpoint, plugin: &Plugin) -> Result<(), SnapshotError> {
        if let Some(owner) = self.endpoints.iter().find(|endpoint| endpoint.method == new.method) {
            return Err(SnapshotError::Owned {
                method: new.method.clone(),
                path: self.pattern.clone(),
                plugin: plugin.revision.name().to_owned(),
                owner: owner.plugin.clone(),
            });
        }
        self.endpoints.push(Endpoint::new(new, plugin));
        Ok(())
    }
}
