//! Links components to the interfaces of the host.

use crate::State;
use host_config::plugins::Grant;
use std::collections::BTreeSet;
use wasmtime::component::{Component, InstancePre, Linker};

/// Adds the interfaces of the host to a linker, without those that need a denied grant.
type Link = fn(&mut Linker<State>, &BTreeSet<Grant>) -> wasmtime::Result<()>;

/// The interfaces that one engine of wasmtime offers.
pub(super) struct Linking {
    link: Link,
    /// For components with all grants that they need.
    whole: Linker<State>,
}

impl Linking {
    pub(super) fn new(engine: &wasmtime::Engine, link: Link) -> wasmtime::Result<Self> {
        let mut whole = Linker::new(engine);
        link(&mut whole, &BTreeSet::new())?;
        Ok(Self { link, whole })
    }

    /// Prepares a component to be instantiated. A call of an import whose grant is
    /// denied traps.
    ///
    /// # Errors
    /// Names an import that the host does not have or has with another type.
    pub(super) fn prepare(
        &self,
        component: &Component,
        denied: &BTreeSet<Grant>,
    ) -> wasmtime::Result<InstancePre<State>> {
        if denied.is_empty() {
            return self.whole.instantiate_pre(component);
        }
        let mut linker = Linker::new(component.engine());
        (self.link)(&mut linker, denied)?;
        linker.define_unknown_imports_as_traps(component)?;
        linker.instantiate_pre(component)
    }
}
