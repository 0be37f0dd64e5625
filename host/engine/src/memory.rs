//! The memory of one instance, within the budgets of its plugin and of the host.

use crate::ComponentContext;
use host_base::{
    ByteBudget,
    byte_budget::{BudgetExceeded, HeldBytes},
};
use std::sync::Arc;
use wasmtime::ResourceLimiter;

/// Bounds an instance's linear memory and counts its bytes. They also count against
/// the budget of the plugin, because many calls may run at once.
pub(super) struct MemoryLimit {
    /// The bytes of all memories of the instance.
    pub(super) bytes: usize,
    limit_bytes: usize,
    budget: Arc<ByteBudget>,
    held: Option<HeldBytes>,
}

/// The memories of guests take as much as they may together.
#[derive(Debug, thiserror::Error)]
#[error("the memory of {limit_bytes} bytes is used up")]
pub(super) struct MemoryUsedUp {
    pub(super) limit_bytes: usize,
    /// Whether it is the memory of one plugin, and not that of all plugins.
    pub(super) of_plugin: bool,
}

impl From<BudgetExceeded> for MemoryUsedUp {
    fn from(BudgetExceeded { limit, is_part }: BudgetExceeded) -> Self {
        Self { limit_bytes: limit, of_plugin: is_part }
    }
}

/// The largest table.
pub(super) const TABLE_ELEMENTS: usize = 20_000;

impl MemoryLimit {
    pub(super) fn new(component: &ComponentContext) -> Self {
        let limit_bytes = component.limits.memory_mib << 20;
        Self { bytes: 0, limit_bytes, budget: component.memory.clone(), held: None }
    }

    /// Whether the plugin needs its memory for calls. Its instances do not wait for a call
    /// then.
    pub(super) fn is_scarce(&self) -> bool {
        self.budget.is_scarce()
    }

    /// The same for the memory of all plugins.
    pub(super) fn is_scarce_for_all(&self) -> bool {
        self.budget.whole().is_some_and(|all| all.is_scarce())
    }

    fn hold(&mut self, bytes: usize) -> Result<(), BudgetExceeded> {
        match &mut self.held {
            Some(held) => held.grow(bytes),
            None => self.budget.hold(bytes).map(|held| self.held = Some(held)),
        }
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let after = self.bytes.saturating_add(more);
        if after > self.limit_bytes {
            return Ok(false);
        }
        self.hold(more).map_err(MemoryUsedUp::from)?;
        self.bytes = after;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }
}
