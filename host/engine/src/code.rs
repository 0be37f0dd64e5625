//! The two kinds of components, from compiled code to instances: components of
//! the platform's interfaces and components of `wasi:http`.

use super::{ComponentContext, Failure, Instances, Program, WasiHttpInstances, WasiHttpProgram};
use host_artifact::{ComponentKind, Footprint};
use std::sync::Arc;
use wasmtime::component::Component;

/// Calls of an instance unless its manifest or the standard says otherwise.
const DEFAULT_MAX_REQUESTS: u32 = 10_000;

/// The size of a page of linear memory.
const PAGE_BYTES: u64 = 64 << 10;

/// A compiled component.
pub enum Code {
    /// It has the platform's interfaces.
    Platform(Component),
    /// It has a standard handler of requests, see [`super::wasi_http`].
    WasiHttp(Component),
}

/// A component that is linked.
pub struct Linked {
    /// The platform's handlers. For a component with a standard handler of requests,
    /// those of events and timers.
    pub(super) handlers: Program,
    /// The standard handler of requests.
    pub(super) wasi_http: Option<WasiHttpProgram>,
}

/// Instances of one revision.
pub struct Pool {
    handlers: Instances,
    wasi_http: Option<WasiHttpInstances>,
}

impl Code {
    /// What was compiled as a component of this kind.
    pub(super) fn of(kind: ComponentKind, component: Component) -> Self {
        match kind {
            ComponentKind::Platform => Self::Platform(component),
            ComponentKind::WasiHttp => Self::WasiHttp(component),
        }
    }

    /// The component itself.
    pub fn component(&self) -> &Component {
        match self {
            Self::Platform(component) | Self::WasiHttp(component) => component,
        }
    }

    /// What it was compiled as.
    pub fn kind(&self) -> ComponentKind {
        match self {
            Self::Platform(_) => ComponentKind::Platform,
            Self::WasiHttp(_) => ComponentKind::WasiHttp,
        }
    }

    /// What an instance takes before its first call, as far as wasmtime tells. It
    /// also knows the modules that components hand to each other.
    pub fn footprint(&self) -> Footprint {
        let Some(needs) = self.component().resources_required() else { return Footprint::default() };
        Footprint {
            memories: needs.num_memories.into(),
            memory_bytes: needs.max_initial_memory_size.unwrap_or_default().saturating_mul(PAGE_BYTES),
            tables: needs.num_tables.into(),
            largest_table: needs.max_initial_table_size.unwrap_or_default(),
            ..Footprint::default()
        }
    }

    /// The names of its imports, with their versions.
    pub fn imports(&self) -> Vec<String> {
        let component = self.component();
        component.component_type().imports(component.engine()).map(|(name, _)| name.to_owned()).collect()
    }

    /// The names of its exports, with their versions.
    pub fn exports(&self) -> Vec<String> {
        let component = self.component();
        component.component_type().exports(component.engine()).map(|(name, _)| name.to_owned()).collect()
    }
}

impl Linked {
    /// Whether it answers requests.
    pub fn handles_http(&self) -> bool {
        self.wasi_http.is_some() || self.handlers.handles_http()
    }

    /// Whether it applies events.
    pub fn handles_events(&self) -> bool {
        self.handlers.handles_events()
    }

    /// Whether it handles timers.
    pub fn handles_timers(&self) -> bool {
        self.handlers.handles_timers()
    }
}

impl Pool {
    /// Creates no instance yet. `max_requests` is from the manifest.
    pub fn new(linked: Linked, component: Arc<ComponentContext>, max_requests: Option<u32>) -> Self {
        let of_standard = linked.wasi_http.as_ref().map(WasiHttpProgram::default_max_requests);
        let max_requests = max_requests.or(of_standard).unwrap_or(DEFAULT_MAX_REQUESTS);
        Self {
            handlers: Instances::new(linked.handlers, component.clone(), max_requests),
            wasi_http: linked.wasi_http.map(|program| WasiHttpInstances::new(program, component, max_requests)),
        }
    }

    /// The instances for the platform's handlers.
    pub fn handlers(&self) -> &Instances {
        &self.handlers
    }

    /// The instances for the standard handler of requests. None if the component
    /// has none.
    pub fn wasi_http(&self) -> Option<&WasiHttpInstances> {
        self.wasi_http.as_ref()
    }

    /// Creates an instance before its first call.
    ///
    /// # Errors
    /// The component's start failed.
    pub async fn warm_up(&self) -> Result<(), Failure> {
        match &self.wasi_http {
            Some(instances) => instances.warm_up().await,
            None => self.handlers.warm_up().await,
        }
    }

    /// Instances that wait for a request. For a component without a standard handler,
    /// they wait for events and timers too.
    pub fn warm_count(&self) -> usize {
        self.wasi_http.as_ref().map_or_else(|| self.handlers.warm_count(), WasiHttpInstances::warm_count)
    }

    /// Ends the calls that could go on without an end.
    pub fn retire(&self) {
        if let Some(instances) = &self.wasi_http {
            instances.retire();
        }
    }

    /// The largest number of instances that wait for a call.
    pub fn warm_limit(&self) -> usize {
        if self.wasi_http.is_some() { super::warm::WARM_WASI_HTTP } else { usize::MAX }
    }
}
