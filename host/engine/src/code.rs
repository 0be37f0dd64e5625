//! The two kinds of components, from their compiled code to their instances:
//! those of the platform's own interfaces, and foreign ones.

use super::{Failure, ForeignInstances, ForeignProgram, Instances, Program};
use host_artifact::Kind;
use wasmtime::component::Component;

/// A compiled component.
pub enum Code {
    /// It has the platform's interfaces.
    Platform(Component),
    /// It has a standard handler of requests, see [`super::foreign`].
    Foreign(Component),
}

/// A component that is linked.
pub enum Linked {
    /// It has the platform's interfaces.
    Platform(Program),
    /// It has a standard handler of requests.
    Foreign(ForeignProgram),
}

/// Instances of one revision.
pub enum Pool {
    /// It has the platform's interfaces.
    Platform(Instances),
    /// It has a standard handler of requests.
    Foreign(ForeignInstances),
}

impl Code {
    /// The component itself.
    pub fn component(&self) -> &Component {
        match self {
            Self::Platform(component) | Self::Foreign(component) => component,
        }
    }

    /// What it was compiled as.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Platform(_) => Kind::Platform,
            Self::Foreign(_) => Kind::Foreign,
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
            Self::Foreign(_) => true,
        }
    }

    /// Whether it applies events.
    pub fn handles_events(&self) -> bool {
        match self {
            Self::Platform(program) => program.handles_events(),
            Self::Foreign(_) => false,
        }
    }
}

impl Pool {
    /// Makes an instance ahead of its first call.
    ///
    /// # Errors
    /// What the component's start did wrong.
    pub async fn warm_up(&self) -> Result<(), Failure> {
        match self {
            Self::Platform(instances) => instances.warm_up().await,
            Self::Foreign(instances) => instances.warm_up().await,
        }
    }

    /// Instances that wait for a call.
    pub fn warm_count(&self) -> usize {
        match self {
            Self::Platform(instances) => instances.warm_count(),
            Self::Foreign(instances) => instances.warm_count(),
        }
    }

    /// Breaks off what still runs, where that can go on without an end.
    pub fn retire(&self) {
        match self {
            Self::Platform(_) => {}
            Self::Foreign(instances) => instances.retire(),
        }
    }

    /// The most instances that wait for a call.
    pub fn warm_limit(&self) -> usize {
        match self {
            Self::Platform(_) => usize::MAX,
            Self::Foreign(_) => super::foreign::MAX_WARM,
        }
    }
}
