//! The state of a server, as a session reports it, and the check that the address
//! gives out sessions at all.

use super::no_answer;
use crate::reach::{self, CONNECT_TIMEOUT};
use host_base::{id, secret::Secret};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Postgres, Row};
use std::collections::BTreeSet;
use tokio::time::timeout;

/// How often each of the sessions is looked at.
const ROUNDS: usize = 2;
const SESSIONS: usize = 3;

/// Whether the session can write: its server is no standby and is not set to
/// read only.
///
/// # Errors
/// If the connection is lost.
pub async fn is_writable<'c>(session: impl Executor<'c, Database = Postgres>) -> sqlx::Result<bool> {
    let row = session.fetch_one("SELECT current_setting('transaction_read_only') = 'off'").await?;
    row.try_get(0)
}

/// Whether a connection to this address is one session of the server. A pooler
/// in transaction or statement mode gives each transaction another session, and
/// settings, locks and notifications get lost.
///
/// Several connections set a value, and each looks for its own afterwards, while
/// another one keeps a transaction open. So a pooler has to mix them up.
///
/// # Errors
/// If the database cannot be reached.
pub async fn keeps_sessions(url: &Secret) -> sqlx::Result<bool> {
    let mut sessions = Vec::with_capacity(SESSIONS);
    for _ in 0..SESSIONS {
        sessions.push(Probe::open(url).await?);
    }
    let processes: BTreeSet<i32> = sessions.iter().map(|session| session.process).collect();
    let keeps = processes.len() == SESSIONS && are_kept(&mut sessions).await?;
    for session in sessions {
        drop(session.connection.close().await);
    }
    Ok(keeps)
}

/// Lets each session in turn keep a transaction open while the others look for
/// their values.
async fn are_kept(sessions: &mut [Probe]) -> sqlx::Result<bool> {
    for _ in 0..ROUNDS * SESSIONS {
        sessions.rotate_left(1);
        let Some((holder, others)) = sessions.split_first_mut() else { break };
        if !holder.begin().await? {
            return Ok(false);
        }
        for other in others {
            if !other.is_same().await? {
                return Ok(false);
            }
        }
        if !holder.end().await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A connection that recognizes its session.
struct Probe {
    connection: PgConnection,
    process: i32,
    mark: String,
}

impl Probe {
    async fn open(url: &Secret) -> sqlx::Result<Self> {
        let mut connection = reach::connect(url).await?;
        let mark = id::new().to_string();
        // The mark consists of letters, digits and `-`.
        let set = format!("SELECT set_config('ticketing.session', '{mark}', false), pg_backend_pid()");
        let process = answer(connection.fetch_one(AssertSqlSafe(set))).await?.try_get(1)?;
        Ok(Self { connection, process, mark })
    }

    /// Begins a transaction, which keeps its session. False if the pooler
    /// refuses transactions.
    async fn begin(&mut self) -> sqlx::Result<bool> {
        match answer(self.connection.execute("BEGIN")).await {
            Ok(_) => self.is_same().await,
            Err(sqlx::Error::Database(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn end(&mut self) -> sqlx::Result<bool> {
        answer(self.connection.execute("COMMIT")).await?;
        self.is_same().await
    }

    async fn is_same(&mut self) -> sqlx::Result<bool> {
        let look = "SELECT pg_backend_pid(), current_setting('ticketing.session', true)";
        let row = answer(self.connection.fetch_one(look)).await?;
        let mark: Option<String> = row.try_get(1)?;
        Ok(row.try_get::<i32, _>(0)? == self.process && mark.as_deref() == Some(self.mark.as_str()))
    }
}

/// Waits for an answer, but not for ever: a pooler may have too few sessions for
/// several transactions at once.
async fn answer<T>(statement: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    timeout(CONNECT_TIMEOUT, statement).await.unwrap_or_else(|_| Err(no_answer()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use host_test_support::{PoolMode, Pooler, PostgresServer};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs PostgreSQL"]
    async fn a_pooler_that_changes_sessions_is_recognized_each_time() {
        let server = PostgresServer::start().await;
        let url = server.database().await;
        assert!(keeps_sessions(&Secret::new(url.clone())).await.unwrap(), "PostgreSQL itself");
        for (mode, keeps) in [(PoolMode::Session, true), (PoolMode::Transaction, false), (PoolMode::Statement, false)] {
            let pooler = Pooler::before(server.port(), mode).await;
            let behind = Secret::new(url.replace(&server.port().to_string(), &pooler.port().to_string()));
            for attempt in 0..5 {
                assert_eq!(keeps_sessions(&behind).await.unwrap(), keeps, "{mode:?}, attempt {attempt}");
            }
        }
    }
}
