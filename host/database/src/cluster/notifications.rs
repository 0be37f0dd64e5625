//! Wakes this host when another has announced something: PostgreSQL's
//! `NOTIFY`. What is lost while the connection is away is made up for by
//! looking again, which every host does by itself.

use super::BEAT;
use crate::CHANNEL;
use host_base::secret::Secret;
use sqlx::postgres::PgListener;
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, task::AbortHandle, time::sleep};
use tokio_util::sync::CancellationToken;

const AFTER_AN_ERROR: Duration = Duration::from_secs(1);

/// Listens as long as it lives.
pub(super) struct Notifications {
    heard: Arc<watch::Sender<()>>,
    listening: AbortHandle,
}

/// Hears of what is announced from now on.
pub struct Listener(watch::Receiver<()>);

impl Notifications {
    pub(super) fn hear(url: &Secret) -> Self {
        let heard = Arc::new(watch::Sender::new(()));
        let listening = tokio::spawn(listen(url.clone(), heard.clone())).abort_handle();
        Self { heard, listening }
    }

    pub(super) fn listener(&self) -> Listener {
        Listener(self.heard.subscribe())
    }
}

impl Listener {
    /// Waits until something was announced, or until it is time to look again.
    /// False when this host stops first.
    pub async fn next(&mut self, stop: &CancellationToken) -> bool {
        tokio::select! {
            biased;
            () = stop.cancelled() => false,
            Ok(()) = self.0.changed() => true,
            () = sleep(BEAT) => true,
        }
    }
}

impl Drop for Notifications {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(url: Secret, heard: Arc<watch::Sender<()>>) {
    loop {
        if let Err(error) = listen_once(&url, &heard).await {
            tracing::debug!(%error, "other hosts are not heard");
        }
        sleep(AFTER_AN_ERROR).await;
    }
}

async fn listen_once(url: &Secret, heard: &watch::Sender<()>) -> sqlx::Result<()> {
    let mut listener = PgListener::connect(url.expose()).await?;
    listener.listen(CHANNEL).await?;
    loop {
        // What was announced until now may not have been heard.
        heard.send_replace(());
        listener.recv().await?;
    }
}
