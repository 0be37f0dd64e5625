//! Values that all users of a name share, for as long as one of them uses them.

use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

/// A value for each name that is in use. All revisions of a plugin share the value of
/// its name.
pub struct SharedByName<T>(Mutex<HashMap<String, Weak<T>>>);

impl<T> Default for SharedByName<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> SharedByName<T> {
    /// The value of a name. Makes one if nobody uses the name.
    pub fn get_or_make(&self, name: &str, make: impl FnOnce() -> Arc<T>) -> Arc<T> {
        let mut values = self.0.lock();
        if let Some(known) = values.get(name).and_then(Weak::upgrade) {
            return known;
        }
        values.retain(|_, known| known.strong_count() > 0);
        let new = make();
        values.insert(name.to_owned(), Arc::downgrade(&new));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_a_name_share_its_value_while_one_of_them_lives() {
        let values = SharedByName::default();
        let get = |name, value| values.get_or_make(name, || Arc::new(value));
        let (first, second, other) = (get("a", 1), get("a", 2), get("b", 3));
        assert_eq!((*first, *second, *other), (1, 1, 3));
        drop((first, second));
        let (again, _new) = (get("a", 4), get("c", 5));
        assert_eq!((*again, values.0.lock().len()), (4, 3));
        drop(again);
        let _new = get("d", 6);
        assert!(!values.0.lock().contains_key("a"), "names that nobody uses are forgotten");
    }
}
