//! Compares what an instance of a component takes at its start with the limits.
//! Without this check a component would fail when it is activated.

use crate::memory::TABLE_ELEMENTS;
use host_artifact::Footprint;
use host_config::{engine::InstanceParts, limits::Limits};

/// An instance of the component would take more than a limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an instance of the component begins with {found} {what}, more than {setting} = {limit}")]
pub struct FootprintError {
    /// The amount of the component.
    pub found: u64,
    /// Its unit, such as `MiB of memory`.
    pub what: &'static str,
    /// The name of the limit, such as `limits.memory_mib`.
    pub setting: &'static str,
    /// The limit.
    pub limit: u64,
}

/// # Errors
/// The first limit that the component exceeds.
pub(super) fn check(
    footprint: &Footprint,
    limits: &Limits,
    max_memory_mib: usize,
    parts: InstanceParts,
) -> Result<(), FootprintError> {
    let mib = footprint.memory_bytes.div_ceil(1 << 20);
    let checks = [
        (mib, "MiB of memory", "limits.memory_mib", limits.memory_mib as u64),
        (mib, "MiB of memory", "engine.max_memory_mib", max_memory_mib as u64),
        (footprint.largest_table, "elements in a table", "the host's limit on table elements", TABLE_ELEMENTS as u64),
        (footprint.memories, "memories", "limits.memories", limits.memories.into()),
        (footprint.memories, "memories", "engine.max_memories", parts.memories.into()),
        (footprint.tables, "tables", "limits.tables", limits.tables.into()),
        (footprint.tables, "tables", "engine.max_tables", parts.tables.into()),
        (footprint.core_instances, "core instances", "limits.core_instances", limits.core_instances.into()),
        (footprint.core_instances, "core instances", "engine.max_core_instances", parts.core_instances.into()),
    ];
    match checks.into_iter().find(|(found, _, _, limit)| found > limit) {
        Some((found, what, setting, limit)) => Err(FootprintError { found, what, setting, limit }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_limit_and_both_values() {
        let parts = InstanceParts { core_instances: 30, memories: 2, tables: 20 };
        let limits = Limits { memories: 3, ..Limits::default() };
        let refusal = |footprint: Footprint| check(&footprint, &limits, 512, parts).unwrap_err().to_string();
        let memory = Footprint { memory_bytes: (96 << 20) + 1, ..Footprint::default() };
        let expected = "an instance of the component begins with 97 MiB of memory, more than limits.memory_mib = 64";
        assert_eq!(refusal(memory), expected);
        let tables = Footprint { tables: 21, ..Footprint::default() };
        assert!(refusal(tables).ends_with("21 tables, more than limits.tables = 20"));
        let memories = Footprint { memories: 3, ..Footprint::default() };
        assert!(refusal(memories).ends_with("3 memories, more than engine.max_memories = 2"));
        let instances = Footprint { core_instances: 31, ..Footprint::default() };
        assert!(refusal(instances).ends_with("31 core instances, more than engine.max_core_instances = 30"));
        let high = Limits { memory_mib: 128, ..Limits::default() };
        let lower = check(&memory, &high, 32, parts).unwrap_err();
        assert_eq!((lower.setting, lower.limit), ("engine.max_memory_mib", 32));
        let exactly = Footprint { memory_bytes: 64 << 20, memories: 2, core_instances: 30, ..Footprint::default() };
        assert_eq!(check(&exactly, &Limits::default(), 64, parts), Ok(()));
    }
}
