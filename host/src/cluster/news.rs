//! Wakes hosts when another has announced something: PostgreSQL's `NOTIFY`.
//! What is lost while the connection is away is made up for by looking again,
//! which every host does by itself.

use crate::{config::Secret, database::CHANNEL};
use sqlx::postgres::PgListener;
use std::{sync::Arc, time::Duration};
use tokio::{sync::Notify, task::AbortHandle, time::sleep};

const AFTER_AN_ERROR: Duration = Duration::from_secs(1);

/// Listens as long as it lives.
pub(super) struct News {
    heard: Arc<Notify>,
    listening: AbortHandle,
}

impl News {
    pub(super) fn hear(url: &Secret) -> Self {
        let heard = Arc::new(Notify::new());
        let listening = tokio::spawn(listen(url.clone(), heard.clone())).abort_handle();
        Self { heard, listening }
    }

    pub(super) fn heard(&self) -> &Arc<Notify> {
        &self.heard
    }
}

impl Drop for News {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(url: Secret, heard: Arc<Notify>) {
    loop {
        if let Err(error) = listen_once(&url, &heard).await {
            tracing::debug!(%error, "other hosts are not heard");
        }
        sleep(AFTER_AN_ERROR).await;
    }
}

async fn listen_once(url: &Secret, heard: &Notify) -> sqlx::Result<()> {
    let mut listener = PgListener::connect(url.expose()).await?;
    listener.listen(CHANNEL).await?;
    loop {
        // What was announced until now may not have been heard.
        heard.notify_one();
        listener.recv().await?;
    }
}
