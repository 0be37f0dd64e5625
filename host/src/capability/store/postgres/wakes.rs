//! What commits of all hosts announce: one connection listens, and wakes
//! whoever waits for a component's events or timers in this process.

use super::super::Signals;
use crate::config::Secret;
use sqlx::postgres::PgListener;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{sleep, timeout};

/// The name in the functions of `schema.rs`.
const CHANNEL: &str = "ticketing_store";
const AFTER_AN_ERROR: Duration = Duration::from_secs(1);
/// Everybody looks once in so long, whatever was heard.
const SAFETY_NET: Duration = Duration::from_secs(5);

/// Who is to be woken.
#[derive(Default)]
pub(super) struct Wakes(Mutex<HashMap<String, Arc<Signals>>>);

impl Wakes {
    pub(super) fn signals(&self, component: &str) -> Arc<Signals> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(component.to_owned()).or_default().clone()
    }

    /// Listens until it is dropped. After a connection was lost everybody
    /// looks, because nobody knows what was missed.
    pub(super) async fn listen(self: Arc<Self>, url: Secret) {
        loop {
            if let Err(error) = self.hear(&url).await {
                tracing::warn!(%error, "commits of other hosts are not heard of");
            }
            sleep(AFTER_AN_ERROR).await;
        }
    }

    async fn hear(&self, url: &Secret) -> sqlx::Result<()> {
        let mut listener = PgListener::connect(url.expose()).await?;
        listener.listen(CHANNEL).await?;
        self.wake_all();
        loop {
            match timeout(SAFETY_NET, listener.try_recv()).await {
                Ok(Ok(Some(notification))) => self.wake(notification.payload()),
                Ok(Ok(None)) | Err(_) => self.wake_all(),
                Ok(Err(error)) => return Err(error),
            }
        }
    }

    fn wake(&self, payload: &str) {
        let Some((what, component)) = payload.split_once(' ') else { return };
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (what, known.get(component)) {
            ("outbox", Some(signals)) => signals.outbox.notify_one(),
            ("timers", Some(signals)) => signals.timers.notify_one(),
            _ => {}
        }
    }

    fn wake_all(&self) {
        for signals in self.0.lock().unwrap_or_else(PoisonError::into_inner).values() {
            signals.outbox.notify_one();
            signals.timers.notify_one();
        }
    }
}
