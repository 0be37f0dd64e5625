//! The active revisions: one immutable [`Snapshot`] behind an atomic pointer. A
//! request, an event or a timer reads the pointer once and sees one state of
//! the host from its beginning to its end. Readers never lock.

mod api_document;
mod lookup;
mod room;
mod routes;
mod starting;

pub use lookup::Lookup;
pub use starting::Starting;

use super::{
    archive::{State, Trial},
    handler::Active,
    revision::{OwnEndpoint, Revision},
};
use arc_swap::ArcSwap;
use axum::body::Bytes;
use host_artifact::manifest::Manifest;
use host_config::rate::Rate;
use host_engine::handler::{Handler, Handlers};
use host_telemetry::EndpointMetrics;
use http::{HeaderMap, HeaderName};
use parking_lot::Mutex;
use routes::Routes;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

/// The header that names a plugin and asks for its canary. Any other value asks
/// for the revision that serves.
pub const CANARY: HeaderName = HeaderName::from_static("x-plugin-canary");

/// Holds the current snapshot.
#[derive(Default)]
pub struct Registry {
    current: ArcSwap<Snapshot>,
    /// Changes happen one after the other. Readers do not wait for them.
    changes: Mutex<()>,
}

/// The state that decides which revision gets a piece of work.
#[derive(Default)]
pub struct Snapshot {
    plugins: BTreeMap<String, Plugin>,
    starting: BTreeMap<String, Arc<Starting>>,
    routes: Routes,
    /// The description of the public API, once somebody has asked for it.
    api_document: OnceLock<Bytes>,
}

/// The active revisions of a plugin.
#[derive(Clone)]
pub struct Plugin {
    /// The revision that serves.
    pub revision: Arc<Revision>,
    /// The canary beside it.
    pub canary: Option<Canary>,
    /// Whether it may run.
    pub standing: Standing,
}

/// A canary: a revision that gets a part of the work.
#[derive(Clone)]
pub struct Canary {
    /// The revision.
    pub revision: Arc<Revision>,
    /// Its share of the work, in percent.
    pub percent: u8,
    /// The time of its automatic promotion, in milliseconds since the Unix
    /// epoch.
    pub promote_at_ms: Option<u64>,
}

/// Whether a plugin may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It serves.
    Serving,
    /// An operator has paused it. Its requests are refused, its events and
    /// timers wait.
    Paused,
    /// It trapped or missed its deadline too often. Its requests are refused,
    /// its events and timers wait.
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

/// A method on a route.
pub struct Endpoint {
    method: String,
    plugin: String,
    rate: Option<Rate>,
    standing: Standing,
    /// None while the plugin is being started.
    serving: Option<Served>,
    canary: Option<(Served, u8)>,
}

/// A revision and its metrics at one endpoint.
pub struct Served {
    /// The revision that answers.
    pub revision: Arc<Revision>,
    /// Its metrics.
    pub metrics: EndpointMetrics,
}

/// The target of a request.
pub struct Target<'a> {
    /// The endpoint that answers.
    pub endpoint: &'a Endpoint,
    /// The pattern that matched, as the manifest has it.
    pub pattern: &'a str,
    /// The segments that the pattern names, as the client sent them.
    pub params: matchit::Params<'a, 'a>,
}

/// The reason why revisions cannot be active together.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Two plugins answer the same method on the same path.
    #[error("the route {method} {path} of {plugin} belongs to {owner} already")]
    Owned {
        /// The method.
        method: String,
        /// The pattern.
        path: String,
        /// The plugin that wants the route.
        plugin: String,
        /// The plugin that has the route.
        owner: String,
    },
    /// Two plugins have patterns that match the same path.
    #[error("the route {path} of {plugin} matches paths of {other}, which belongs to {owner}")]
    Overlap {
        /// The pattern.
        path: String,
        /// The plugin that wants the route.
        plugin: String,
        /// The pattern of the other plugin.
        other: String,
        /// The plugin that has the paths.
        owner: String,
    },
    /// The router cannot tell the pattern from another one.
    #[error("the route {path} of {plugin} cannot be added: {reason}")]
    Pattern {
        /// The pattern.
        path: String,
        /// The plugin of the pattern.
        plugin: String,
        /// The router's error text.
        reason: String,
    },
}

