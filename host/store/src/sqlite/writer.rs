//! The queue of transactions for the one connection that writes.
//!
//! Transactions that wait at the same time share a commit. The first one begins
//! an outer transaction of SQLite, and each works in its own savepoint inside
//! it. A transaction that ends while others wait releases its savepoint and
//! queues once more, behind them. When its turn comes they have run too, and one
//! commit, with one sync of the disk, makes all of them durable. None reports
//! success before that commit has returned.
//!
//! A commit or a rollback that has begun runs in its own task, so that it ends
//! even if its caller is dropped.

use super::{errors::Failure, group_commit::WriteConnection, writing::Writing};
use crate::{Error, database::shutting_down, limits::Limits};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{Mutex, OwnedMutexGuard},
    time::timeout,
};

/// Gives the connection that writes to one transaction after another.
pub(super) struct Writer {
    connection: Arc<Mutex<WriteConnection>>,
    /// The number of transactions that wait to begin.
    waiting: Arc<AtomicUsize>,
    wait: Duration,
    max_pages: Arc<AtomicU64>,
}

impl Writer {
    pub(super) fn new(path: &Path, limits: Arc<Limits>, connection: Writing) -> Self {
        let max_pages = Arc::new(AtomicU64::new(0));
        let wait = Duration::from_millis(limits.wait_ms);
        let connection = WriteConnection::new(path.to_owned(), limits, connection, max_pages.clone());
        Self { connection: Arc::new(Mutex::new(connection)), waiting: Arc::default(), wait, max_pages }
    }

    /// Waits for the connection and begins a transaction.
    pub(super) async fn begin(&self) -> Result<WriteGuard, Error> {
        let waiting = CountedWait::new(&self.waiting);
        let locked = timeout(self.wait, self.connection.clone().lock_owned()).await;
        let mut connection = locked.map_err(|_| Error::Timeout)?;
        drop(waiting);
        if connection.must_commit_group() {
            connection = uninterrupted(async move {
                connection.commit_group().await;
                connection
            })
            .await?;
        }
        let mut guard = WriteGuard {
            connection: Some(connection),
            unlocked: self.connection.clone(),
            waiting: self.waiting.clone(),
        };
        guard.locked()?.begin_member().await?;
        Ok(guard)
    }

    /// Sets the largest size of the file, from the next transaction on.
    pub(super) fn set_max_pages(&self, pages: u64) {
        self.max_pages.store(pages, Ordering::Relaxed);
    }

    pub(super) async fn clear_prepared_statements(&self) {
        self.connection.lock().await.clear_prepared_statements().await;
    }

    pub(super) async fn close(&self) {
        self.connection.lock().await.close().await;
    }
}

/// Holds the connection for one transaction.
pub(super) struct WriteGuard {
    /// None after the end of the transaction.
    connection: Option<OwnedMutexGuard<WriteConnection>>,
    unlocked: Arc<Mutex<WriteConnection>>,
    waiting: Arc<AtomicUsize>,
}

impl WriteGuard {
    fn locked(&mut self) -> Result<&mut WriteConnection, Error> {
        self.connection.as_deref_mut().ok_or_else(shutting_down)
    }

    /// The connection, inside the savepoint of this transaction.
    pub(super) async fn connection(&mut self) -> Result<&mut Writing, Failure> {
        let connection = self.locked().map_err(Failure::transaction)?;
        connection.connection().await.map_err(Failure::transaction)
    }

    /// Whether no other transaction would be rolled back with this one.
    pub(super) fn is_alone(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.is_alone())
    }

    /// Begins a transaction again that is alone and has changed nothing. No other one can
    /// write meanwhile.
    pub(super) async fn begin_again(&mut self) -> Result<(), Error> {
        let connection = self.locked()?;
        connection.roll_back_member().await;
        connection.begin_member().await
    }

    /// Makes the changes durable. The caller must run it [uninterrupted].
    pub(super) async fn commit(mut self) -> Result<(), Error> {
        let Some(mut connection) = self.connection.take() else { return Err(shutting_down()) };
        let others_wait = self.waiting.load(Ordering::Acquire) > 0;
        if !others_wait && connection.is_alone() {
            return connection.commit_alone().await;
        }
        let mut member = connection.join_group().await?;
        if others_wait && !connection.is_group_full() {
            drop(connection);
            connection = tokio::select! {
                biased;
                result = member.result() => return result,
                connection = self.unlocked.clone().lock_owned() => connection,
            };
        }
        // Another member of the group may have committed it already.
        if let Some(result) = member.known_result() {
            return result;
        }
        connection.commit_group().await;
        member.result().await
    }

    /// Discards the changes.
    pub(super) async fn rollback(mut self) {
        if let Some(mut connection) = self.connection.take() {
            // If this fails, the next transaction rolls back.
            drop(uninterrupted(async move { connection.roll_back_member().await }).await);
        }
    }
}

impl Drop for WriteGuard {
    fn drop(&mut self) {
        // Without a runtime, the next transaction rolls back.
        if let (Some(mut connection), Ok(runtime)) = (self.connection.take(), Handle::try_current()) {
            runtime.spawn(async move { connection.roll_back_member().await });
        }
    }
}

/// Counts one transaction that waits to begin.
struct CountedWait(Arc<AtomicUsize>);

impl CountedWait {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count.clone())
    }
}

impl Drop for CountedWait {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Runs work that has to end even if its caller is dropped.
pub(super) async fn uninterrupted<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(work).await.map_err(|_| shutting_down())
}
