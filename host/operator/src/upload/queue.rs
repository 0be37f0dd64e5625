//! The queue of uploads. Each token has a queue of its own, of which one upload
//! at a time is checked. So the uploads of different tokens take turns, and a
//! token with many uploads waits for itself alone.

use host_http::error::Refusal;
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Tokens that can fill their queues at the same time.
const FULL_QUEUES: usize = 8;

/// The queues of all tokens.
pub struct UploadQueue {
    per_token: usize,
    /// Places of all tokens together.
    places: Arc<Semaphore>,
    tokens: Mutex<BTreeMap<String, Arc<TokenQueue>>>,
}

struct TokenQueue {
    places: Arc<Semaphore>,
    turn: Semaphore,
}

/// The place of one upload, from its first byte to its verdict.
pub(super) struct Place {
    token: Arc<TokenQueue>,
    _of_token: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl UploadQueue {
    /// Queues with this number of places for each token.
    pub fn new(per_token: usize) -> Self {
        let places = Arc::new(Semaphore::new(per_token.saturating_mul(FULL_QUEUES)));
        Self { per_token, places, tokens: Mutex::default() }
    }

    /// Takes a place in the queue of a token.
    ///
    /// # Errors
    /// [`Refusal::Busy`] when the token or the host has too many uploads.
    pub(super) fn enter(&self, token: &str) -> Result<Place, Refusal> {
        let token = self.queue(token);
        let of_token = token.places.clone().try_acquire_owned().map_err(|_| Refusal::Busy)?;
        let of_all = self.places.clone().try_acquire_owned().map_err(|_| Refusal::Busy)?;
        Ok(Place { token, _of_token: of_token, _of_all: of_all })
    }

    fn queue(&self, token: &str) -> Arc<TokenQueue> {
        let mut tokens = self.tokens.lock();
        // A queue without uploads need not be kept.
        tokens.retain(|_, queue| Arc::strong_count(queue) > 1);
        let new = || TokenQueue { places: Arc::new(Semaphore::new(self.per_token)), turn: Semaphore::new(1) };
        tokens.entry(token.to_owned()).or_insert_with(|| Arc::new(new())).clone()
    }
}

impl Place {
    /// Runs work when it is the turn of this upload among those of its token.
    pub(super) async fn in_turn<T>(&self, work: impl Future<Output = T>) -> T {
        let _turn = self.token.turn.acquire().await;
        work.await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn the_uploads_of_a_token_wait_for_each_other_and_not_those_of_others() {
        let queue = Arc::new(UploadQueue::new(2));
        let (one, two) = (queue.enter("a").unwrap(), queue.enter("a").unwrap());
        assert!(queue.enter("a").is_err(), "the queue of this token is full");
        let (end, ended) = oneshot::channel::<()>();
        let first = tokio::spawn(async move { one.in_turn(ended).await });
        tokio::task::yield_now().await;
        let second = tokio::spawn(async move { two.in_turn(async {}).await });
        tokio::task::yield_now().await;
        queue.enter("b").unwrap().in_turn(async {}).await;
        assert!(!second.is_finished());
        end.send(()).unwrap();
        first.await.unwrap().unwrap();
        second.await.unwrap();
        assert!(queue.enter("a").is_ok());
    }

    #[test]
    fn all_tokens_together_have_a_bounded_number_of_places() {
        let queue = UploadQueue::new(1);
        let places: Vec<Place> = (0..FULL_QUEUES).map(|token| queue.enter(&token.to_string()).unwrap()).collect();
        assert!(queue.enter("another").is_err());
        drop(places);
        drop(queue.enter("another").unwrap());
        assert_eq!(queue.tokens.lock().len(), 1, "queues are not kept");
    }
}
