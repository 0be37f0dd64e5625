//! Components that know nothing of this platform: they export
//! `wasi:http/incoming-handler` 0.2 or `wasi:http/handler` 0.3, made with
//! whatever makes such components.
//!
//! They have an engine of their own, because 0.3 needs wasmtime's concurrency
//! support, which the platform's calls are faster without. It is made with the
//! first foreign component and lives until the process ends. What such a
//! component imports of WASI is there and gives nothing: no files, no sockets,
//! no environment. What it prints goes to the log, and requests to others go
//! only where the operator allows.

mod answer;
mod instance;
mod output;
mod progress;
mod state;

pub use answer::Ongoing;
pub(super) use instance::MAX_WARM;
pub use instance::{ForeignInstances, ForeignProgram};

use super::start_ticker;
use host_capabilities::outbound::{Outbound, SystemNames};
use state::State;
use std::sync::Arc;
use tokio::sync::Semaphore;
use wasmtime::{
    Config,
    component::{Component, Linker},
};

/// Calls in all foreign components together; one more is refused.
const MAX_CALLS: usize = 512;

/// The compiler, the linker and the way out of foreign components.
pub(super) struct ForeignEngine {
    wasmtime: wasmtime::Engine,
    linker: Linker<State>,
    turns: Arc<Semaphore>,
    calls: Arc<Semaphore>,
    outbound: Arc<Outbound>,
}

impl ForeignEngine {
    /// Sets wasmtime up for foreign components. The turns of guests that
    /// compute for long are those of all components.
    ///
    /// # Errors
    /// When wasmtime refuses the settings or the client for requests to others
    /// cannot be made.
    pub(super) fn new(turns: Arc<Semaphore>) -> wasmtime::Result<Self> {
        let wasmtime = wasmtime::Engine::new(&settings())?;
        let mut linker = Linker::new(&wasmtime);
        state::link(&mut linker)?;
        start_ticker(&wasmtime)?;
        let outbound = Outbound::new(Arc::new(SystemNames))
            .map_err(|error| wasmtime::format_err!("the client for requests to others cannot be made: {error}"))?;
        Ok(Self { wasmtime, linker, turns, calls: Arc::new(Semaphore::new(MAX_CALLS)), outbound: Arc::new(outbound) })
    }

    /// Checks a component against what the host offers and prepares it to be
    /// instantiated.
    ///
    /// # Errors
    /// Names an import that the host does not have or has with another type.
    pub(super) fn program(&self, component: &Component) -> wasmtime::Result<ForeignProgram> {
        ForeignProgram::new(self, component)
    }

    /// Wasmtime's own engine.
    pub(super) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }
}

/// Interpreters inside of components recurse deeper than what is compiled
/// directly, so there is more stack.
fn settings() -> Config {
    let mut settings = Config::new();
    settings
        .concurrency_support(true)
        .wasm_component_model_async(true)
        .epoch_interruption(true)
        .memory_init_cow(true)
        .max_wasm_stack(1 << 20)
        .async_stack_size(2 << 20)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(16));
    settings
}
