//! wasmtime: the host compiles, links, instantiates and calls components here,
//! and bounds them while they run.
//!
//! There is one [`Engine`] in a process. It lives until the process ends.

pub mod admission;
pub mod answer_head;
pub mod bindings;
pub mod cache;
mod call_turns;
mod code;
pub mod compiler;
mod exports;
pub mod failure;
mod footprint_limits;
pub mod handler;
pub mod instance;
mod linking;
mod memory;
mod offers;
pub mod outcome;
mod request;
pub mod state;
mod turns;
mod warm;
mod wasi;
pub mod wasi_http;

pub use admission::{Admission, Patience};
pub use cache::CompileCache;
pub use call_turns::CallTurns;
pub use code::{Code, Linked, Pool};
use compiler::ChildCompiler;
pub use compiler::{CompileError, Compiler};
pub use failure::{Blame, Failure};
pub use footprint_limits::FootprintError;
pub use instance::{Instances, Program};
use linking::Linking;
pub use offers::OFFERS;
pub use outcome::{Handled, Outcome};
use parking_lot::Mutex;
pub use request::{Request, RequestHead};
pub use state::{CallContext, ComponentContext, Services, State};
use warm::WarmPool;
use wasi_http::WasiHttpEngine;
pub use wasi_http::{StreamObserver, WasiHttpInstances, WasiHttpProgram};

use host_artifact::{ComponentKind, Footprint};
use host_config::{engine::EngineConfig, limits::Limits, plugins::Grant};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use turns::Turns;
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

/// The interval at which guests are interrupted, so that other guests get a
/// processor.
pub const TICK: Duration = Duration::from_millis(5);

/// Wasmtime reserves the largest memory for each instance, a guard behind it, and
/// about 4 MiB for stack and tables.
const INSTANCE_ADDRESSES: u64 = (4 << 30) + (36 << 20);
/// The program, its heap and its threads.
const OTHER_ADDRESSES: u64 = 1 << 30;

/// The compiler, the allocator and the interfaces that every component shares.
pub struct Engine {
    wasmtime: wasmtime::Engine,
    linking: Linking,
    /// Turns of guests that compute for longer than a few ticks.
    turns: Arc<Turns>,
    wasi_http: Mutex<Option<Arc<WasiHttpEngine>>>,
    warm: Arc<WarmPool>,
    config: EngineConfig,
}

/// The use of the pool of instances.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// All component instances, with those that wait for a call.
    pub instances: u64,
    /// Instances that wait for a call. The host drops them when another
    /// instance needs a place.
    pub warm: usize,
    /// The largest number of instances.
    pub limit: usize,
    /// Linear memories.
    pub memories: usize,
    /// Stacks of calls under way.
    pub stacks: usize,
}

impl Usage {
    /// None if wasmtime does not report it.
    fn of(engine: &wasmtime::Engine, warm: &WarmPool) -> Option<Self> {
        let pool = engine.pooling_allocator_metrics()?;
        Some(Self {
            instances: pool.component_instances(),
            warm: warm.count(),
            limit: warm.capacity(),
            memories: pool.memories(),
            stacks: pool.stacks(),
        })
    }
}

