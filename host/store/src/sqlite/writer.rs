//! The one connection that writes, and how transactions share a commit.
//!
//! Whoever writes waits in line. The first opens an outer transaction; each,
//! in turn, works in a savepoint inside it. One that is done while others wait
//! leaves its changes in the outer transaction and makes way, and stands in
//! line again: by then all who waited have had their turn, and one commit,
//! with one sync of the disk, makes everything durable. Nobody is told that a
//! transaction succeeded before that commit has returned.
//!
//! What has to be finished once begun (a commit, a rollback) runs in a task of
//! its own, so a caller that goes away leaves no half of it behind.

use super::{super::Error, connection::Connection, errors::Failure};
use sqlx::sqlite::SqliteConnectOptions;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    runtime::Handle,
    sync::{Mutex, OwnedMutexGuard, oneshot},
    time::timeout,
};

/// The most transactions that share a commit.
const BATCH_TRANSACTIONS: usize = 64;
/// After this long the next one waits for the commit instead of joining.
const BATCH_MS: u128 = 10;

/// Hands out turns at the writing connection.
pub(super) struct Writer {
    line: Arc<Mutex<Line>>,
    waiting: Arc<AtomicUsize>,
    wait: Duration,
}

/// The writing connection and the state of its outer transaction.
struct Line {
    options: SqliteConnectOptions,
    connection: Option<Connection>,
    closed: bool,
    /// A savepoint is open, or may be.
    turn_open: bool,
    batch: Option<Batch>,
}

/// An outer transaction.
struct Batch {
    since: Instant,
    members: Vec<oneshot::Sender<Result<(), Error>>>,
}

impl Writer {
    pub(super) fn new(options: SqliteConnectOptions, connection: Connection, wait: Duration) -> Self {
        let line = Line { options, connection: Some(connection), closed: false, turn_open: false, batch: None };
        Self { line: Arc::new(Mutex::new(line)), waiting: Arc::default(), wait }
    }

    /// Waits for a turn.
    pub(super) async fn begin(&self) -> Result<Turn, Error> {
        let waiting = Waiting::new(&self.waiting);
        let line = timeout(self.wait, self.line.clone().lock_owned()).await.map_err(|_| Error::Timeout)?;
        drop(waiting);
        let line = if line.turn_open || line.batch.as_ref().is_some_and(Batch::is_full) {
            uninterrupted(async move {
                let mut line = line;
                line.commit_batch().await;
                line
            })
            .await?
        } else {
            line
        };
        let mut turn = Turn { line: Some(line), home: self.line.clone(), waiting: self.waiting.clone() };
        turn.open().await?;
        Ok(turn)
    }

    pub(super) async fn forget_statements(&self) {
        let mut line = self.line.lock().await;
        if let Some(connection) = &mut line.connection
            && let Err(failure) = connection.forget_statements().await
        {
            tracing::warn!(error = ?failure.error, "clearing prepared statements");
        }
    }

    pub(super) async fn close(&self) {
        let mut line = self.line.lock().await;
        line.commit_batch().await;
        line.closed = true;
        if let Some(connection) = line.connection.take() {
            connection.close().await;
        }
    }
}

/// A turn at the writing connection: one transaction.
pub(super) struct Turn {
    line: Option<OwnedMutexGuard<Line>>,
    home: Arc<Mutex<Line>>,
    waiting: Arc<AtomicUsize>,
}

impl Turn {
    async fn open(&mut self) -> Result<(), Error> {
        let Some(line) = self.line.as_mut() else { return Err(gone()) };
        if line.closed {
            return Err(Error::Unavailable("the database is closed".into()));
        }
        line.turn_open = true;
        let first = line.batch.is_none();
        line.batch.get_or_insert_with(|| Batch { since: Instant::now(), members: Vec::new() });
        let opening = if first { "BEGIN IMMEDIATE; SAVEPOINT turn" } else { "SAVEPOINT turn" };
        line.connection().await?.control(opening).await.map_err(|failure| failure.error)
    }

    /// The connection, inside this turn's savepoint.
    pub(super) async fn connection(&mut self) -> Result<&mut Connection, Failure> {
        match self.line.as_mut() {
            Some(line) => line.connection().await.map_err(Failure::transaction),
            None => Err(Failure::transaction(gone())),
        }
    }

