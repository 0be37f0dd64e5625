//! PostgreSQL: a schema and a login role for each component, so that the
//! database itself keeps components apart.
//!
//! A component's statements run on connections of its role, a few that take
//! turns to write (`turns.rs`) and a few that only read. What the host keeps
//! for a component, its outbox, inbox, timers and migrations, is in the host's
//! schema (`schema.rs`).

mod databases;
mod errors;
mod leadership;
mod outbox;
mod pg_notify;
mod pool;
mod provision;
mod schema;
mod session;
mod transaction;
mod values;
mod write_lock;

use super::{
    Database, DueTimer, Error, LeaderRole, Leadership, MigrationError, Once, OutboxEvent, Rows, Signals, Timer,
    Transaction, Value, describe, gate::Gate, permitted,
};
use async_trait::async_trait;
pub use databases::PostgresDatabases;
use errors::{Failure, Remedy};
use host_base::Dialect;
use host_base::event::Event;
use host_database::lock_key;
use host_sql::{Applied, Migration};
use pg_notify::{NOW, PgNotify};
use pool::Pool;
use provision::Place;
use session::Work;
use sqlx::{FromRow, PgPool, postgres::PgRow};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;
use transaction::PostgresTransaction;
use write_lock::Turns;

/// What bounds the use of one component's schema by one host.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections that only read.
    pub readers: u32,
    /// The longest wait for a turn to write or for a connection.
    pub wait_ms: u64,
    /// The longest that one statement runs.
    pub statement_ms: u64,
    /// The longest that one statement of a migration runs.
    pub migration_statement_ms: u64,
    /// The most rows of one result.
    pub result_rows: usize,
    /// All values of one result together.
    pub result_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            readers: 4,
            wait_ms: 5_000,
            statement_ms: 5_000,
            migration_statement_ms: 60_000,
            result_rows: 10_000,
            result_bytes: 8 * 1024 * 1024,
        }
    }
}

/// How often a reading statement is tried when connections turn out to be
/// gone.
const READ_ATTEMPTS: usize = 3;

/// One component's schema, as this host uses it.
pub struct PostgresDatabase {
    shared: Arc<Shared>,
    turns: Turns,
    readers: Pool,
    /// Of the host's role.
    host: PgPool,
    leads: Arc<leadership::Leaderships>,
}

/// What the database and its open transactions use.
struct Shared {
    component: String,
    gate: Gate,
    limits: Limits,
    signals: Arc<Signals>,
    wakes: Arc<PgNotify>,
    secret: String,
}

impl PostgresDatabase {
    fn new(databases: &PostgresDatabases, component: &str, place: &Place) -> Result<Self, Error> {
        let limits = databases.limits.clone();
        let writers = databases.pool(place, Turns::CONNECTIONS, true)?;
        Ok(Self {
            turns: Turns::new(writers, lock_key(&["turn", component]), &limits),
            readers: databases.pool(place, limits.readers, false)?,
            host: databases.host.clone(),
            leads: databases.leads.clone(),
            shared: Arc::new(Shared {
                component: component.to_owned(),
                gate: Gate::new(Dialect::Postgres),
                limits,
                signals: databases.wakes.signals(component),
                wakes: databases.wakes.clone(),
                secret: place.secret.clone(),
            }),
        })
    }

    async fn begin_write(&self) -> Result<PostgresTransaction, Error> {
        Ok(PostgresTransaction::new(self.shared.clone(), self.turns.begin().await?))
    }

    /// Runs it on a connection that nobody else gets if the caller goes.
    async fn read(&self, work: Work, remedy: Option<Remedy>) -> Result<Rows, Failure> {
        let wait = Duration::from_millis(self.shared.limits.wait_ms);
        let lease = timeout(wait, self.readers.acquire()).await;
        let mut lease = lease.map_err(|_| Failure::transaction(Error::Timeout))??;
        let connection = lease.connection().map_err(Failure::transaction)?;
        let result = session::rows(connection, work, remedy, &self.shared.limits).await;
        match &result {
            Err(Failure { remedy: Some(Remedy::Connect), .. }) => self.readers.close_idle(Duration::ZERO),
            // Closing is the way to be rid of rows that nobody wants.
            Err(Failure { error: Error::Limit(_), .. }) => {}
            _ => lease.release(),
        }
        result
    }

    /// Rows of the host's own tables.
    async fn own<T>(&self, sql: &'static str, first: i64, second: i64) -> Result<Vec<T>, Error>
    where
        T: for<'row> FromRow<'row, PgRow> + Send + Unpin,
    {
        let query = sqlx::query_as(sql).bind(&self.shared.component).bind(first).bind(second);
        query.fetch_all(&self.host).await.map_err(|error| Failure::from(error).error)
    }
}

#[async_trait]
impl Database for PostgresDatabase {
    async fn migrate(&self, migrations: &[Migration]) -> Result<Vec<String>, MigrationError> {
        let mut applied = Vec::new();
        for migration in migrations {
            let failed =
                |error: Error| MigrationError::Failed { name: migration.name.clone(), reason: describe(&error) };
            let statements = permitted(migration, Dialect::Postgres).await?;
            let mut transaction = self.begin_write().await.map_err(failed)?;
            if transaction.migrate(migration, statements).await? {
                Box::new(transaction).commit().await.map_err(failed)?;
                applied.push(migration.name.clone());
            } else {
                Box::new(transaction).rollback().await;
            }
        }
        Ok(applied)
    }

