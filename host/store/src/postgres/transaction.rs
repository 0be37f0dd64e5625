//! One transaction of a component. Dropping it rolls it back.
//!
//! A statement that fails takes PostgreSQL's transaction with it, unless it
//! stands behind a savepoint, and a savepoint for each would be one more round
//! trip for each. So there is one, part of the turn's beginning. After a
//! failure, what was done since is done again. That has the same effects: the
//! turn's lock is older than the savepoint, so nobody has changed anything, and
//! what the component has seen of the effects is compared. Where it could have
//! seen more than can be compared, a new savepoint takes the place of the old
//! one.

use super::{
    super::{DueTimer, Error, MigrationError, Rows, Timer, Transaction, Value, describe},
    Shared, clamp,
    errors::{Failure, Remedy},
    outbox::Append,
    session::{self, Work},
    write_lock::Turn,
};
use async_trait::async_trait;
use host_base::{clock::now_ms, event::Event};
use host_sql::Migration;
use sqlx::{AssertSqlSafe, Executor, FromRow, postgres::PgRow};
use std::sync::Arc;

const SAVEPOINT: &str = "RELEASE SAVEPOINT statement; SAVEPOINT statement";
const BACK: &str = "ROLLBACK TO SAVEPOINT statement";
/// The most that is done again after a failure.
const MOST_AGAIN: usize = 16;

/// A turn at the component's tables, and what its commit will announce.
pub(super) struct PostgresTransaction {
    shared: Arc<Shared>,
    turn: Turn,
    /// After this nothing more is done.
    failed: Option<Error>,
    /// What was done since the savepoint.
    since: Vec<Done>,
    /// Put in the outbox with the commit.
    published: Vec<Event>,
    /// When the next of the timers that it has set is due; never, without one.
    due_ms: u64,
}

/// What would be done again, and what the component was told of it.
#[derive(Clone)]
enum Done {
    /// A call of a function of the host's.
    Host { sql: &'static str, values: Vec<Value>, answer: bool },
    /// A statement that changed so many rows.
    Change { work: Work, remedy: Option<Remedy>, changed: u64 },
    /// A statement that changed rows and gave some: it is not done again.
    Rows,
}

impl PostgresTransaction {
    pub(super) fn new(shared: Arc<Shared>, turn: Turn) -> Self {
        Self { shared, turn, failed: None, since: Vec::new(), published: Vec::new(), due_ms: u64::MAX }
    }

    /// Applies a migration unless it was applied before. Whether it did.
    pub(super) async fn migrate(
        &mut self,
        migration: &Migration,
        statements: Vec<String>,
    ) -> Result<bool, MigrationError> {
        let failed = |error: Error| MigrationError::Failed { name: migration.name.clone(), reason: describe(&error) };
        let digest = migration.digest();
        let (before,): (Option<String>,) = self
            .host("SELECT ticketing_host.store_migration($1, $2)", vec![Value::Text(migration.name.clone())])
            .await
            .map_err(failed)?;
        match before {
            Some(before) if before == digest => return Ok(false),
            Some(_) => return Err(MigrationError::Changed(migration.name.clone())),
            None => {}
        }
        let limit_ms = self.shared.limits.migration_statement_ms;
        let limit = format!("SET LOCAL statement_timeout = {limit_ms}; SET LOCAL lock_timeout = {limit_ms}");
        self.plain(limit).await.map_err(failed)?;
        for statement in statements {
            self.plain(statement).await.map_err(failed)?;
        }
        let noted = "SELECT ticketing_host.store_note_migration($1, $2, $3, $4)";
        let values = vec![Value::Text(migration.name.clone()), Value::Text(digest), Value::Integer(clamp(now_ms()))];
        self.host::<(bool,)>(noted, values).await.map_err(failed)?;
        Ok(true)
    }

    /// Runs a statement of the host's own, without parameters.
    async fn plain(&mut self, sql: String) -> Result<(), Error> {
        self.goes_on()?;
        let connection = self.turn.busy()?;
        let done = connection.execute(AssertSqlSafe(sql)).await;
        self.turn.idle();
        done.map(drop).map_err(|error| self.fail(error.into()))
    }