    /// Makes the turn's changes durable. Once begun it has to be
    /// [uninterrupted].
    pub(super) async fn commit(mut self) -> Result<(), Error> {
        let Some(mut line) = self.line.take() else { return Err(gone()) };
        let crowded = self.waiting.load(Ordering::Acquire) > 0;
        let home = self.home.clone();
        let alone = !crowded && line.batch.as_ref().is_none_or(|batch| batch.members.is_empty());
        let done = line.control(if alone { "RELEASE turn; COMMIT" } else { "RELEASE turn" }).await;
        if let Err(failure) = done {
            line.settle().await;
            return Err(failure.error);
        }
        line.turn_open = false;
        if alone {
            line.batch = None;
            return Ok(());
        }
        let (member, mut outcome) = oneshot::channel();
        if let Some(batch) = &mut line.batch {
            batch.members.push(member);
            if crowded && !batch.is_full() {
                drop(line);
                line = tokio::select! {
                    biased;
                    outcome = &mut outcome => return outcome.unwrap_or_else(|_| Err(gone())),
                    line = home.lock_owned() => line,
                };
            }
        }
        if let Ok(outcome) = outcome.try_recv() {
            return outcome;
        }
        line.commit_batch().await;
        outcome.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Forgets the turn's changes.
    pub(super) async fn rollback(mut self) {
        if let Some(mut line) = self.line.take() {
            // Nobody is left to tell if this fails: the next turn finds out.
            let _ = uninterrupted(async move { line.settle().await }).await;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Without a runtime to do it in, the next turn does it.
        if let (Some(mut line), Ok(runtime)) = (self.line.take(), Handle::try_current()) {
            runtime.spawn(async move { line.settle().await });
        }
    }
}

impl Line {
    async fn connection(&mut self) -> Result<&mut Connection, Error> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(&self.options).await.map_err(|failure| failure.error)?,
        };
        Ok(self.connection.insert(connection))
    }

    async fn control(&mut self, sql: &'static str) -> Result<(), Failure> {
        self.connection().await.map_err(Failure::transaction)?.control(sql).await
    }

    /// Rolls an unfinished turn back, and nothing else if that is possible.
    async fn settle(&mut self) {
        if !self.turn_open {
            return;
        }
        // A statement whose caller is gone may still run. It has to end at its
        // own deadline, which the statements below take away.
        if let Some(connection) = &mut self.connection
            && let Err(failure) = connection.idle().await
        {
            tracing::debug!(error = ?failure.error, "waiting for an abandoned statement");
        }
        let alone = self.batch.as_ref().is_none_or(|batch| batch.members.is_empty());
        if alone || self.control("ROLLBACK TO turn; RELEASE turn").await.is_err() {
            // SQLite rolls everything back by itself when it interrupts a
            // change or when the disk fails; then the others are gone too.
            self.abandon(&Error::Conflict).await;
        }
        self.turn_open = false;
    }

    /// Makes the changes of all who are done durable, and tells them.
    async fn commit_batch(&mut self) {
        self.settle().await;
        if self.batch.is_none() {
            return;
        }
        match self.control("COMMIT").await {
            Ok(()) => {
                for member in self.batch.take().map(|batch| batch.members).unwrap_or_default() {
                    let _ = member.send(Ok(()));
                }
            }
            Err(failure) => self.abandon(&Error::Unavailable(format!("the commit failed: {:?}", failure.error))).await,
        }
    }

    /// Rolls the outer transaction back, and tells those who were in it.
    async fn abandon(&mut self, error: &Error) {
        if let Err(Failure { error: Error::Unavailable(reason), .. }) = self.control("ROLLBACK").await {
            tracing::error!(reason, "a database connection is given up");
            self.connection = None;
        }
        self.turn_open = false;
        for member in self.batch.take().map(|batch| batch.members).unwrap_or_default() {
            let _ = member.send(Err(error.clone()));
        }
    }
}

impl Batch {
    fn is_full(&self) -> bool {
        self.members.len() >= BATCH_TRANSACTIONS
            || (!self.members.is_empty() && self.since.elapsed().as_millis() >= BATCH_MS)
    }
}

/// Counts those who stand in line to write.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count.clone())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn gone() -> Error {
    Error::Unavailable("the host is shutting down".into())
}

/// Goes on to its end even if the caller does not wait for it.
pub(super) async fn uninterrupted<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(work).await.map_err(|_| gone())
}
