//! A transaction that holds the write lock, on its connection.

use super::{
    errors::{Failure, Recovery},
    live_log::LiveInsert,
    outbox_insert::OutboxInsert,
    pool::{PooledConnection, closed},
};
use crate::{Error, OutboxBatch};
use host_database::connections::{Connections, no_answer};
use sqlx::{Executor, PgConnection};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{runtime::Handle, time::timeout};

/// The longest time without an answer to a rollback.
const ROLLBACK_LIMIT: Duration = Duration::from_secs(5);

/// One transaction on one connection. Dropping it rolls it back.
pub(super) struct WriteGuard {
    /// None after the end of the transaction.
    connection: Option<PooledConnection>,
    /// Whether a statement runs, or its caller was dropped before its end.
    is_statement_running: bool,
    /// Whether the connection must not be used again.
    is_lost: bool,
}

/// The last statements of a transaction before its commit.
pub(super) struct LastStatements {
    pub(super) live: Option<LiveInsert>,
    pub(super) outbox: Option<OutboxInsert>,
}

impl LastStatements {
    /// Runs them. Returns the events of the outbox.
    async fn run(self, connection: &mut PgConnection) -> Result<Option<OutboxBatch>, Failure> {
        if let Some(live) = self.live {
            live.run(connection).await?;
        }
        match self.outbox {
            Some(outbox) => outbox.run(connection).await.map(Some),
            None => Ok(None),
        }
    }

    fn is_empty(&self) -> bool {
        self.live.is_none() && self.outbox.is_none()
    }
}

impl WriteGuard {
    pub(super) fn new(connection: PooledConnection) -> Self {
        Self { connection: Some(connection), is_statement_running: false, is_lost: false }
    }

    /// The connection, for a statement. The caller calls
    /// [`end_statement`](Self::end_statement) after it.
    pub(super) fn start_statement(&mut self) -> Result<&mut PgConnection, Error> {
        self.is_statement_running = true;
        self.connection.as_mut().ok_or_else(closed)?.connection()
    }

    pub(super) fn end_statement(&mut self) {
        self.is_statement_running = false;
    }

    /// When the connection was made.
    pub(super) fn made(&self) -> Option<Instant> {
        self.connection.as_ref().map(|connection| connection.made)
    }

    /// Discards the connection at the end of the transaction, if the failure
    /// says so.
    pub(super) fn note(&mut self, failure: &Failure) {
        self.is_lost |= failure.discards_connection();
    }

    /// Closes a connection that is lost. The server has rolled back.
    pub(super) fn close_connection(mut self) {
        drop(self.connection.take());
    }

    /// Runs the last statements, commits, and calls `announce` with the events of
    /// the outbox. All of it goes on to its end even if the caller is dropped.
    pub(super) async fn commit(
        mut self,
        last: LastStatements,
        connections: Arc<Connections>,
        announce: impl FnOnce(Option<OutboxBatch>) + Send + 'static,
    ) -> Result<(), Error> {
        let connection = self.connection.take().ok_or_else(closed)?;
        let committed = tokio::spawn(async move {
            let batch = commit(connection, last, &connections).await?;
            announce(batch);
            Ok(())
        });
        committed.await.map_err(|_| closed())?
    }

    /// Discards the changes.
    pub(super) async fn rollback(mut self) {
        if let Some(rollback) = self.rollback_task() {
            // If the task fails, the server rolls back.
            drop(tokio::spawn(rollback).await);
        }
    }

    fn rollback_task(&mut self) -> Option<impl Future<Output = ()> + Send + 'static> {
        let mut pooled = self.connection.take()?;
        if self.is_statement_running || self.is_lost {
            // Dropping the connection closes it. The server then ends the
            // statement and rolls back. It checks its connections every second
            // (`databases.rs`).
            return None;
        }
        Some(async move {
            let Ok(connection) = pooled.connection() else { return };
            match timeout(ROLLBACK_LIMIT, connection.execute("ROLLBACK")).await {
                Ok(Ok(_)) => pooled.release(),
                Ok(Err(error)) => tracing::debug!(%error, "a rollback failed, the server rolls back"),
                Err(_) => tracing::debug!("a rollback gets no answer, the server rolls back"),
            }
        })
    }
}

impl Drop for WriteGuard {
    fn drop(&mut self) {
        if let Some(rollback) = self.rollback_task()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(rollback);
        }
    }
}

/// Runs the last statements and commits. Returns the events of the outbox. After an error,
/// dropping the connection makes the server roll back.
async fn commit(
    mut pooled: PooledConnection,
    last: LastStatements,
    connections: &Connections,
) -> Result<Option<OutboxBatch>, Error> {
    let connection = pooled.connection()?;
    let batch = match last.is_empty() {
        true => None,
        false => {
            let ran = connections.unless_silent(last.run(connection)).await;
            ran.unwrap_or_else(|| Err(Failure::no_answer())).map_err(Failure::into_error)?
        }
    };
    let committed = connections.unless_silent(connection.execute("COMMIT")).await;
    match committed.unwrap_or_else(|| Err(no_answer())).map_err(Failure::from) {
        Ok(_) => {
            pooled.release();
            Ok(batch)
        }
        Err(Failure { recovery: Some(Recovery::Reconnect), .. }) => {
            Err(Error::Unavailable("the connection was lost: whether it was committed is unknown".into()))
        }
        Err(failure) if failure.discards_connection() => Err(failure.error),
        Err(failure) => {
            pooled.release();
            Err(failure.error)
        }
    }
}
