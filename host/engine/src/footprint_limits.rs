//! Compares what an instance of a component takes at its start with the limits.
//! Without this check a component would fail when it is activated.

use crate::state::TABLE_ELEMENTS;
use host_artifact::{ComponentKind, Footprint};

/// The limits of an instance of a platform component. The pool has places for as
/// many.
pub(super) const CORE_INSTANCES: u32 = 20;
pub(super) const MEMORIES: u32 = 2;
pub(super) const TABLES: u32 = 20;
/// The limits of a store without a pool: wasmtime's own.
const WITHOUT_POOL: u32 = 10_000;

/// An instance of the component would take more than a limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an instance of the component begins with {found} {what}, more than {setting} = {limit}")]
pub struct FootprintError {
    /// The amount of the component.
    pub found: u64,
    /// Its unit, such as `MiB of memory`.
    pub what: &'static str,
    /// The name of the limit.
    pub setting: &'static str,
    /// The limit.
    pub limit: u64,
}

/// # Errors
/// The first limit that the component exceeds.
pub(super) fn check(
    kind: ComponentKind,
    footprint: &Footprint,
    memory_mib: usize,
    max_memory_mib: usize,
) -> Result<(), FootprintError> {
    let count = |of_pool: u32| match kind {
        ComponentKind::Platform => u64::from(of_pool),
        ComponentKind::WasiHttp => u64::from(WITHOUT_POOL),
    };
    let mib = footprint.memory_bytes.div_ceil(1 << 20);
    let checks = [
        (mib, "MiB of memory", "limits.memory_mib", memory_mib as u64),
        (mib, "MiB of memory", "engine.max_memory_mib", max_memory_mib as u64),
        (footprint.largest_table, "elements in a table", "the host's limit on table elements", TABLE_ELEMENTS as u64),
        (footprint.memories, "memories", "the host's limit on memories", count(MEMORIES)),
        (footprint.tables, "tables", "the host's limit on tables", count(TABLES)),
        (footprint.core_instances, "core instances", "the host's limit on core instances", count(CORE_INSTANCES)),
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
        let refusal = |footprint: Footprint, kind| check(kind, &footprint, 64, 512).unwrap_err().to_string();
        let memory = Footprint { memory_bytes: (96 << 20) + 1, ..Footprint::default() };
        let expected = "an instance of the component begins with 97 MiB of memory, more than limits.memory_mib = 64";
        for kind in [ComponentKind::Platform, ComponentKind::WasiHttp] {
            assert_eq!(refusal(memory, kind), expected);
        }
        let tables = Footprint { tables: 21, ..Footprint::default() };
        assert!(
            refusal(tables, ComponentKind::Platform).ends_with("21 tables, more than the host's limit on tables = 20")
        );
        assert_eq!(check(ComponentKind::WasiHttp, &tables, 64, 512), Ok(()));
        let lower = check(ComponentKind::Platform, &memory, 128, 32).unwrap_err();
        assert_eq!((lower.setting, lower.limit), ("engine.max_memory_mib", 32));
        let exactly = Footprint { memory_bytes: 64 << 20, memories: 2, ..Footprint::default() };
        assert_eq!(check(ComponentKind::Platform, &exactly, 64, 64), Ok(()));
    }
}
