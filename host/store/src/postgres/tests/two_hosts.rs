//! Two hosts on one database.

use super::{databases, host, patient};
use crate::{
    Databases,
    conformance::Store,
    postgres::{PostgresDatabases, notify_channel::POLL_INTERVAL},
};
use futures::FutureExt;
use tokio::time::timeout;

/// Two hosts that have opened the same component.
pub(super) struct TwoHosts {
    pub(super) url: String,
    pub(super) here: Store,
    pub(super) there: Store,
    pub(super) there_databases: PostgresDatabases,
    _here_databases: PostgresDatabases,
}

impl TwoHosts {
    pub(super) async fn start() -> Self {
        let (here_databases, url) = databases(patient()).await;
        let there_databases = host(&url, patient()).await;
        let (here, there) =
            (here_databases.open("things").await.unwrap(), there_databases.open("things").await.unwrap());
        Self { url, here, there, there_databases, _here_databases: here_databases }
    }

    /// Waits until the other host has polled. It does not poll again for a
    /// while.
    pub(super) async fn there_has_polled(&self) {
        let timers = self.there.timers_signal();
        // The first signal may be older than the last poll.
        for _ in 0..2 {
            timers.begin_read();
            timeout(POLL_INTERVAL * 2, timers.earlier()).await.expect("the other host does not poll");
        }
        // A poll wakes the relay before the timer worker.
        self.there.outbox_signal().changed().now_or_never();
    }
}
