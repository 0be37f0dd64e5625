//! Turns at one component's tables.
//!
//! Transactions of a component that write run one after another, in all hosts
//! together: each holds an advisory lock of the component's from its beginning
//! to its end. That is what the interface promises, and what SQLite does. It
//! means that nothing which a transaction has read can change before it
//! commits, so what components decide by reading holds without retries; and
//! that the order of sequence numbers in the outbox is the order of commits,
//! so the relay never passes over an event that is committed late. `READ
//! COMMITTED` is then enough: each statement sees all that was committed
//! before the turn, and nobody commits during it. Reads outside transactions
//! wait for nobody.

use super::{
    super::{DueTimer, Error, Once, Published},
    Limits, clamp,
    errors::{Failure, Remedy},
    outbox::Append,
    pool::{Lease, Pool, closed},
};
use host_base::clock::now_ms;
use sqlx::{AssertSqlSafe, Executor, PgConnection, Row, postgres::PgRow};
use std::time::{Duration, Instant};
use tokio::{runtime::Handle, time::timeout};

/// Connections of this host that work or wait in line: the next one is there
/// when a turn ends, and no more sit and wait.
const IN_LINE: u32 = 2;
/// How often a turn is begun when connections turn out to be gone.
const ATTEMPTS: usize = 3;
/// Whoever waited less before may wait for the lock as long as any.
const NO_WAIT: Duration = Duration::from_millis(20);

/// Hands out turns.
pub(super) struct Turns {
    line: Pool,
    lock: i64,
    wait: Duration,
}

impl Turns {
    pub(super) fn new(line: Pool, lock: i64, limits: &Limits) -> Self {
        Self { line, lock, wait: Duration::from_millis(limits.wait_ms) }
    }

    /// How many connections it uses.
    pub(super) const CONNECTIONS: u32 = IN_LINE;

    /// Waits for a turn.
    pub(super) async fn begin(&self) -> Result<Turn, Error> {
        Ok(self.begin_with("").await?.0)
    }

    /// Waits for a turn to do something once. None if there is nothing to do.
    pub(super) async fn begin_once(&self, what: &Once) -> Result<Option<Turn>, Error> {
        let (turn, rows) = self.begin_with(&note(what)).await?;
        let last = rows.last().ok_or_else(|| Error::Unavailable("the database gave no answer".into()))?;
        if last.try_get(0).map_err(|error| Failure::from(error).error)? {
            return Ok(Some(turn));
        }
        turn.rollback().await;
        Ok(None)
    }

    /// Waits for a turn that begins with this statement, and gives its rows
    /// behind others.
    async fn begin_with(&self, first: &str) -> Result<(Turn, Vec<PgRow>), Error> {
        let begun = Instant::now();
        let mut turn = Turn::new(self.connection(begun).await?);
        let mut attempt = 1;
        loop {
            let sql = self.beginning(begun.elapsed(), first);
            let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(turn.busy()?).await;
            turn.idle();
            match rows.map_err(Failure::from) {
                Ok(rows) => return Ok((turn, rows)),
                // The server was restarted, or the connection cut, while it
                // was not in use.
                Err(Failure { remedy: Some(Remedy::Connect), .. }) if attempt < ATTEMPTS => {
                    turn.abandon();
                    self.line.close_idle(Duration::ZERO);
                    turn = Turn::new(self.connection(begun).await?);
                    attempt += 1;
                }
                Err(failure) => return Err(failure.error),
            }
        }
    }

    /// A connection, if there is one before the wait that began then is over.
    async fn connection(&self, begun: Instant) -> Result<Lease, Error> {
        let left = self.wait.saturating_sub(begun.elapsed());
        let connection = timeout(left, self.line.acquire()).await.map_err(|_| Error::Timeout)?;
        connection.map_err(|failure| failure.error)
    }

