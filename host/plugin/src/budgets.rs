//! Bytes that the calls of plugins hold: one budget for the host, and a part of it for
//! each plugin. All revisions of a plugin share its part.

use host_base::{ByteBudget, SharedByName};
use std::sync::Arc;

/// The budgets of all plugins for one kind of bytes.
pub struct PluginBudgets {
    whole: Arc<ByteBudget>,
    part_bytes: usize,
    parts: SharedByName<ByteBudget>,
}

impl PluginBudgets {
    /// Budgets of this size, in MiB: of the host, and of each plugin.
    pub fn new(whole_mib: usize, part_mib: usize) -> Self {
        Self { whole: ByteBudget::new(whole_mib << 20), part_bytes: part_mib << 20, parts: SharedByName::default() }
    }

    /// The budget of a plugin.
    pub(super) fn of(&self, plugin: &str) -> Arc<ByteBudget> {
        self.parts.get_or_make(plugin, || ByteBudget::part_of(&self.whole, self.part_bytes))
    }

    /// The budget of a plugin, with at least this number of bytes while one of its
    /// revisions is loaded.
    pub(super) fn of_at_least(&self, plugin: &str, bytes: usize) -> Arc<ByteBudget> {
        let part = self.of(plugin);
        part.raise_limit(bytes);
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_with_lower_limits_takes_no_memory_from_the_others() {
        let budgets = PluginBudgets::new(8, 1);
        let active = budgets.of_at_least("a", 4 << 20);
        let _staged = budgets.of_at_least("a", 2 << 20);
        assert!(active.hold(4 << 20).is_ok());
        assert!(budgets.of("b").hold(2 << 20).is_err(), "each plugin has its own part");
    }
}
