//! The write lock of one component.
//!
//! Transactions of a component that write run one after another, on all hosts
//! together. Each holds an advisory lock of the component from its beginning to
//! its end. SQLite does the same, and the interface promises it.
//!
//! - Nothing that a transaction has read can change before it commits. So a
//!   component that decides by what it read needs no retries.
//! - The sequence numbers in the outbox ascend with each commit. So the relay
//!   never passes over an event that is committed late.
//! - `READ COMMITTED` is enough. Each statement sees everything that was
//!   committed before the lock was taken, and nothing is committed while it is
//!   held.
//!
//! Queries outside transactions do not wait for the lock.

use super::{
    errors::{Failure, Recovery},
    pool::{Pool, PooledConnection},
    write_guard::WriteGuard,
};
use crate::{Error, limits::Limits};
use host_database::connections::no_answer;
use sqlx::{AssertSqlSafe, Row, postgres::PgRow};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// The most attempts to begin when connections turn out to be lost.
const ATTEMPTS: usize = 3;
/// The server answers at the latest at the end of the wait for the lock. After
/// this time more, it does not answer at all.
const ANSWER_GRACE: Duration = Duration::from_secs(1);
/// After a shorter wait for a connection, the lock timeout of the connection's
/// settings is exact enough.
const NEGLIGIBLE_WAIT: Duration = Duration::from_millis(20);

/// Begins transactions that hold the write lock.
pub(super) struct WriteLock {
    connections: Pool,
    /// The search path that every connection has.
    schema: String,
    key: i64,
    wait: Duration,
}

impl WriteLock {
    /// The connections of this host: one holds the lock and the other waits for
    /// it. Further transactions wait for a connection.
    pub(super) const CONNECTIONS: u32 = 2;

    pub(super) fn new(connections: Pool, schema: &str, key: i64, limits: &Limits) -> Self {
        Self {
            connections,
            schema: schema.trim_matches('"').to_owned(),
            key,
            wait: Duration::from_millis(limits.wait_ms),
        }
    }

    /// Waits for the lock and begins a transaction.
    pub(super) async fn begin(&self) -> Result<WriteGuard, Error> {
        Ok(self.begin_with("").await?.0)
    }

    /// Waits for the lock and begins a transaction with a statement that returns
    /// a boolean. If that is false, rolls back and returns none.
    pub(super) async fn begin_once(&self, claim: &str) -> Result<Option<WriteGuard>, Error> {
        let (guard, rows) = self.begin_with(claim).await?;
        let claimed = rows.last().ok_or_else(|| Error::Unavailable("the database gave no answer".into()))?;
        if claimed.try_get(0).map_err(Failure::error_of)? {
            return Ok(Some(guard));
        }
        guard.rollback().await;
        Ok(None)
    }

    /// Begins a transaction with a statement. The rows of the statement are the
    /// last ones of the result.
    async fn begin_with(&self, first: &str) -> Result<(WriteGuard, Vec<PgRow>), Error> {
        let begun = Instant::now();
        let mut attempt = 1;
        loop {
            let mut guard = WriteGuard::new(self.connection(begun).await?);
            let failure = match self.try_begin(&mut guard, begun, first).await {
                Ok(rows) => return Ok((guard, rows)),
                Err(failure) => failure,
            };
            if !failure.discards_connection() {
                return Err(failure.error);
            }
            let is_old = guard.made().is_some_and(|made| made < begun);
            guard.close_connection();
            if is_old {
                self.connections.connections().distrust();
            }
            // The connection was lost while it was idle, or its server has
            // become a standby. A new connection would meet the same server.
            let may_try_again = is_old || failure.recovery == Some(Recovery::Reconnect);
            if !may_try_again || attempt == ATTEMPTS || begun.elapsed() >= self.wait {
                return Err(failure.error);
            }
            attempt += 1;
        }
    }

    async fn try_begin(&self, guard: &mut WriteGuard, begun: Instant, first: &str) -> Result<Vec<PgRow>, Failure> {
        let sql = self.begin_statements(begun.elapsed(), first);
        let limit = self.wait.saturating_sub(begun.elapsed()) + ANSWER_GRACE;
        let connection = guard.start_statement().map_err(Failure::transaction)?;
        let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection);
        let answered = timeout(limit, self.connections.connections().unless_silent(rows)).await.ok().flatten();
        if answered.is_some() {
            guard.end_statement();
        }
        let rows = answered.unwrap_or_else(|| Err(no_answer()))?;
        self.check_session(&rows)?;
        Ok(rows)
    }

    /// Checks the first row of the beginning: a server that only reads would
    /// refuse the transaction later, and a session that is not the one that was
    /// set up would look for the tables elsewhere.
    fn check_session(&self, rows: &[PgRow]) -> Result<(), Failure> {
        let row = rows.first().ok_or_else(Failure::no_answer)?;
        let (only_reads, path): (bool, String) = (row.try_get(1)?, row.try_get(2)?);
        match (only_reads, path.trim_matches('"') == self.schema) {
            (true, _) => Err(Failure::only_reads()),
            (_, false) => Err(Failure::other_session()),
            _ => Ok(()),
        }
    }

    /// Waits for a connection. The wait began at this time.
    async fn connection(&self, begun: Instant) -> Result<PooledConnection, Error> {
        let remaining = self.wait.saturating_sub(begun.elapsed());
        let connection = timeout(remaining, self.connections.acquire()).await.map_err(|_| Error::Timeout)?;
        connection.map_err(Failure::into_error)
    }

    /// The text that begins a transaction, in one round trip. It waits for the
    /// lock only for the rest of the wait. The settings of the connection limit
    /// the wait to its full length.
    fn begin_statements(&self, waited: Duration, first: &str) -> String {
        let lock = format!(
            "SELECT pg_advisory_xact_lock({}), current_setting('transaction_read_only') = 'on', \
             current_setting('search_path')",
            self.key
        );
        if waited < NEGLIGIBLE_WAIT {
            return format!("BEGIN; {lock}; {first}SAVEPOINT statement");
        }
        let remaining_ms = self.wait.saturating_sub(waited).as_millis().max(1);
        format!(
            "BEGIN; SET LOCAL lock_timeout = {remaining_ms}; {lock}; SET LOCAL lock_timeout TO DEFAULT; \
             {first}SAVEPOINT statement"
        )
    }

    pub(super) async fn close(&self) {
        self.connections.close().await;
    }
}