    /// Begins a transaction in which the lock is waited for no longer than is
    /// left. A connection waits for locks as long as its settings say, and that
    /// is as long as anybody waits.
    fn beginning(&self, waited: Duration, first: &str) -> String {
        let lock = format!("SELECT pg_advisory_xact_lock({})", self.lock);
        if waited < NO_WAIT {
            return format!("BEGIN; {lock}; {first}SAVEPOINT statement");
        }
        let left = self.wait.saturating_sub(waited).as_millis().max(1);
        format!(
            "BEGIN; SET LOCAL lock_timeout = {left}; {lock}; SET LOCAL lock_timeout TO DEFAULT; {first}SAVEPOINT statement"
        )
    }

    pub(super) async fn close(&self) {
        self.line.close().await;
    }
}

/// A turn: one transaction on one connection.
pub(super) struct Turn {
    connection: Option<Lease>,
    /// A statement is under way, or was when its caller went.
    busy: bool,
}

impl Turn {
    fn new(connection: Lease) -> Self {
        Self { connection: Some(connection), busy: false }
    }

    /// The connection, for a statement that ends with [`idle`](Self::idle).
    pub(super) fn busy(&mut self) -> Result<&mut PgConnection, Error> {
        self.busy = true;
        self.connection.as_mut().ok_or_else(closed)?.connection()
    }

    pub(super) fn idle(&mut self) {
        self.busy = false;
    }

    /// Closes the connection: it is gone, and the turn with it.
    fn abandon(mut self) {
        drop(self.connection.take());
    }

    /// Puts the turn's events in the outbox, makes its changes durable, and then
    /// does something more. All go on to their end even if the caller does not
    /// wait for it.
    pub(super) async fn commit(
        mut self,
        events: Option<Append>,
        then: impl FnOnce(Option<Published>) + Send + 'static,
    ) -> Result<(), Error> {
        let connection = self.connection.take();
        let ending = async move {
            let mut lease = connection.ok_or_else(closed)?;
            let connection = lease.connection()?;
            let published = match events {
                None => None,
                // If that fails the server rolls back.
                Some(events) => Some(events.run(connection).await.map_err(|failure| failure.error)?),
            };
            let committed = connection.execute("COMMIT").await.map_err(Failure::from);
            let result = match committed {
                Ok(_) => {
                    then(published);
                    Ok(())
                }
                Err(Failure { remedy: Some(Remedy::Connect), .. }) => {
                    return Err(Error::Unavailable(
                        "the connection was lost: whether it was committed is unknown".into(),
                    ));
                }
                Err(failure) => Err(failure.error),
            };
            lease.release();
            result
        };
        tokio::spawn(ending).await.map_err(|_| closed())?
    }

    /// Forgets the turn's changes.
    pub(super) async fn rollback(mut self) {
        if let Some(ending) = self.ending() {
            // Nobody is left to tell if this fails: the server rolls back.
            let _ = tokio::spawn(ending).await;
        }
    }

    fn ending(&mut self) -> Option<impl Future<Output = ()> + Send + 'static> {
        let mut lease = self.connection.take()?;
        if self.busy {
            // The server ends a statement whose connection is closed, and rolls
            // back; it looks every second (`databases.rs`).
            return None;
        }
        Some(async move {
            let Ok(connection) = lease.connection() else { return };
            match connection.execute("ROLLBACK").await {
                Ok(_) => lease.release(),
                Err(error) => tracing::debug!(%error, "the server rolls back"),
            }
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(ending) = self.ending()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(ending);
        }
    }
}

/// The statement that notes that something is done, and says whether it was to
/// be done. Letters of the id or key are written as bytes: nothing in them means
/// anything.
fn note(what: &Once) -> String {
    let text = |text: &str| format!("pg_catalog.convert_from('\\x{}', 'UTF8')", hex::encode(text));
    match what {
        Once::Event(id) => format!("SELECT ticketing_host.store_apply({}, {}); ", text(id), clamp(now_ms())),
        Once::Timer(DueTimer { timer, generation, attempt, .. }) => {
            format!("SELECT ticketing_host.store_fire({}, {generation}, {attempt}); ", text(&timer.key))
        }
    }
}
