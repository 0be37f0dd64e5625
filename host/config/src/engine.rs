//! `[engine]`: what all instances together may use.

use super::problem::{Invalid, within};
use serde::Deserialize;
use std::{path::PathBuf, thread, time::Duration};

/// Settings of the WebAssembly engine.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Instances that exist at the same time, warm ones included: of the platform's interfaces,
    /// and as many of `wasi:http`.
    pub max_instances: u32,
    /// The most that any plugin's `memory_mib` may be.
    pub max_memory_mib: usize,
    /// The most parts of one instance.
    pub parts: InstanceParts,
    /// The memory of all instances of all plugins.
    pub guest_memory_mib: usize,
    /// The memory of all instances of one plugin. It is at least that of one instance.
    pub plugin_memory_mib: usize,
    /// Where compiled plugins are kept; unset: `cache` in the data directory.
    pub cache_dir: Option<PathBuf>,
    /// What compiling one uploaded component may use.
    pub compile: CompileLimits,
}

/// The parts of one instance of a component. An interpreter has many core instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstanceParts {
    /// Instances of core modules.
    pub core_instances: u32,
    /// Linear memories.
    pub memories: u32,
    /// Tables of functions.
    pub tables: u32,
}

/// Limits of the process that compiles one component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Memory.
    pub memory_mib: u64,
    /// Processor time, of all processors together.
    pub cpu_seconds: u64,
    /// Time from its start to its end.
    pub wall_seconds: u64,
}

impl CompileLimits {
    /// Time from the start of the process to its end.
    pub fn wall_time(&self) -> Duration {
        Duration::from_secs(self.wall_seconds)
    }
}

/// As in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawEngineConfig {
    max_instances: Option<u32>,
    max_memory_mib: Option<usize>,
    max_core_instances: Option<u32>,
    max_memories: Option<u32>,
    max_tables: Option<u32>,
    guest_memory_mib: Option<usize>,
    plugin_memory_mib: Option<usize>,
    cache_dir: Option<PathBuf>,
    compile_memory_mib: Option<u64>,
    compile_cpu_seconds: Option<u64>,
    compile_wall_seconds: Option<u64>,
}

impl TryFrom<RawEngineConfig> for EngineConfig {
    type Error = Invalid;

    fn try_from(raw: RawEngineConfig) -> Result<Self, Invalid> {
        let processors = thread::available_parallelism().map_or(1, |processors| processors.get() as u64);
        let max_memory_mib = within("engine.max_memory_mib", raw.max_memory_mib, 512, 1..=4_096)?;
        let guest_memory_mib = within("engine.guest_memory_mib", raw.guest_memory_mib, 2_048, 1..=1 << 20)?;
        Ok(Self {
            max_instances: within("engine.max_instances", raw.max_instances, 1_000, 1..=100_000)?,
            max_memory_mib,
            parts: InstanceParts {
                core_instances: within("engine.max_core_instances", raw.max_core_instances, 64, 1..=10_000)?,
                memories: within("engine.max_memories", raw.max_memories, 2, 1..=100)?,
                tables: within("engine.max_tables", raw.max_tables, 20, 1..=1_000)?,
            },
            // One instance always fits.
            guest_memory_mib: guest_memory_mib.max(max_memory_mib),
            plugin_memory_mib: within("engine.plugin_memory_mib", raw.plugin_memory_mib, 512, 1..=1 << 20)?,
            cache_dir: raw.cache_dir,
            compile: CompileLimits {
                memory_mib: within("engine.compile_memory_mib", raw.compile_memory_mib, 768, 64..=65_536)?,
                cpu_seconds: within(
                    "engine.compile_cpu_seconds",
                    raw.compile_cpu_seconds,
                    15 * processors,
                    1..=86_400,
                )?,
                wall_seconds: within("engine.compile_wall_seconds", raw.compile_wall_seconds, 15, 1..=3_600)?,
            },
        })
    }
}
