//! Wakes this host when another host announces a change, and receives the messages of
//! other hosts. PostgreSQL's `NOTIFY` carries both. While the connection is lost, they
//! are lost too. Every host also looks for changes at an interval, so no change is
//! missed. A message must be one that may get lost.

use super::HEARTBEAT_INTERVAL;
use crate::{
    CHANNEL,
    connections::{Listening, Received},
};
use host_base::secret::Secret;
use sqlx::postgres::PgNotification;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{broadcast, watch},
    task::AbortHandle,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

const RECONNECT_DELAY: Duration = Duration::from_secs(1);
const CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// The channel of the messages. Each begins with the id of its host and a space.
pub(super) const MESSAGES: &str = "ticketing_messages";
/// The messages that wait in this host. A receiver that falls behind loses older ones.
const BUFFERED_MESSAGES: usize = 4_096;

/// Listens as long as it lives.
pub(super) struct Notifications {
    received: Arc<Senders>,
    task: AbortHandle,
}

struct Senders {
    /// The id of this host, which also receives its own messages.
    own_id: String,
    announced: watch::Sender<()>,
    messages: broadcast::Sender<Arc<str>>,
}

/// Receives announcements.
pub struct Listener(watch::Receiver<()>);

/// Receives the messages of other hosts.
pub struct Messages(broadcast::Receiver<Arc<str>>);

impl Notifications {
    pub(super) fn listen(url: &Secret, own_id: &str) -> Self {
        let received = Arc::new(Senders {
            own_id: own_id.to_owned(),
            announced: watch::Sender::new(()),
            messages: broadcast::Sender::new(BUFFERED_MESSAGES),
        });
        let task = tokio::spawn(listen(url.clone(), received.clone())).abort_handle();
        Self { received, task }
    }

    pub(super) fn listener(&self) -> Listener {
        Listener(self.received.announced.subscribe())
    }

    pub(super) fn messages(&self) -> Messages {
        Messages(self.received.messages.subscribe())
    }
}

impl Messages {
    /// Waits for a message. None when the host stops.
    pub async fn next(&mut self) -> Option<Arc<str>> {
        loop {
            match self.0.recv().await {
                Ok(message) => return Some(message),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

impl Senders {
    fn receive(&self, notification: &PgNotification) {
        if notification.channel() == CHANNEL {
            self.announced.send_replace(());
            return;
        }
        if let Some((host, message)) = notification.payload().split_once(' ')
            && host != self.own_id
        {
            // Without a receiver, nobody is interested.
            let _ = self.messages.send(message.into());
        }
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

async fn listen(url: Secret, received: Arc<Senders>) {
    loop {
        if let Err(error) = listen_once(&url, &received).await {
            tracing::debug!(%error, "the host cannot receive announcements of other hosts");
        }
        sleep(RECONNECT_DELAY).await;
    }
}

async fn listen_once(url: &Secret, received: &Senders) -> sqlx::Result<()> {
    let mut listening = Listening::start(url, &[CHANNEL, MESSAGES], CHECK_INTERVAL).await?;
    // This stands for the announcements before the connection.
    received.announced.send_replace(());
    loop {
        match listening.next().await? {
            Received::Notification(notification) => received.receive(&notification),
            Received::Gap => {
                received.announced.send_replace(());
            }
            Received::Checked => {}
        }
    }
}
