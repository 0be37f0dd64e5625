//! The database session that holds the locks of all leases of a host.
//!
//! A lock counts on the server that takes writes. The session ends when its
//! server only reads, because another server may have become the primary.

use host_base::secret::Secret;
use host_database::{
    connections::{is_writable, no_answer},
    reach,
};
use sqlx::{Connection, Executor, PgConnection};
use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    time::Duration,
};
use tokio::time::{Instant, timeout};

/// The interval at which the host checks its session. Another host takes the
/// leases of a host that died within this time.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_millis(300);
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);
/// A caller that waits for a lock asks at least this often.
const ABANDONED_AFTER: Duration = Duration::from_secs(2);
const LOCK: &str = "SELECT key FROM unnest($1::bigint[]) AS key WHERE pg_try_advisory_lock(key)";
const UNLOCK: &str = "SELECT pg_advisory_unlock(key) FROM unnest($1::bigint[]) AS key";
/// PostgreSQL has this setting since version 14.
const END_IDLE_SESSION: &str = "SELECT set_config('idle_session_timeout', '10s', false)
    WHERE current_setting('server_version_num')::integer >= 140000";

/// Holds locks and tries the locks that the host waits for.
pub(super) struct LockSession {
    url: Secret,
    connection: Option<PgConnection>,
    /// Counts the sessions. The end of a session releases all its locks.
    number: u64,
    checked: Option<Instant>,
    /// The locks that the host waits for, and when a caller last asked for each.
    wanted: BTreeMap<i64, Instant>,
    /// The locks that the last check has acquired. The next check releases those
    /// that no caller has taken.
    acquired: BTreeSet<i64>,
}

impl LockSession {
    pub(super) fn new(url: Secret) -> Self {
        Self { url, connection: None, number: 0, checked: None, wanted: BTreeMap::new(), acquired: BTreeSet::new() }
    }

    /// Makes the next checks try this lock.
    pub(super) fn want(&mut self, key: i64) {
        self.wanted.insert(key, Instant::now());
    }

    /// Takes a lock that a check has acquired. Returns the number of the session
    /// that holds it.
    pub(super) fn take(&mut self, key: i64) -> Option<u64> {
        self.acquired.remove(&key).then_some(self.number)
    }

    /// Whether the session with this number has not ended, as far as the last
    /// check has shown.
    pub(super) fn is_open(&self, number: u64) -> bool {
        self.number == number && self.connection.is_some()
    }

    /// Whether the last check was less than an interval ago.
    pub(super) fn is_checked(&self) -> bool {
        self.connection.is_some() && self.checked.is_some_and(|checked| checked.elapsed() < CHECK_INTERVAL)
    }

    /// Tries the wanted locks. Returns whether it has acquired any. After an
    /// error the session has ended, with all its locks.
    pub(super) async fn check(&mut self) -> sqlx::Result<bool> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        self.wanted.retain(|_, asked| asked.elapsed() < ABANDONED_AFTER);
        let keys: Vec<i64> = self.wanted.keys().copied().collect();
        let abandoned: Vec<i64> = mem::take(&mut self.acquired).into_iter().collect();
        let check = async {
            if !is_writable(&mut connection).await? {
                return Err(sqlx::Error::Protocol("the database server only reads".to_owned()));
            }
            if !abandoned.is_empty() {
                sqlx::query(UNLOCK).bind(abandoned).execute(&mut connection).await?;
            }
            sqlx::query_scalar::<_, i64>(LOCK).bind(keys).fetch_all(&mut connection).await
        };
        let locked = timeout(CHECK_TIMEOUT, check).await.unwrap_or_else(|_| Err(no_answer()))?;
        self.connection = Some(connection);
        self.checked = Some(Instant::now());
        self.wanted.retain(|key, _| !locked.contains(key));
        self.acquired.extend(locked);
        Ok(!self.acquired.is_empty())
    }

    async fn connect(&mut self) -> sqlx::Result<PgConnection> {
        self.number += 1;
        self.acquired.clear();
        let mut connection = reach::connect(&self.url).await?;
        connection.execute(END_IDLE_SESSION).await?;
        Ok(connection)
    }

    /// Releases a lock of the session with this number.
    pub(super) async fn unlock(&mut self, key: i64, number: u64) {
        if self.number == number
            && let Some(mut connection) = self.connection.take()
            && matches!(
                timeout(CHECK_TIMEOUT, sqlx::query(UNLOCK).bind(vec![key]).execute(&mut connection)).await,
                Ok(Ok(_))
            )
        {
            self.connection = Some(connection);
        }
    }

    pub(super) async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            // Even after an error, the end of the connection releases the locks.
            drop(connection.close().await);
        }
    }
}