    /// Calls one of the host's functions, whose first parameter is the secret.
    /// Failing there ends the transaction.
    async fn host<T>(&mut self, sql: &'static str, values: Vec<Value>) -> Result<T, Error>
    where
        T: for<'row> FromRow<'row, PgRow> + Send + Unpin,
    {
        self.goes_on()?;
        let mut query = sqlx::query_as(sql).bind(&self.shared.secret);
        for value in values {
            query = match value {
                Value::Null => query.bind(None::<String>),
                Value::Integer(integer) => query.bind(integer),
                Value::Real(real) => query.bind(real),
                Value::Text(text) => query.bind(text),
                Value::Blob(bytes) => query.bind(bytes),
            };
        }
        let result = query.fetch_one(self.turn.busy()?).await;
        self.turn.idle();
        result.map_err(|error| self.fail(error.into()))
    }

    async fn asks(&mut self, sql: &'static str, values: Vec<Value>) -> Result<bool, Error> {
        let (answer,): (bool,) = self.host(sql, values.clone()).await?;
        self.since.push(Done::Host { sql, values, answer });
        Ok(answer)
    }

    async fn rows(&mut self, work: Work, reads_only: bool) -> Result<Rows, Error> {
        self.savepoint_before(reads_only).await?;
        let mut result = self.try_rows(&work, None).await;
        if let Some(remedy) = self.after(&result).await? {
            result = self.try_rows(&work, Some(remedy)).await;
            self.after(&result).await?;
        }
        if !reads_only && result.is_ok() {
            self.since.push(Done::Rows);
        }
        result.map_err(|failure| failure.error)
    }

    async fn try_rows(&mut self, work: &Work, remedy: Option<Remedy>) -> Result<Rows, Failure> {
        let connection = self.turn.busy().map_err(Failure::transaction)?;
        let result = session::rows(connection, work.clone(), remedy, &self.shared.limits).await;
        self.turn.idle();
        result
    }

    async fn change(&mut self, work: Work) -> Result<u64, Error> {
        self.savepoint_before(false).await?;
        let mut remedy = None;
        let mut result = self.try_change(&work, remedy).await;
        if let Some(next) = self.after(&result).await? {
            remedy = Some(next);
            result = self.try_change(&work, remedy).await;
            self.after(&result).await?;
        }
        if let Ok(changed) = result {
            self.since.push(Done::Change { work, remedy, changed });
        }
        result.map_err(|failure| failure.error)
    }

    async fn try_change(&mut self, work: &Work, remedy: Option<Remedy>) -> Result<u64, Failure> {
        let connection = self.turn.busy().map_err(Failure::transaction)?;
        let result = session::execute(connection, work.clone(), remedy).await;
        self.turn.idle();
        result
    }

    /// A new savepoint, if the one there is will not do for the next statement.
    async fn savepoint_before(&mut self, reads_only: bool) -> Result<(), Error> {
        self.goes_on()?;
        let shows = |done: &Done| match done {
            Done::Host { .. } => false,
            Done::Change { .. } => reads_only,
            Done::Rows => true,
        };
        if self.since.len() >= MOST_AGAIN || self.since.iter().any(shows) {
            self.plain(SAVEPOINT.to_owned()).await?;
            self.since.clear();
        }
        Ok(())
    }

    /// Makes it possible to go on after a failure. Says whether, and how, the
    /// statement is to be tried once more.
    async fn after<T>(&mut self, result: &Result<T, Failure>) -> Result<Option<Remedy>, Error> {
        let Err(failure) = result else { return Ok(None) };
        if failure.ends_transaction {
            self.failed = Some(failure.error.clone());
            return Ok(None);
        }
        self.plain(BACK.to_owned()).await?;
        for done in std::mem::take(&mut self.since) {
            let same = match &done {
                Done::Host { sql, values, answer } => self.host::<(bool,)>(sql, values.clone()).await?.0 == *answer,
                Done::Change { work, remedy, changed } => {
                    self.try_change(work, *remedy).await.is_ok_and(|again| again == *changed)
                }
                Done::Rows => false,
            };
            if !same {
                return Err(self.fail(Failure::transaction(Error::Conflict)));
            }
            self.since.push(done);
        }
        Ok(failure.remedy)
    }

    fn goes_on(&self) -> Result<(), Error> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn fail(&mut self, failure: Failure) -> Error {
        self.failed = Some(failure.error.clone());
        failure.error
    }
}

#[async_trait]
impl Transaction for PostgresTransaction {
    async fn query(&mut self, statement: &str, parameters: Vec<Value>) -> Result<Rows, Error> {
        let permitted = self.shared.gate.check(statement, &parameters).await?;
        self.rows(Work { sql: permitted.sql.clone(), parameters }, permitted.reads_only).await
    }

    async fn execute(&mut self, statement: &str, parameters: Vec<Value>) -> Result<u64, Error> {
        let permitted = self.shared.gate.check(statement, &parameters).await?;
        if permitted.reads_only {
            return Err(Error::Invalid("a statement that only reads is a query".into()));
        }
        self.change(Work { sql: permitted.sql.clone(), parameters }).await
    }

    async fn publish(&mut self, event: &Event) -> Result<(), Error> {
        self.goes_on()?;
        self.published.push(event.clone());
        Ok(())
    }

    async fn schedule(&mut self, timer: &Timer, traceparent: Option<&str>) -> Result<(), Error> {
        let values = vec![
            Value::Text(timer.key.clone()),
            Value::Integer(clamp(timer.due_ms)),
            Value::Blob(timer.payload.clone()),
            optional(traceparent),
        ];
        self.asks("SELECT ticketing_host.store_schedule($1, $2, $3, $4, $5)", values).await?;
        self.due_ms = self.due_ms.min(timer.due_ms);
        Ok(())
    }

    async fn cancel_timer(&mut self, key: &str) -> Result<bool, Error> {
        self.asks("SELECT ticketing_host.store_cancel_timer($1, $2)", vec![Value::Text(key.to_owned())]).await
    }

    async fn put_off_timer(&mut self, timer: &DueTimer, due_ms: u64) -> Result<(), Error> {
        let values = vec![
            Value::Text(timer.timer.key.clone()),
            Value::Integer(timer.generation),
            Value::Integer(i64::from(timer.attempt)),
            Value::Integer(clamp(due_ms)),
        ];
        self.asks("SELECT ticketing_host.store_put_off_timer($1, $2, $3, $4, $5)", values).await?;
        self.due_ms = self.due_ms.min(due_ms);
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<(), Error> {
        let Self { shared, turn, failed, published, due_ms, .. } = *self;
        if let Some(error) = failed {
            turn.rollback().await;
            return Err(error);
        }
        let last = Append::new(&shared.secret, published);
        let announce = move |published| {
            if let Some(published) = published {
                shared.wakes.published(&shared.component, &shared.signals, published);
            }
            if due_ms < u64::MAX {
                shared.wakes.scheduled(&shared.component, &shared.signals, due_ms);
            }
        };
        turn.commit(last, announce).await
    }

    async fn rollback(self: Box<Self>) {
        self.turn.rollback().await;
    }
}

fn optional(text: Option<&str>) -> Value {
    text.map_or(Value::Null, |text| Value::Text(text.to_owned()))
}
