//! Everything about wasmtime: how components are compiled, linked,
//! instantiated and called, and what bounds them while they run.
//!
//! There is one [`Engine`] in a process. It lives until the process ends.

pub mod admission;
pub mod bindings;
pub mod cache;
mod code;
pub mod failure;
pub mod foreign;
pub mod handler;
pub mod instance;
pub mod outcome;
pub mod state;
mod time;
mod warm;

pub use admission::{Admission, Patience};
pub use cache::CompileCache;
pub use code::{Code, Linked, Pool};
pub use failure::{Blame, Failure};
use foreign::ForeignEngine;
pub use foreign::{ForeignInstances, ForeignProgram, Ongoing};
pub use instance::{Instances, Program};
pub use outcome::{Handled, Outcome};
use parking_lot::Mutex;
pub use state::{CallContext, ComponentContext, Services, State};
use warm::Warm;

use host_artifact::Kind;
use host_config::engine::EngineConfig;
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig, component::Linker};

/// How often guests are interrupted so that others get their turn.
pub const TICK: Duration = Duration::from_millis(5);

/// The compiler, the allocator and the linker that every component shares.
pub struct Engine {
    wasmtime: wasmtime::Engine,
    linker: Linker<State>,
    /// Turns of guests that compute for longer than a few ticks, so that
    /// spinning ones never hold all the processors.
    turns: Arc<Semaphore>,
    foreign: Mutex<Option<Arc<ForeignEngine>>>,
    warm: Arc<Warm>,
}

/// How much of the pool is in use.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Component instances, those that wait for a call included.
    pub instances: u64,
    /// Those that wait for a call, and give way to one that needs a place.
    pub warm: usize,
    /// As many as there can be.
    pub limit: usize,
    /// Linear memories.
    pub memories: usize,
    /// Stacks of calls under way.
    pub stacks: usize,
}

impl Engine {
    /// Sets wasmtime up and starts its one ticker.
    ///
    /// # Errors
    /// When the machine cannot give what the settings ask for, such as the
    /// address space of the pool.
    pub fn new(config: &EngineConfig) -> wasmtime::Result<Self> {
        let wasmtime = wasmtime::Engine::new(&settings(config))?;
        let mut linker = Linker::new(&wasmtime);
        state::link(&mut linker)?;
        start_ticker(&wasmtime)?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            wasmtime,
            linker,
            turns: Arc::new(Semaphore::new((processors / 2).max(1))),
            foreign: Mutex::default(),
            warm: Arc::new(Warm::new(config.max_instances)),
        })
    }

    /// How much of the pool of the platform's own components is in use. None
    /// where wasmtime does not say.
    pub fn usage(&self) -> Option<Usage> {
        let pool = self.wasmtime.pooling_allocator_metrics()?;
        Some(Usage {
            instances: pool.component_instances(),
            warm: self.warm.count(),
            limit: self.warm.places(),
            memories: pool.memories(),
            stacks: pool.stacks(),
        })
    }

    /// Compiles a component, or takes it from the cache. This blocks for as
    /// long as the compiler runs: keep it off the async threads.
    ///
    /// # Errors
    /// What the compiler has against the component.
    pub fn compile(&self, cache: &CompileCache, digest: &str, bytes: &[u8], kind: Kind) -> wasmtime::Result<Code> {
        Ok(match kind {
            Kind::Platform => Code::Platform(cache.load_or_compile(&self.wasmtime, digest, bytes)?),
            Kind::Foreign => Code::Foreign(cache.load_or_compile(self.foreign()?.wasmtime(), digest, bytes)?),
        })
    }

    /// Whether the cache has what was compiled of a file.
    pub fn is_compiled(&self, cache: &CompileCache, digest: &str, kind: Kind) -> bool {
        match kind {
            Kind::Platform => cache.has(&self.wasmtime, digest),
            Kind::Foreign => self.foreign().is_ok_and(|foreign| cache.has(foreign.wasmtime(), digest)),
        }
    }

    /// Removes what was compiled of a file from the cache.
    pub fn forget(&self, cache: &CompileCache, digest: &str) {
        cache.forget(&self.wasmtime, digest);
        let foreign = self.foreign.lock().clone();
        if let Some(foreign) = foreign {
            cache.forget(foreign.wasmtime(), digest);
        }
    }

    /// Checks a component against what the host offers and prepares it to be
    /// instantiated.
    ///
    /// # Errors
    /// Names an import that the host does not have or has with another type.
    pub fn program(&self, code: &Code) -> wasmtime::Result<Linked> {
        Ok(match code {
            Code::Platform(component) => {
                let (turns, warm) = (self.turns.clone(), self.warm.clone());
                Linked::Platform(Program::new(&self.linker, component, turns, warm)?)
            }
            Code::Foreign(component) => Linked::Foreign(self.foreign()?.program(component)?),
        })
    }

    /// The engine of foreign components, which is made when it is first asked
    /// for.
    ///
    /// # Errors
    /// When it cannot be made.
    fn foreign(&self) -> wasmtime::Result<Arc<ForeignEngine>> {
        let mut made = self.foreign.lock();
        if let Some(engine) = &*made {
            return Ok(engine.clone());
        }
        let engine = Arc::new(ForeignEngine::new(self.turns.clone())?);
        *made = Some(engine.clone());
        Ok(engine)
    }
}

fn settings(config: &EngineConfig) -> Config {
    let instances = config.max_instances;
    let mut pool = PoolingAllocationConfig::new();
    // A component made by a bindings generator is one to four core modules.
    pool.total_component_instances(instances)
        .total_core_instances(instances * 4)
        .total_memories(instances)
        .total_tables(instances * 2)
        .total_stacks(instances)
        .max_core_instances_per_component(20)
        .max_memories_per_component(2)
        .max_tables_per_component(20)
        .max_memory_size(config.max_memory_mib << 20)
        .table_elements(20_000)
        .async_stack_keep_resident(64 << 10)
        .linear_memory_keep_resident(64 << 10)
        .table_keep_resident(16 << 10)
        .pagemap_scan(Enabled::Auto);
    let mut settings = Config::new();
    settings
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .concurrency_support(false)
        .epoch_interruption(true)
        .memory_init_cow(true)
        .max_wasm_stack(512 << 10)
        .async_stack_size(1 << 20)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(16));
    settings
}

/// One thread advances the epoch for every guest. It ends with the process.
fn start_ticker(engine: &wasmtime::Engine) -> wasmtime::Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new().name("epoch-ticker".into()).spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    })?;
    Ok(())
}
