//! The answers that clients have not taken yet: one budget for the host, and a
//! part of it for each plugin. All revisions of a plugin share its part.

use host_base::ByteBudget;
use host_config::http::HttpConfig;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

/// The budgets of all plugins.
pub struct UnsentBudgets {
    whole: Arc<ByteBudget>,
    part_bytes: usize,
    parts: Mutex<HashMap<String, Weak<ByteBudget>>>,
}

impl UnsentBudgets {
    /// The budgets of the settings.
    pub fn new(config: &HttpConfig) -> Self {
        let part_bytes = config.unsent_plugin_mib << 20;
        Self { whole: ByteBudget::new(config.unsent_mib << 20), part_bytes, parts: Mutex::default() }
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
}