impl Engine {
    /// Sets wasmtime up and starts its one ticker.
    ///
    /// # Errors
    /// The machine cannot give the resources of the settings, such as the
    /// address space of the pool.
    pub fn new(config: &EngineConfig) -> wasmtime::Result<Self> {
        let wasmtime = wasmtime::Engine::new(&settings(config))?;
        let linking = Linking::new(&wasmtime, state::link)?;
        start_ticker(&wasmtime)?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            wasmtime,
            linking,
            turns: Turns::new(processors),
            wasi_http: Mutex::default(),
            warm: Arc::new(WarmPool::new(config.max_instances)),
            config: config.clone(),
        })
    }

    /// The addresses that a host with this pool reserves, about. They take no
    /// memory. The engine of `wasi:http` components has a pool of its own.
    pub fn address_space_bytes(config: &EngineConfig) -> u64 {
        let each = 2 * INSTANCE_ADDRESSES + wasi_http::MORE_ADDRESSES;
        u64::from(config.max_instances) * each + OTHER_ADDRESSES
    }

    /// The use of the pool of each kind of components. Before the first `wasi:http`
    /// component there is one pool.
    pub fn usages(&self) -> impl Iterator<Item = (ComponentKind, Usage)> {
        let wasi_http = self.wasi_http.lock().clone();
        let of_platform = Usage::of(&self.wasmtime, &self.warm);
        let of_wasi_http = wasi_http.and_then(|engine| Usage::of(engine.wasmtime(), engine.warm()));
        let usages = [(ComponentKind::Platform, of_platform), (ComponentKind::WasiHttp, of_wasi_http)];
        usages.into_iter().filter_map(|(kind, usage)| Some((kind, usage?)))
    }

    /// Checks that an instance can begin within these limits of the plugin and
    /// within those of the host.
    ///
    /// # Errors
    /// Names the limit that it cannot keep, and both values.
    pub fn check_footprint(&self, footprint: &Footprint, limits: &Limits) -> Result<(), FootprintError> {
        footprint_limits::check(footprint, limits, self.config.max_memory_mib, self.config.parts)
    }

    /// The compiled code of a file, if the cache has it. The call reads a file,
    /// so it must not run on an async thread.
    pub fn cached(&self, cache: &CompileCache, digest: &str, kind: ComponentKind) -> Option<Code> {
        let component = cache.load(&self.wasmtime_for(kind).ok()?, digest)?;
        Some(Code::of(kind, component))
    }

    /// Compiles a component in this process and without limits. The call blocks
    /// while the compiler runs, so it must not run on an async thread.
    ///
    /// # Errors
    /// The compiler refuses the component.
    pub fn compile_here(
        &self,
        cache: &CompileCache,
        digest: &str,
        bytes: &[u8],
        kind: ComponentKind,
    ) -> Result<Code, CompileError> {
        let compiled = self.wasmtime_for(kind).and_then(|engine| cache.compile(&engine, digest, bytes));
        let component = compiled.map_err(|error| CompileError::Refused(format!("{error:#}")))?;
        Ok(Code::of(kind, component))
    }

    /// Compiles a component in a child process with limits. Dropping the future
    /// ends the child.
    ///
    /// # Errors
    /// The compiler refuses the component, or a limit ended it.
    pub async fn compile_in_child(
        &self,
        cache: &CompileCache,
        digest: &str,
        bytes: &[u8],
        kind: ComponentKind,
        compiler: &ChildCompiler,
    ) -> Result<Code, CompileError> {
        let entry = cache.new_entry()?;
        compiler.compile(kind, bytes, entry.as_file().try_clone()?).await?;
        let engine = self.wasmtime_for(kind).map_err(|error| CompileError::Refused(format!("{error:#}")))?;
        let (cache, digest) = (cache.clone(), digest.to_owned());
        let kept = tokio::task::spawn_blocking(move || cache.keep(&engine, &digest, entry));
        let kept = kept.await.map_err(std::io::Error::other)??;
        kept.map(|component| Code::of(kind, component)).map_err(|error| CompileError::Refused(format!("{error:#}")))
    }

    fn wasmtime_for(&self, kind: ComponentKind) -> wasmtime::Result<wasmtime::Engine> {
        Ok(match kind {
            ComponentKind::Platform => self.wasmtime.clone(),
            ComponentKind::WasiHttp => self.wasi_http()?.wasmtime().clone(),
        })
    }

    /// Removes the compiled code of a file from the cache.
    pub fn forget(&self, cache: &CompileCache, digest: &str) {
        cache.forget(&self.wasmtime, digest);
        let engine = self.wasi_http.lock().clone();
        if let Some(engine) = engine {
            cache.forget(engine.wasmtime(), digest);
        }
    }

    /// Checks a component against what the host offers and prepares it to be
    /// instantiated. A call of an import whose grant is in `denied` traps.
    ///
    /// # Errors
    /// Names an import that the host does not have or has with another type.
    pub fn program(&self, code: &Code, denied: &BTreeSet<Grant>) -> wasmtime::Result<Linked> {
        let component = match code {
            Code::Platform(component) => component,
            Code::WasiHttp(component) => {
                let (program, handlers) = self.wasi_http()?.programs(component, denied)?;
                return Ok(Linked { handlers, wasi_http: Some(program) });
            }
        };
        let pre = self.linking.prepare(component, denied)?;
        let handlers = Program::new(ComponentKind::Platform, pre, self.turns.clone(), self.warm.clone());
        Ok(Linked { handlers, wasi_http: None })
    }

    /// The engine of `wasi:http` components. The first call creates it.
    ///
    /// # Errors
    /// The machine cannot give the address space of its pool.
    fn wasi_http(&self) -> wasmtime::Result<Arc<WasiHttpEngine>> {
        let mut made = self.wasi_http.lock();
        if let Some(engine) = &*made {
            return Ok(engine.clone());
        }
        let engine = Arc::new(WasiHttpEngine::new(self.turns.clone(), &self.config)?);
        *made = Some(engine.clone());
        Ok(engine)
    }
}

fn settings(config: &EngineConfig) -> Config {
    let mut settings = code_settings();
    settings.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(config)));
    settings
}

/// The places for instances. Each of the two engines has as many.
fn pool(config: &EngineConfig) -> PoolingAllocationConfig {
    let instances = config.max_instances;
    let mut pool = PoolingAllocationConfig::new();
    let parts = config.parts;
    // A core instance has no place of its own in the pool. Most components have one
    // memory and at most two tables.
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(parts.core_instances))
        .total_memories(instances.max(parts.memories))
        .total_tables(instances.saturating_mul(2).max(parts.tables))
        .total_stacks(instances)
        .max_core_instances_per_component(parts.core_instances)
        .max_memories_per_module(parts.memories)
        .max_tables_per_module(parts.tables)
        .max_memories_per_component(parts.memories)
        .max_tables_per_component(parts.tables)
        .max_memory_size(config.max_memory_mib << 20)
        .table_elements(memory::TABLE_ELEMENTS)
        .async_stack_keep_resident(64 << 10)
        .linear_memory_keep_resident(64 << 10)
        .table_keep_resident(16 << 10)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// The settings that decide the compiled code of the platform's components. The
/// child that compiles has only these, because the pool takes address space.
fn code_settings() -> Config {
    let mut settings = Config::new();
    settings
        .concurrency_support(false)
        .epoch_interruption(true)
        .memory_init_cow(true)
        .max_wasm_stack(512 << 10)
        .async_stack_size(1 << 20)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(16));
    without_newest_instructions(&mut settings);
    settings
}

/// Keeps the compiler from instructions that it has few uses for and that valgrind does not
/// know.
fn without_newest_instructions(settings: &mut Config) {
    if !cfg!(target_arch = "x86_64") {
        return;
    }
    for flag in [
        "has_avx_vnni",
        "has_avx512bitalg",
        "has_avx512dq",
        "has_avx512f",
        "has_avx512vbmi",
        "has_avx512vl",
        "has_avx512vnni",
    ] {
        // SAFETY: Code that uses fewer instructions does the same.
        #[expect(unsafe_code, reason = "some other flags of the compiler would make unsound code")]
        unsafe {
            settings.cranelift_flag_set(flag, "false");
        }
    }
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
