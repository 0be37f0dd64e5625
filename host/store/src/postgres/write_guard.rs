//! A transaction that holds the write lock, on its connection.

use super::{
    errors::{Failure, Recovery},
    outbox_insert::OutboxInsert,
    pool::{PooledConnection, closed},
};
use crate::{Error, OutboxBatch};
use sqlx::{Executor, PgConnection};
use tokio::runtime::Handle;

/// One transaction on one connection. Dropping it rolls it back.
pub(super) struct WriteGuard {
    /// None after the end of the transaction.
    connection: Option<PooledConnection>,
    /// Whether a statement runs, or its caller was dropped before its end.
    is_statement_running: bool,
}

impl WriteGuard {
    pub(super) fn new(connection: PooledConnection) -> Self {
        Self { connection: Some(connection), is_statement_running: false }
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

    /// Closes a connection that is lost. The server has rolled back.
    pub(super) fn close_connection(mut self) {
        drop(self.connection.take());
    }

    /// Adds the events to the outbox, commits, and calls `announce` with the
    /// events. All of it goes on to its end even if the caller is dropped.
    pub(super) async fn commit(
        mut self,
        insert: Option<OutboxInsert>,
        announce: impl FnOnce(Option<OutboxBatch>) + Send + 'static,
    ) -> Result<(), Error> {
        let connection = self.connection.take().ok_or_else(closed)?;
        let committed = tokio::spawn(async move {
            let batch = commit(connection, insert).await?;
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
        if self.is_statement_running {
            // Dropping the connection closes it. The server then ends the
            // statement and rolls back. It checks its connections every second
            // (`databases.rs`).
            return None;
        }
        Some(async move {
            let Ok(connection) = pooled.connection() else { return };
            match connection.execute("ROLLBACK").await {
                Ok(_) => pooled.release(),
                Err(error) => tracing::debug!(%error, "a rollback failed, the server rolls back"),
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

/// Adds the events to the outbox and commits. Returns the events.
async fn commit(mut pooled: PooledConnection, insert: Option<OutboxInsert>) -> Result<Option<OutboxBatch>, Error> {
    let connection = pooled.connection()?;
    let batch = match insert {
        None => None,
        // After an error, dropping the connection makes the server roll back.
        Some(insert) => Some(insert.run(connection).await.map_err(Failure::into_error)?),
    };
    match connection.execute("COMMIT").await.map_err(Failure::from) {
        Ok(_) => {
            pooled.release();
            Ok(batch)
        }
        Err(Failure { recovery: Some(Recovery::Reconnect), .. }) => {
            Err(Error::Unavailable("the connection was lost: whether it was committed is unknown".into()))
        }
        Err(failure) => {
            pooled.release();
            Err(failure.error)
        }
    }
}
