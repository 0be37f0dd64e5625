//! Components of the standard: they export `wasi:http/incoming-handler` 0.2 or
//! `wasi:http/handler` 0.3 and do not know this platform.
//!
//! They have an engine of their own, because 0.3 needs wasmtime's concurrency
//! support, and the platform's calls are faster without it. The first
//! `wasi:http` component creates the engine, which lives until the process
//! ends. The interfaces of WASI are present and empty: no files, no sockets, no
//! environment. The output of a component goes to the log. A component may send
//! requests only to hosts that the operator allows.

mod answer;
mod instance;
mod output;
mod progress;
mod state;

pub use answer::StreamObserver;
pub(super) use instance::MAX_WARM;
pub use instance::{WasiHttpInstances, WasiHttpProgram};

use super::start_ticker;
use crate::turns::Turns;
use state::State;
use std::sync::Arc;
use tokio::sync::Semaphore;
use wasmtime::{
    Config,
    component::{Component, Linker},
};

/// The largest number of calls in all `wasi:http` components together. The host
/// refuses one more.
const MAX_CALLS: usize = 512;

/// The compiler and the linker of `wasi:http` components.
pub(super) struct WasiHttpEngine {
    wasmtime: wasmtime::Engine,
    linker: Linker<State>,
    turns: Arc<Turns>,
    calls: Arc<Semaphore>,
}

impl WasiHttpEngine {
    /// Sets wasmtime up for `wasi:http` components. All components share the
    /// turns of guests that compute for long.
    ///
    /// # Errors
    /// wasmtime refuses the settings.
    pub(super) fn new(turns: Arc<Turns>) -> wasmtime::Result<Self> {
        let wasmtime = wasmtime::Engine::new(&settings())?;
        let mut linker = Linker::new(&wasmtime);
        state::link(&mut linker)?;
        start_ticker(&wasmtime)?;
        Ok(Self { wasmtime, linker, turns, calls: Arc::new(Semaphore::new(MAX_CALLS)) })
    }

    /// Checks a component against what the host offers and prepares it to be
    /// instantiated.
    ///
    /// # Errors
    /// Names an import that the host does not have or has with another type.
    pub(super) fn program(&self, component: &Component) -> wasmtime::Result<WasiHttpProgram> {
        WasiHttpProgram::new(self, component)
    }

    /// Wasmtime's own engine.
    pub(super) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }
}

/// Interpreters in components recurse deeper than compiled code, so they get
/// more stack.
pub(super) fn settings() -> Config {
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
