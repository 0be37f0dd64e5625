//! The figures that the host keeps of each plugin by itself. All revisions of a
//! plugin share them, and they live as long as one of these revisions.

use super::{failure_log::FailureLog, history::History};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Instant,
};

/// The figures of one plugin.
pub struct Figures {
    /// Its calls in the last 15 minutes.
    pub history: History,
    /// Its last failures.
    pub failures: FailureLog,
}

/// The figures of all plugins.
#[derive(Default)]
pub struct FiguresOfPlugins(Mutex<HashMap<String, Weak<Figures>>>);

impl Figures {
    /// Begins now, without a call.
    pub(super) fn new() -> Self {
        Self { history: History::new(Instant::now()), failures: FailureLog::default() }
    }
}

impl FiguresOfPlugins {
    /// The figures of a plugin.
    pub(super) fn of(&self, plugin: &str) -> Arc<Figures> {
        let mut all = self.0.lock();
        all.retain(|_, figures| figures.strong_count() > 0);
        if let Some(figures) = all.get(plugin).and_then(Weak::upgrade) {
            return figures;
        }
        let figures = Arc::new(Figures::new());
        all.insert(plugin.to_owned(), Arc::downgrade(&figures));
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_of_one_plugin_share_its_figures_while_one_of_them_lives() {
        let plugins = FiguresOfPlugins::default();
        let (first, second, other) = (plugins.of("a"), plugins.of("a"), plugins.of("b"));
        assert!(Arc::ptr_eq(&first, &second) && !Arc::ptr_eq(&first, &other));
        drop((first, second));
        assert!(plugins.of("a").failures.newest().is_none());
        assert_eq!(plugins.0.lock().len(), 2);
    }
}
