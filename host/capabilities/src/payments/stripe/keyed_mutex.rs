//! A mutex for each key. In one host, the second call with a key waits for the first
//! one and then finds its recorded outcome. Calls of two hosts are kept apart by
//! Stripe's idempotency keys: one of them gets an error and must be repeated.

use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};
use tokio::sync::OwnedMutexGuard;

type Locks = HashMap<String, Arc<tokio::sync::Mutex<()>>>;

/// The mutexes of the keys that are in use. An unused key takes no memory.
#[derive(Debug, Clone, Default)]
pub(super) struct KeyedMutex(Arc<Mutex<Locks>>);

/// Holds the mutex of one key until it is dropped.
#[derive(Debug)]
pub(super) struct KeyedMutexGuard {
    mutex: KeyedMutex,
    key: String,
    held: Option<OwnedMutexGuard<()>>,
}

impl KeyedMutex {
    /// Waits until no other call in this host holds the mutex of this key.
    pub(super) async fn lock(&self, key: &str) -> KeyedMutexGuard {
        let lock = Arc::clone(self.0.lock().entry(key.to_owned()).or_default());
        // The guard exists before the wait, so that a cancelled wait removes an
        // unused entry too.
        let mut guard = KeyedMutexGuard { mutex: self.clone(), key: key.to_owned(), held: None };
        guard.held = Some(lock.lock_owned().await);
        guard
    }
}

impl Drop for KeyedMutexGuard {
    fn drop(&mut self) {
        self.held = None;
        let mut locks = self.mutex.0.lock();
        if locks.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            locks.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// The highest number of concurrent holders among fifty callers.
    async fn max_holders(mutex: &KeyedMutex, key: impl Fn(u32) -> String) -> u32 {
        let (holders, max) = (AtomicU32::new(0), AtomicU32::new(0));
        join_all((0..50).map(|number| {
            let (key, holders, max) = (key(number), &holders, &max);
            async move {
                let _guard = mutex.lock(&key).await;
                max.fetch_max(holders.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                holders.fetch_sub(1, Ordering::SeqCst);
            }
        }))
        .await;
        max.into_inner()
    }

    #[tokio::test]
    async fn one_caller_at_a_time_holds_the_mutex_of_a_key() {
        assert_eq!(max_holders(&KeyedMutex::default(), |_| "one".to_owned()).await, 1);
        // The control: with different keys, no caller waits.
        assert_eq!(max_holders(&KeyedMutex::default(), |number| number.to_string()).await, 50);
    }

    #[tokio::test]
    async fn an_unused_key_leaves_no_entry() {
        let mutex = KeyedMutex::default();
        let held = mutex.lock("held").await;
        max_holders(&mutex, |number| (number % 5).to_string()).await;
        let cancelled = tokio::time::timeout(std::time::Duration::from_millis(1), mutex.lock("held")).await;
        assert!(cancelled.is_err());
        assert_eq!(mutex.0.lock().len(), 1);
        drop(held);
        assert!(mutex.0.lock().is_empty());
    }
}