    async fn applied(&self) -> Result<Vec<Applied>, Error> {
        let sql = "SELECT name, digest FROM store_migrations WHERE component = $1 ORDER BY name COLLATE \"C\"";
        let rows: Result<Vec<(String, String)>, _> =
            sqlx::query_as(sql).bind(&self.shared.component).fetch_all(&self.host).await;
        let rows = rows.map_err(|error| Failure::from(error).error)?;
        Ok(rows.into_iter().map(|(name, digest)| Applied { name, digest }).collect())
    }

    async fn query(&self, statement: &str, parameters: Vec<Value>) -> Result<Rows, Error> {
        let permitted = self.shared.gate.check(statement, &parameters).await?;
        if !permitted.reads_only {
            return Err(Error::Invalid("a query outside a transaction only reads".into()));
        }
        let work = Work { sql: permitted.sql.clone(), parameters };
        let mut remedy = None;
        for _ in 1..READ_ATTEMPTS {
            match self.read(work.clone(), remedy).await {
                Err(Failure { remedy: Some(next), .. }) => remedy = Some(next),
                result => return result.map_err(|failure| failure.error),
            }
        }
        self.read(work, remedy).await.map_err(|failure| failure.error)
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, Error> {
        Ok(Box::new(self.begin_write().await?))
    }

    async fn begin_once(&self, what: &Once) -> Result<Option<Box<dyn Transaction>>, Error> {
        let Some(turn) = self.turns.begin_once(what).await? else { return Ok(None) };
        Ok(Some(Box::new(PostgresTransaction::new(self.shared.clone(), turn))))
    }

    async fn outbox(&self, after_sequence: i64, limit_rows: u32) -> Result<Vec<OutboxEvent>, Error> {
        type Row = (i64, String, String, String, i64, Option<String>, Vec<u8>);
        let rows: Vec<Row> = self
            .own(
                "SELECT sequence, id, subject, source, time_ms, traceparent, payload \
                 FROM store_outbox WHERE component = $1 AND sequence > $3 ORDER BY sequence LIMIT $2",
                i64::from(limit_rows),
                after_sequence,
            )
            .await?;
        let event = |(sequence, id, subject, source, time_ms, traceparent, payload): Row| OutboxEvent {
            sequence,
            event: Event { id, subject, source, time_ms: time_ms.cast_unsigned(), traceparent, payload },
        };
        Ok(rows.into_iter().map(event).collect())
    }

    async fn clear_outbox(&self, up_to_sequence: i64) -> Result<(), Error> {
        sqlx::query("DELETE FROM store_outbox WHERE component = $1 AND sequence <= $2")
            .bind(&self.shared.component)
            .bind(up_to_sequence)
            .execute(&self.host)
            .await
            .map_err(|error| Failure::from(error).error)?;
        Ok(())
    }

    async fn next_timer_ms(&self) -> Result<Option<u64>, Error> {
        let sql = "SELECT due_ms FROM store_timers WHERE component = $1 AND due_ms > $3 ORDER BY due_ms LIMIT $2";
        let rows: Vec<(i64,)> = self.own(sql, 1, i64::MIN).await?;
        Ok(rows.first().map(|(due_ms,)| due_ms.cast_unsigned()))
    }

    async fn upcoming_timers(&self, now_ms: u64, limit_rows: u32) -> Result<Vec<DueTimer>, Error> {
        type Row = (i64, String, i64, Vec<u8>, i64, Option<String>);
        let rows: Vec<Row> = self
            .own(
                "SELECT generation, key, due_ms, payload, attempt, traceparent FROM store_timers WHERE component = $1 \
                 AND due_ms <= greatest($3, (SELECT min(due_ms) FROM store_timers WHERE component = $1 AND due_ms > $3)) \
                 ORDER BY due_ms LIMIT $2",
                i64::from(limit_rows),
                clamp(now_ms),
            )
            .await?;
        let timer = |(generation, key, due_ms, payload, attempt, traceparent): Row| DueTimer {
            timer: Timer { key, due_ms: due_ms.cast_unsigned(), payload },
            attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
            generation,
            traceparent,
        };
        Ok(rows.into_iter().map(timer).collect())
    }

    async fn prune_inbox(&self, before_ms: u64) -> Result<u64, Error> {
        let pruned = sqlx::query("DELETE FROM store_inbox WHERE component = $1 AND at_ms < $2")
            .bind(&self.shared.component)
            .bind(clamp(before_ms))
            .execute(&self.host)
            .await
            .map_err(|error| Failure::from(error).error)?;
        Ok(pruned.rows_affected())
    }

    fn system(&self) -> &'static str {
        "postgresql"
    }

    fn signals(&self) -> &Arc<Signals> {
        &self.shared.signals
    }

    async fn lead(&self, duty: LeaderRole) -> Result<Box<dyn Leadership>, Error> {
        self.leads.lead(duty, &self.shared.component).await
    }

    fn tell(&self, duty: LeaderRole) {
        self.shared.wakes.tell_later(duty, &self.shared.component, NOW);
    }

    async fn close(&self) {
        self.readers.close().await;
        self.turns.close().await;
    }
}

/// PostgreSQL's integers are signed.
fn clamp(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
