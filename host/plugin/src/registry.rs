//! Which revisions are active: one immutable [`Snapshot`] behind an atomic
//! pointer. A request, an event or a timer takes the pointer once and sees one
//! state of the host from its beginning to its end; readers never lock.

use super::{
    archive::{State, Trial},
    handler::Active,
    revision::{OwnEndpoint, Revision},
};
use arc_swap::ArcSwap;
use host_artifact::manifest::Manifest;
use host_engine::handler::{Handler, Handlers};
use host_telemetry::endpoint_metrics::RedMetrics;
use http::{HeaderMap, HeaderName};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

/// Asks for the revision on trial of the plugin that it names; any other value
/// asks for the one that serves everybody.
pub const CANARY: HeaderName = HeaderName::from_static("x-plugin-canary");

/// Holds the current snapshot.
#[derive(Default)]
pub struct Registry {
    current: ArcSwap<Snapshot>,
    /// Changes happen one after the other; readers do not wait for them.
    changes: Mutex<()>,
}

/// Everything that decides where work goes.
#[derive(Default)]
pub struct Snapshot {
    plugins: BTreeMap<String, Plugin>,
    routes: matchit::Router<RouteEntry>,
}

/// What of a plugin is active.
#[derive(Clone)]
pub struct Plugin {
    /// The revision that serves.
    pub revision: Arc<Revision>,
    /// One that is on trial beside it.
    pub canary: Option<Canary>,
    /// Whether it may run.
    pub standing: Standing,
}

/// A revision that gets a part of the work.
#[derive(Clone)]
pub struct Canary {
    /// The revision.
    pub revision: Arc<Revision>,
    /// Its part.
    pub percent: u8,
    /// When it is to serve alone by itself, in milliseconds since the Unix
    /// epoch.
    pub promote_at_ms: Option<u64>,
}

/// Whether a plugin may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It serves.
    Serving,
    /// An operator has paused it: requests are refused, events and timers wait.
    Paused,
    /// It trapped too often: the same.
    Quarantined,
}

impl Standing {
    /// Whether a plugin may run in this state.
    pub fn of(state: &State) -> Self {
        match state {
            State { quarantined: Some(_), .. } => Self::Quarantined,
            State { paused: true, .. } => Self::Paused,
            _ => Self::Serving,
        }
    }
}

/// One pattern and who answers which method on it.
struct RouteEntry {
    pattern: String,
    endpoints: Vec<Endpoint>,
}

/// A method on a route.
pub struct Endpoint {
    method: String,
    plugin: String,
    standing: Standing,
    serving: Served,
    canary: Option<(Served, u8)>,
}

/// A revision and what is counted of it at one endpoint.
pub struct Served {
    /// Who answers.
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
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Makes another state the current one, at once and for all that begins
    /// from now on, and says how long that took.
    ///
    /// # Errors
    /// When the changed set cannot be active together; then nothing changes.
    pub fn update(&self, change: impl FnOnce(&mut BTreeMap<String, Plugin>)) -> Result<Duration, SnapshotError> {
        let _turn = self.changes.lock();
        let begun = Instant::now();
        let mut plugins = self.current.load().plugins.clone();
        change(&mut plugins);
        self.current.store(Arc::new(Snapshot::new(plugins)?));
        Ok(begun.elapsed())
    }
}

impl Handlers for Registry {
    fn current(&self, component: &str) -> Option<Arc<dyn Handler>> {
        let current = self.current.load();
        let plugin = current.plugins.get(component).filter(|plugin| plugin.standing == Standing::Serving)?;
        let revision = match &plugin.canary {
            Some(canary) if falls_within(canary.percent) => &canary.revision,
            _ => &plugin.revision,
        };
        Some(Arc::new(Active(revision.clone())))
    }
}

impl Trial {
    /// The trial of this revision, which is loaded.
    pub fn of(&self, revision: Arc<Revision>) -> Canary {
        Canary { revision, percent: self.percent, promote_at_ms: self.promote_at_ms }
    }
}

impl Plugin {
    /// One that serves all by itself.
    pub fn serving(revision: Arc<Revision>) -> Self {
        Self { revision, canary: None, standing: Standing::Serving }
    }

    /// The revision that serves, and the one on trial if there is one.
    pub fn revisions(&self) -> impl Iterator<Item = &Arc<Revision>> {
        std::iter::once(&self.revision).chain(self.canary.as_ref().map(|canary| &canary.revision))
    }

    /// The subjects of the events that they take.
    pub fn subjects(&self) -> BTreeSet<String> {
        self.revisions().flat_map(|revision| revision.manifest.messaging.subscribes.iter().cloned()).collect()
    }
}

