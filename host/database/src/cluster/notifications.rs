//! Wakes this host when another host announces a change. PostgreSQL's `NOTIFY`
//! carries the announcements. While the connection is lost, announcements are
//! lost too. Every host also looks for changes at an interval, so no change is
//! missed.

use super::HEARTBEAT_INTERVAL;
use crate::{
    CHANNEL,
    connections::{Listening, Received},
};
use host_base::secret::Secret;
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, task::AbortHandle, time::sleep};
use tokio_util::sync::CancellationToken;

const RECONNECT_DELAY: Duration = Duration::from_secs(1);
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// Listens as long as it lives.
pub(super) struct Notifications {
    received: Arc<watch::Sender<()>>,
    task: AbortHandle,
}

/// Receives announcements.
pub struct Listener(watch::Receiver<()>);

impl Notifications {
    pub(super) fn listen(url: &Secret) -> Self {
        let received = Arc::new(watch::Sender::new(()));
        let task = tokio::spawn(listen(url.clone(), received.clone())).abort_handle();
        Self { received, task }
    }

    pub(super) fn listener(&self) -> Listener {
        Listener(self.received.subscribe())
    }
}

impl Listener {
    /// Waits for an announcement, or until it is time to look for changes
    /// anyway. Returns false if the host stops first.
    pub async fn next(&mut self, stop: &CancellationToken) -> bool {
        tokio::select! {
            biased;
            () = stop.cancelled() => false,
            Ok(()) = self.0.changed() => true,
            () = sleep(HEARTBEAT_INTERVAL) => true,
        }
    }
}

impl Drop for Notifications {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(url: Secret, received: Arc<watch::Sender<()>>) {
    loop {
        if let Err(error) = listen_once(&url, &received).await {
            tracing::debug!(%error, "the host cannot receive announcements of other hosts");
        }
        sleep(RECONNECT_DELAY).await;
    }
}

async fn listen_once(url: &Secret, received: &watch::Sender<()>) -> sqlx::Result<()> {
    let mut listening = Listening::start(url, CHANNEL, CHECK_INTERVAL).await?;
    // This stands for the announcements before the connection.
    received.send_replace(());
    loop {
        match listening.next().await? {
            Received::Notification(_) | Received::Gap => {
                received.send_replace(());
            }
            Received::Checked => {}
        }
    }
}
