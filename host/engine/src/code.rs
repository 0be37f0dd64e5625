//! The two kinds of components, from compiled code to instances: components of
//! the platform's interfaces and components of `wasi:http`.

use super::{Failure, Instances, Program, WasiHttpInstances, WasiHttpProgram};
use host_artifact::{ComponentKind, Footprint};
use wasmtime::component::Component;

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
pub enum Linked {
    /// It has the platform's interfaces.
    Platform(Program),
    /// It has a standard handler of requests.
    WasiHttp(WasiHttpProgram),
}

/// Instances of one revision.
pub enum Pool {
    /// It has the platform's interfaces.
    Platform(Instances),
    /// It has a standard handler of requests.
    WasiHttp(WasiHttpInstances),
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
        match self {
            Self::Platform(program) => program.handles_http(),
            Self::WasiHttp(_) => true,
        }
    }

    /// Whether it applies events.
    pub fn handles_events(&self) -> bool {
        match self {
            Self::Platform(program) => program.handles_events(),
            Self::WasiHttp(_) => false,
        }
    }
}

impl Pool {
    /// Creates an instance before its first call.
    ///
    /// # Errors
    /// The component's start failed.
    pub async fn warm_up(&self) -> Result<(), Failure> {
        match self {
            Self::Platform(instances) => instances.warm_up().await,
            Self::WasiHttp(instances) => instances.warm_up().await,
        }
    }

    /// Instances that wait for a call.
    pub fn warm_count(&self) -> usize {
        match self {
            Self::Platform(instances) => instances.warm_count(),
            Self::WasiHttp(instances) => instances.warm_count(),
        }
    }

    /// Ends the calls that could go on without an end.
    pub fn retire(&self) {
        match self {
            Self::Platform(_) => {}
            Self::WasiHttp(instances) => instances.retire(),
        }
    }

    /// The largest number of instances that wait for a call.
    pub fn warm_limit(&self) -> usize {
        match self {
            Self::Platform(_) => usize::MAX,
            Self::WasiHttp(_) => super::wasi_http::MAX_WARM,
        }
    }
}
