//! Bytes that the calls of plugins hold: one budget for the host, and a part of it for
//! each plugin. All revisions of a plugin share its part.

use host_base::ByteBudget;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

/// The budgets of all plugins for one kind of bytes.
pub struct PluginBudgets {
    whole: Arc<ByteBudget>,
    part_bytes: usize,
    parts: Mutex<HashMap<String, Weak<ByteBudget>>>,
}

impl PluginBudgets {
    /// Budgets of this size, in MiB: of the host, and of each plugin.
    pub fn new(whole_mib: usize, part_mib: usize) -> Self {
        Self { whole: ByteBudget::new(whole_mib << 20), part_bytes: part_mib << 20, parts: Mutex::default() }
    }

    /// The budget of a plugin.
    pub(super) fn of(&self, plugin: &str) -> Arc<ByteBudget> {
        let mut parts = self.parts.lock();
        parts.retain(|_, part| part.strong_count() > 0);
        if let Some(part) = parts.get(plugin).and_then(Weak::upgrade) {
            return part;
        }
        let part = ByteBudget::part_of(&self.whole, self.part_bytes);
        parts.insert(plugin.to_owned(), Arc::downgrade(&part));
        part
    }

    /// The budget of a plugin, which is not below this number of bytes.
    pub(super) fn of_at_least(&self, plugin: &str, bytes: usize) -> Arc<ByteBudget> {
        let part = self.of(plugin);
        part.set_limit(bytes.max(self.part_bytes));
        part
    }
}