impl Endpoint {
    /// Whose it is, serving or not.
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// Who answers this request; none while the plugin does not serve.
    pub fn choose(&self, headers: &HeaderMap) -> Option<&Served> {
        if self.standing != Standing::Serving {
            return None;
        }
        let Some((canary, percent)) = &self.canary else { return Some(&self.serving) };
        let chosen = match headers.get(CANARY) {
            Some(wanted) => wanted.as_bytes() == self.plugin.as_bytes(),
            None => falls_within(*percent),
        };
        Some(if chosen { canary } else { &self.serving })
    }

    fn new(endpoint: &OwnEndpoint, plugin: &Plugin) -> Self {
        let canary = plugin.canary.as_ref().and_then(|canary| {
            let same = canary.revision.endpoints.iter().find(|own| own.is_like(endpoint))?;
            Some((Served { revision: canary.revision.clone(), metrics: same.metrics.clone() }, canary.percent))
        });
        Self {
            method: endpoint.method.clone(),
            plugin: plugin.revision.name().to_owned(),
            standing: plugin.standing,
            serving: Served { revision: plugin.revision.clone(), metrics: endpoint.metrics.clone() },
            canary,
        }
    }
}

fn falls_within(percent: u8) -> bool {
    rand::random_range(0..100) < percent
}

impl Snapshot {
    /// Builds the state in which these are active. Routes are those of the
    /// revisions that serve; one on trial adds none.
    ///
    /// # Errors
    /// When two of them want the same route.
    fn new(plugins: BTreeMap<String, Plugin>) -> Result<Self, SnapshotError> {
        let mut entries: BTreeMap<String, RouteEntry> = BTreeMap::new();
        for plugin in plugins.values() {
            for endpoint in &plugin.revision.endpoints {
                let entry = entries
                    .entry(endpoint.path.clone())
                    .or_insert_with(|| RouteEntry { pattern: endpoint.path.clone(), endpoints: Vec::new() });
                entry.add(endpoint, plugin)?;
            }
        }
        let mut routes = matchit::Router::new();
        for (path, entry) in entries {
            let plugin = entry.endpoints.first().map(|endpoint| endpoint.plugin.clone()).unwrap_or_default();
            routes.insert(path.clone(), entry).map_err(|error| SnapshotError::Pattern {
                path,
                plugin,
                reason: error.to_string(),
            })?;
        }
        Ok(Self { plugins, routes })
    }

    /// Whether a plugin with this manifest could be active beside the others.
    ///
    /// # Errors
    /// When another plugin has one of its routes.
    pub fn has_room_for(&self, manifest: &Manifest) -> Result<(), SnapshotError> {
        let others = self.plugins.iter().filter(|(name, _)| **name != manifest.name);
        let mut owners: BTreeMap<(&str, &str), &str> = BTreeMap::new();
        let mut patterns = matchit::Router::new();
        for (name, plugin) in others {
            for route in &plugin.revision.manifest.routes {
                owners
                    .extend(route.methods.iter().map(|method| ((route.path.as_str(), method.as_str()), name.as_str())));
                // Several plugins may share a pattern with different methods.
                let _ = patterns.insert(route.path.as_str(), ());
            }
        }
        for route in &manifest.routes {
            for method in &route.methods {
                if let Some(owner) = owners.get(&(route.path.as_str(), method.as_str())) {
                    return Err(SnapshotError::Owned {
                        method: method.clone(),
                        path: route.path.clone(),
                        plugin: manifest.name.clone(),
                        owner: (*owner).to_owned(),
                    });
                }
            }
            if !owners.keys().any(|(path, _)| *path == route.path) {
                patterns.insert(route.path.as_str(), ()).map_err(|error| SnapshotError::Pattern {
                    path: route.path.clone(),
                    plugin: manifest.name.clone(),
                    reason: error.to_string(),
                })?;
            }
        }
        Ok(())
    }

    /// Who answers this method on this path; none if nobody does.
    pub fn route<'a>(&'a self, method: &str, path: &'a str) -> Option<Target<'a>> {
        let found = self.routes.at(path).ok()?;
        let endpoint = found.value.endpoints.iter().find(|endpoint| endpoint.method == method)?;
        Some(Target { endpoint, pattern: &found.value.pattern, params: found.params })
    }

    /// What of a plugin is active.
    pub fn plugin(&self, name: &str) -> Option<&Plugin> {
        self.plugins.get(name)
    }

    /// All of them, by name.
    pub fn plugins(&self) -> impl Iterator<Item = &Plugin> {
        self.plugins.values()
    }
}

impl RouteEntry {
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
