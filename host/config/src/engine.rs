//! `[engine]`: what all instances together may use.

use super::problem::{Invalid, within};
use serde::Deserialize;
use std::path::PathBuf;

/// Settings of the WebAssembly engine.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Instances that exist at the same time, warm ones included.
    pub max_instances: u32,
    /// The most that any plugin's `memory_mib` may be.
    pub max_memory_mib: usize,
    /// Where compiled plugins are kept; unset: `cache` in the data directory.
    pub cache_dir: Option<PathBuf>,
}

/// As in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawEngineConfig {
    max_instances: Option<u32>,
    max_memory_mib: Option<usize>,
    cache_dir: Option<PathBuf>,
}

impl TryFrom<RawEngineConfig> for EngineConfig {
    type Error = Invalid;

    fn try_from(raw: RawEngineConfig) -> Result<Self, Invalid> {
        Ok(Self {
            max_instances: within("engine.max_instances", raw.max_instances, 1_000, 1..=100_000)?,
            max_memory_mib: within("engine.max_memory_mib", raw.max_memory_mib, 512, 1..=4_096)?,
            cache_dir: raw.cache_dir,
        })
    }
}
