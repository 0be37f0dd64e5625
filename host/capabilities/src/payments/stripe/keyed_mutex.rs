//! Calls with the same key take turns in this host, so that the second finds
//! what the first has recorded. Hosts beside it are kept apart by Stripe's
//! idempotency keys, with an answer that has to be asked for again.

use parking_lot::{Mutex, MutexGuard};
use std::{collections::HashMap, sync::Arc};
use tokio::sync::OwnedMutexGuard;

type Waiting = HashMap<String, Arc<tokio::sync::Mutex<()>>>;

/// Who is at work. Keys that nobody uses take no memory.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns(Arc<Mutex<Waiting>>);

/// The right to make calls with one key, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Turns,
    key: String,
    held: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits until nobody else in this host makes calls with this key.
    pub(super) async fn take(&self, key: &str) -> Turn {
        let one = Arc::clone(self.waiting().entry(key.to_owned()).or_default());
        // Made before the wait, so that one who stops waiting tidies up too.
        let mut turn = Turn { turns: self.clone(), key: key.to_owned(), held: None };
        turn.held = Some(one.lock_owned().await);
        turn
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.held = None;
        let mut waiting = self.turns.waiting();
        if waiting.get(&self.key).is_some_and(|one| Arc::strong_count(one) == 1) {
            waiting.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// How many at once, of fifty that take turns, have theirs.
    async fn at_once(turns: &Turns, key: impl Fn(u32) -> String) -> u32 {
        let (inside, most) = (AtomicU32::new(0), AtomicU32::new(0));
        join_all((0..50).map(|number| {
            let (key, inside, most) = (key(number), &inside, &most);
            async move {
                let _turn = turns.take(&key).await;
                most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                inside.fetch_sub(1, Ordering::SeqCst);
            }
        }))
        .await;
        most.into_inner()
    }

    #[tokio::test]
    async fn one_at_a_time_has_the_turn_of_a_key() {
        assert_eq!(at_once(&Turns::default(), |_| "one".to_owned()).await, 1);
        // The control: with a key each nobody waits.
        assert_eq!(at_once(&Turns::default(), |number| number.to_string()).await, 50);
    }

    #[tokio::test]
    async fn nothing_is_left_of_a_key_that_nobody_uses() {
        let turns = Turns::default();
        let held = turns.take("held").await;
        at_once(&turns, |number| (number % 5).to_string()).await;
        let gives_up = turns.clone();
        let given_up = tokio::time::timeout(std::time::Duration::from_millis(1), gives_up.take("held")).await;
        assert!(given_up.is_err());
        assert_eq!(turns.waiting().len(), 1);
        drop(held);
        assert!(turns.waiting().is_empty());
    }
}
