//! Components that answer requests by the standard: they export
//! `wasi:http/incoming-handler` 0.2 or `wasi:http/handler` 0.3.
//!
//! They have an engine of their own, because 0.3 needs wasmtime's concurrency
//! support, and the platform's calls are faster without it. The first
//! `wasi:http` component creates the engine, which lives until the process
//! ends. They import the same interfaces as all components, under the same grants,
//! and may also export the platform's handlers of events and timers.

mod answer;
mod instance;
mod progress;
mod work;

pub use answer::StreamObserver;
pub use instance::{WasiHttpInstances, WasiHttpProgram};

use super::{pool, start_ticker, without_newest_instructions};
use crate::{
    Program,
    linking::Linking,
    state::{self, State},
    turns::Turns,
    warm::WarmPool,
};
use host_artifact::ComponentKind;
use host_config::{engine::EngineConfig, plugins::Grant};
use std::{collections::BTreeSet, sync::Arc};
use tokio::sync::Semaphore;
use wasmtime::{
    Config, InstanceAllocationStrategy,
    component::{Component, Linker},
};

/// The largest number of calls in all `wasi:http` components together. The host
/// refuses one more.
const MAX_CALLS: u32 = 512;
/// A call of 0.3 has a stack for each part of its component that waits. One plugin at its
/// limits, 64 calls with 64 core instances each, leaves more than 1,000 stacks to others.
const STACKS_PER_INSTANCE: u32 = 6;
/// A stack takes two of the 65,530 mappings that Linux gives a process.
const MAX_STACKS: u32 = 10_000;
/// The memory that stays with a stack after its first use.
const STACK_KEPT_BYTES: usize = 32 << 10;
/// The addresses of the stacks and tables of one instance beyond those of an instance of
/// the platform.
pub(super) const MORE_ADDRESSES: u64 = 12 << 20;

/// The compiler of `wasi:http` components, and what they share.
pub(super) struct WasiHttpEngine {
    wasmtime: wasmtime::Engine,
    linking: Linking,
    turns: Arc<Turns>,
    calls: Arc<Semaphore>,
    warm: Arc<WarmPool>,
}

impl WasiHttpEngine {
    /// Sets wasmtime up for `wasi:http` components. All components share the
    /// turns of guests that compute for long.
    ///
    /// # Errors
    /// wasmtime refuses the settings.
    pub(super) fn new(turns: Arc<Turns>, config: &EngineConfig) -> wasmtime::Result<Self> {
        let (places, mut pool) = (config.max_instances, pool(config));
        let stacks = places.saturating_mul(STACKS_PER_INSTANCE).min(MAX_STACKS.max(places));
        // An interpreter has many tables, and all calls may run in interpreters.
        let tables = places.saturating_mul(config.parts.tables);
        pool.total_stacks(stacks).total_tables(tables).async_stack_keep_resident(STACK_KEPT_BYTES);
        let mut settings = settings();
        settings.async_stack_zeroing(true);
        settings.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let wasmtime = wasmtime::Engine::new(&settings)?;
        let linking = Linking::new(&wasmtime, link)?;
        start_ticker(&wasmtime)?;
        let (calls, warm) = (Semaphore::new(MAX_CALLS as usize), WarmPool::new(places));
        Ok(Self { wasmtime, linking, turns, calls: Arc::new(calls), warm: Arc::new(warm) })
    }

    /// Checks a component against what the host offers and prepares it to be
    /// instantiated, for requests and for events and timers.
    ///
    /// # Errors
    /// Names an import that the host does not have or has with another type.
    pub(super) fn programs(
        &self,
        component: &Component,
        denied: &BTreeSet<Grant>,
    ) -> wasmtime::Result<(WasiHttpProgram, Program)> {
        let pre = self.linking.prepare(component, denied)?;
        let handlers = Program::new(ComponentKind::WasiHttp, pre.clone(), self.turns.clone(), self.warm.clone());
        Ok((WasiHttpProgram::new(self, pre)?, handlers))
    }

    /// The instances that wait for a call.
    pub(super) fn warm(&self) -> &WarmPool {
        &self.warm
    }

    /// Wasmtime's own engine.
    pub(super) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }
}

/// Links what every component gets, and WASI 0.3.
fn link(linker: &mut Linker<State>, denied: &BTreeSet<Grant>) -> wasmtime::Result<()> {
    state::link(linker, denied)?;
    wasmtime_wasi::p3::add_to_linker(linker)?;
    wasmtime_wasi_http::p3::add_to_linker(linker)
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
    without_newest_instructions(&mut settings);
    settings
}
