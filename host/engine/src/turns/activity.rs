//! The plugins that want the processors.

/// The numbers of plugins with calls in a window and in the one before it.
#[derive(Default)]
pub(super) struct Activity {
    window: u64,
    plugins: usize,
    plugins_before: usize,
}

impl Activity {
    fn enter(&mut self, window: u64) {
        if window > self.window {
            self.plugins_before = if window == self.window + 1 { self.plugins } else { 0 };
            (self.window, self.plugins) = (window, 0);
        }
    }

    /// Another plugin has its first call in this window.
    pub(super) fn add(&mut self, window: u64) {
        self.enter(window);
        self.plugins += 1;
    }

    /// Whether no second plugin had a call, in this window or the one before.
    pub(super) fn has_one_plugin(&mut self, window: u64) -> bool {
        self.enter(window);
        self.plugins <= 1 && self.plugins_before <= 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_alone_when_no_other_one_had_a_call_in_this_window_or_the_one_before() {
        let mut activity = Activity::default();
        let mut alone = |window: u64, plugins: usize| {
            (0..plugins).for_each(|_| activity.add(window));
            activity.has_one_plugin(window)
        };
        assert!(alone(0, 1) && alone(1, 1));
        assert!(!alone(2, 2));
        assert!(!alone(3, 1), "the other one had a call in the window before");
        assert!(alone(4, 1));
        assert!(!alone(5, 2));
        assert!(alone(9, 1), "nobody had a call in the window before");
    }
}