impl Registry {
    /// The current state.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Replaces the current state, for all work that begins from now on.
    /// Returns the time that this took.
    ///
    /// # Errors
    /// The changed plugins cannot be active together. Nothing has changed then.
    pub fn update(&self, change: impl FnOnce(&mut BTreeMap<String, Plugin>)) -> Result<Duration, SnapshotError> {
        let _turn = self.changes.lock();
        let begun = Instant::now();
        let current = self.current.load();
        let (mut plugins, mut starting) = (current.plugins.clone(), current.starting.clone());
        change(&mut plugins);
        starting.retain(|name, _| !plugins.contains_key(name));
        self.current.store(Arc::new(Snapshot::new(plugins, starting)?));
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
    /// The canary with this loaded revision.
    pub fn of(&self, revision: Arc<Revision>) -> Canary {
        Canary { revision, percent: self.percent, promote_at_ms: self.promote_at_ms }
    }
}

impl Plugin {
    /// A plugin with one revision that serves.
    pub fn serving(revision: Arc<Revision>) -> Self {
        Self { revision, canary: None, standing: Standing::Serving }
    }

    /// The revision that serves, and the canary if there is one.
    pub fn revisions(&self) -> impl Iterator<Item = &Arc<Revision>> {
        std::iter::once(&self.revision).chain(self.canary.as_ref().map(|canary| &canary.revision))
    }

    /// The subjects that one of these revisions takes from the events that the bus
    /// retains.
    pub fn retained_subjects(&self) -> BTreeSet<String> {
        self.revisions().flat_map(|revision| revision.manifest.messaging.retained().cloned()).collect()
    }

    /// The subjects of the events that these revisions take.
    pub fn subjects(&self) -> BTreeSet<String> {
        self.revisions().flat_map(|revision| revision.manifest.messaging.subscribes.iter().cloned()).collect()
    }
}

impl Endpoint {
    /// The method that the plugin answers. A request with HEAD has it too, for an
    /// endpoint with GET.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The plugin of the endpoint, whether it serves or not.
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// The most requests of one address, as the manifest has it.
    pub fn rate(&self) -> Option<Rate> {
        self.rate
    }

    /// The revision that answers this request. None while the plugin does not
    /// serve.
    pub fn choose(&self, headers: &HeaderMap) -> Option<&Served> {
        if self.standing != Standing::Serving {
            return None;
        }
        let serving = self.serving.as_ref()?;
        let Some((canary, percent)) = &self.canary else { return Some(serving) };
        let chosen = match headers.get(CANARY) {
            Some(wanted) => wanted.as_bytes() == self.plugin.as_bytes(),
            None => falls_within(*percent),
        };
        Some(if chosen { canary } else { serving })
    }

    fn new(endpoint: &OwnEndpoint, plugin: &Plugin) -> Self {
        let canary = plugin.canary.as_ref().and_then(|canary| {
            let same = canary.revision.endpoints.iter().find(|own| own.is_like(endpoint))?;
            Some((Served { revision: canary.revision.clone(), metrics: same.metrics.clone() }, canary.percent))
        });
        Self {
            method: endpoint.method.clone(),
            plugin: plugin.revision.name().to_owned(),
            rate: endpoint.rate,
            standing: plugin.standing,
            serving: Some(Served { revision: plugin.revision.clone(), metrics: endpoint.metrics.clone() }),
            canary,
        }
    }

    fn starting(method: &str, plugin: &str) -> Self {
        Self {
            method: method.to_owned(),
            plugin: plugin.to_owned(),
            rate: None,
            standing: Standing::Serving,
            serving: None,
            canary: None,
        }
    }
}

fn falls_within(percent: u8) -> bool {
    rand::random_range(0..100) < percent
}

impl Snapshot {
    /// Builds the state in which these plugins are active. It has the routes of
    /// the revisions that serve. A canary adds no route.
    ///
    /// # Errors
    /// Two plugins want the same route.
    fn new(
        plugins: BTreeMap<String, Plugin>,
        starting: BTreeMap<String, Arc<Starting>>,
    ) -> Result<Self, SnapshotError> {
        let routes = Routes::new(&plugins, &starting)?;
        Ok(Self { plugins, starting, routes, api_document: OnceLock::new() })
    }

    /// Whether a plugin with this manifest could be active beside the others. Two
    /// plugins may have the same pattern with different methods. They may not
    /// have different patterns that match the same path, because the router
    /// would take the path away from one of them.
    ///
    /// # Errors
    /// When another plugin has one of its paths.
    pub fn has_room_for(&self, manifest: &Manifest) -> Result<(), SnapshotError> {
        let active = self.plugins.values().map(|plugin| &plugin.revision.manifest);
        let starting = self.starting.values().map(|starting| &starting.manifest);
        let wanted = room::Wanted::new(manifest);
        for owner in active.chain(starting).filter(|other| other.name != manifest.name) {
            owner.routes.iter().try_for_each(|other| wanted.check_room(&owner.name, other))?;
        }
        Ok(())
    }

    /// The active revisions of a plugin.
    pub fn plugin(&self, name: &str) -> Option<&Plugin> {
        self.plugins.get(name)
    }

    /// All plugins, by name.
    pub fn plugins(&self) -> impl Iterator<Item = &Plugin> {
        self.plugins.values()
    }
}
